"""Every channel against a real receiver: one that takes the alert, is down, hangs, fails or refuses the login."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from include.disaster_recovery.alerting import Alert, firing, resolved
from include.disaster_recovery.runtime import channels, metrics
from include.disaster_recovery.runtime.connections import settings
from tests.support.alerting import PASSWORD, TOKEN, Deployment, deployment
from tests.support.receivers import Endpoint, Mailbox, free_port, http_endpoint, mail_server, silent_port

__all__ = ["deployment"]
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
FACT = "verify_backup: 2 findings in <messages> & {{ conn }}; hint: trigger a new backup"
LINK = "https://airflow.example.org/dags/collabhunts_backup/runs/scheduled__1"
ALERT = firing("backup-failed", "collabhunts_backup", FACT, link=LINK, at=NOON)
HEADLINE = "[CollabHunts backup] critical: a backup failed: collabhunts_backup"
REGION = "eu-central-1"


@dataclass
class Cloud:
    """SNS, SQS and CloudWatch, as moto's server plays them."""

    url: str
    topic: str
    queue: str

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, **keys)  # type: ignore[call-overload]

    def messages(self) -> list[dict[str, Any]]:
        answer = self.client("sqs").receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    cloud = Cloud(f"http://{host}:{port}", "", "")
    cloud.topic = cloud.client("sns").create_topic(Name="alerts")["TopicArn"]
    cloud.queue = cloud.client("sqs").create_queue(QueueName="alerts")["QueueUrl"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=cloud.queue, AttributeNames=["QueueArn"])["Attributes"]
    cloud.client("sns").subscribe(TopicArn=cloud.topic, Protocol="sqs", Endpoint=arn["QueueArn"])
    yield cloud
    server.stop()


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with http_endpoint() as found:
        yield found


def mail(deployment: Deployment, port: int, **more: Any) -> None:
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "backup@example.org", **more.pop("extra", {})}
    deployment.connection("collabhunts_smtp", conn_type="smtp", host="127.0.0.1", port=port, extra=extra, **more)
    deployment.content.setdefault("alerts", {})["smtp"] = {"to": ["ops@example.org", "lead@example.org"]}
    deployment.configure()


def webhook(deployment: Deployment, url: str) -> None:
    extra = {"Authorization": f"Bearer {TOKEN}"}
    deployment.connection("collabhunts_webhook", conn_type="http", host=url, extra=extra)
    deployment.content.setdefault("alerts", {})["webhook"] = {"endpoint": f"hooks/{PASSWORD}"}
    deployment.configure()


def slack(deployment: Deployment, url: str) -> None:
    deployment.connection("collabhunts_slack", conn_type="slackwebhook", host=f"{url}/services", password=f"T0/{TOKEN}")
    deployment.content.setdefault("alerts", {})["slack"] = {}
    deployment.configure()


def sns(deployment: Deployment, url: str, topic: str) -> None:
    extra = {"region_name": REGION, "endpoint_url": url}
    deployment.connection("alerts_aws", conn_type="aws", login="key", password=PASSWORD, extra=extra)
    deployment.content.setdefault("alerts", {})["sns"] = {"topic_arn": topic, "conn_id": "alerts_aws"}
    deployment.configure()


def send(alert: Alert = ALERT) -> dict[str, bool]:
    return channels.send(alert, settings().alerts)


def test_nothing_configured_sends_nothing(deployment: Deployment):
    assert send() == {}


def test_mail_says_what_happened_what_it_means_what_to_do_and_where(deployment: Deployment, mailbox: Mailbox):
    mail(deployment, mailbox.port)
    assert send() == {"smtp": True}
    (message,) = mailbox.mails
    assert (message["Subject"], message["From"]) == (HEADLINE, "backup@example.org")
    assert "ops@example.org" in message["To"]
    assert "lead@example.org" in message["To"]
    body = mailbox.body()
    assert "2 findings in &lt;messages&gt; &amp; {{ conn }}" in body
    for said in ("there is no backup of this run", "trigger collabhunts_backup again", "runbooks/backup-failed.md"):
        assert said in body
    assert f'<a href="{LINK}">' in body


def test_a_subject_cannot_bring_headers_of_its_own(deployment: Deployment, mailbox: Mailbox):
    mail(deployment, mailbox.port)
    send(firing("backup-unusual", "rows of a\r\nBcc: thief@example.org\r\n", "x", link=None, at=NOON))
    (message,) = mailbox.mails
    assert message["Bcc"] is None
    assert str(message["Subject"]).endswith("rows of a Bcc: thief@example.org")


def test_mail_with_a_login(deployment: Deployment):
    with mail_server(login=("backup", PASSWORD)) as box:
        mail(deployment, box.port, login="backup", password=PASSWORD)
        assert send() == {"smtp": True}
        mail(deployment, box.port, login="backup", password=f"wrong-{PASSWORD}")
        assert send() == {"smtp": False}
    assert len(box.mails) == 1
    assert "alert channel smtp failed: SMTPAuthenticationError" in deployment.logged
    assert PASSWORD not in deployment.logged


def test_the_webhook_gets_a_json_object(deployment: Deployment, endpoint: Endpoint):
    webhook(deployment, endpoint.url)
    assert send() == {"webhook": True}
    (received,) = endpoint.received
    assert received["kind"] == "backup-failed"
    assert received["state"] == "firing"
    assert received["severity"] == "critical"
    assert received["fact"] == FACT
    assert received["link"] == LINK
    assert received["headline"] == HEADLINE
    assert received["text"].startswith(HEADLINE)
    assert received["at"] == "2026-03-01T12:00:00Z"
    assert endpoint.paths == [f"/hooks/{PASSWORD}"]
    assert endpoint.headers[0]["Authorization"] == f"Bearer {TOKEN}"


def test_slack_gets_text_that_calls_nobody(deployment: Deployment, endpoint: Endpoint):
    slack(deployment, endpoint.url)
    assert send(firing("backup-unusual", "rows of <!channel>", FACT, link=LINK, at=NOON)) == {"slack": True}
    (received,) = endpoint.received
    assert "rows of &lt;!channel&gt;" in received["text"]
    assert endpoint.paths == [f"/services/T0/{TOKEN}"]


def test_sns_gets_a_message_with_a_subject(deployment: Deployment, cloud: Cloud):
    sns(deployment, cloud.url, cloud.topic)
    assert send() == {"sns": True}
    long = firing("backup-unusual", "rows of " + "ä" * 200, FACT, link=None, at=NOON)
    assert send(long) == {"sns": True}
    first, second = cloud.messages()
    assert first["Subject"] == HEADLINE
    assert "What to do: open the red task's log" in first["Message"]
    assert len(second["Subject"]) == 100
    assert second["Subject"].isascii()
    assert "ä" * 120 in second["Message"]


def test_the_all_clear_says_so(deployment: Deployment, mailbox: Mailbox):
    mail(deployment, mailbox.port)
    send(resolved("backup-failed", "collabhunts_backup", "it is recorded", link=None, at=NOON))
    assert mailbox.subjects == ["[CollabHunts backup] all clear: no longer: a backup failed: collabhunts_backup"]
    assert "nothing needs to be done" in mailbox.body()


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_an_endpoint_that_refuses_is_logged_without_its_answer(deployment: Deployment, endpoint: Endpoint, status: int):
    endpoint.status = status
    webhook(deployment, endpoint.url)
    slack(deployment, endpoint.url)
    assert send() == {"slack": False, "webhook": False}
    assert "alert channel webhook failed: " in deployment.logged
    assert "alert channel slack failed: " in deployment.logged
    for secret in (PASSWORD, TOKEN, "answer-canary"):
        assert secret not in deployment.logged


def test_servers_that_are_down_do_not_keep_the_others_from_hearing(deployment: Deployment, endpoint: Endpoint):
    down = free_port()
    mail(deployment, down, login="backup", password=PASSWORD)
    webhook(deployment, f"http://127.0.0.1:{down}")
    sns(deployment, f"http://127.0.0.1:{down}", f"arn:aws:sns:{REGION}:123456789012:alerts")
    slack(deployment, endpoint.url)
    assert send() == {"smtp": False, "sns": False, "slack": True, "webhook": False}
    assert len(endpoint.received) == 1
    assert PASSWORD not in deployment.logged
    assert TOKEN not in deployment.logged


def test_servers_that_hang_are_given_up(deployment: Deployment, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(channels, "LIMIT_SECONDS", 2.0)
    with silent_port() as port:
        mail(deployment, port)
        webhook(deployment, f"http://127.0.0.1:{port}")
        sns(deployment, f"http://127.0.0.1:{port}", f"arn:aws:sns:{REGION}:123456789012:alerts")
        slack(deployment, endpoint.url)
        started = time.monotonic()
        assert send() == {"smtp": False, "sns": False, "slack": True, "webhook": False}
        assert time.monotonic() - started < 5
    assert "alert channel smtp failed: NoAnswer" in deployment.logged


def test_a_channel_without_its_connection_is_logged(deployment: Deployment, endpoint: Endpoint):
    webhook(deployment, endpoint.url)
    deployment.content["alerts"]["smtp"] = {"to": ["ops@example.org"], "conn_id": "nowhere_to_be_found"}
    deployment.configure()
    assert send() == {"smtp": False, "webhook": True}


def cloudwatch(deployment: Deployment, url: str) -> None:
    extra = {"region_name": REGION, "endpoint_url": url, "aws_session_token": "not used"}
    deployment.connection("alerts_aws", conn_type="aws", login="key", password=PASSWORD, extra=extra)
    deployment.configure(alerts={"cloudwatch": {"conn_id": "alerts_aws"}})


def test_metrics_arrive_with_their_units(deployment: Deployment, cloud: Cloud):
    cloudwatch(deployment, cloud.url)
    assert metrics.push({"BackupSucceeded": 1, "BackupBytes": 5_000_000, "BackupSeconds": 12.5})
    found = cloud.client("cloudwatch").get_metric_data(
        StartTime=datetime.now(timezone.utc) - timedelta(minutes=5),  # moto counts every minute of it
        EndTime=datetime.now(timezone.utc) + timedelta(minutes=5),
        MetricDataQueries=[
            {
                "Id": name.lower(),
                "MetricStat": {
                    "Metric": {"Namespace": "CollabHunts/DisasterRecovery", "MetricName": name},
                    "Period": 60,
                    "Stat": "Maximum",
                    "Unit": unit,
                },
            }
            for name, unit in (("BackupSucceeded", "Count"), ("BackupBytes", "Bytes"), ("BackupSeconds", "Seconds"))
        ],
    )
    assert {each["Id"]: each["Values"] for each in found["MetricDataResults"]} == {
        "backupsucceeded": [1.0],
        "backupbytes": [5_000_000.0],
        "backupseconds": [12.5],
    }


def test_metrics_fail_nothing(deployment: Deployment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(metrics, "LIMIT_SECONDS", 2.0)
    assert metrics.push({"BackupSucceeded": 1}) is False  # not configured
    cloudwatch(deployment, f"http://127.0.0.1:{free_port()}")
    assert metrics.push({"BackupSucceeded": 1}) is False
    with silent_port() as port:
        cloudwatch(deployment, f"http://127.0.0.1:{port}")
        assert metrics.push({"BackupSucceeded": 1}) is False
    deployment.configure(alerts={"cloudwatch": {"namespace": ""}})  # a broken settings file
    assert metrics.push({"BackupSucceeded": 1}) is False
    assert "metrics were not written: EndpointConnectionError" in deployment.logged
    assert "metrics were not written: NoAnswer" in deployment.logged
    assert "metrics were not written: SettingsError" in deployment.logged
    assert PASSWORD not in deployment.logged
