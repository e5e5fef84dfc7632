"""One alert for each incident and an all-clear after it, through the real callbacks; whatever breaks, nothing fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import BackupLate, VerificationFailed
from include.disaster_recovery.runtime import alerts, failures, watch_tasks
from include.disaster_recovery.s3 import incidents
from include.disaster_recovery.s3.store import Store
from tests.support.alerting import PASSWORD, TOKEN, Deployment, deployment
from tests.support.receivers import Endpoint, free_port, http_endpoint, silent_port
from tests.support.rig import Rig

__all__ = ["deployment"]
PROJECT = Path(__file__).resolve().parents[2]
BASE = "https://airflow.example.org"
FOUND = VerificationFailed("backups/x.json is not what was written, 2 finding(s)", hint="trigger a new backup")
KEY = "backups/collabhunts-backup-2026-03-01T00-00-00-000Z.json"


@pytest.fixture
def endpoint(deployment: Deployment) -> Iterator[Endpoint]:
    """A webhook that the settings name."""
    with http_endpoint() as found:
        deployment.connection("collabhunts_webhook", conn_type="http", host=found.url, password=TOKEN)
        deployment.configure(alerts={"webhook": {}})
        deployment.patch.setenv("AIRFLOW__API__BASE_URL", BASE)
        yield found


@pytest.fixture
def bucket(deployment: Deployment, s3_server: S3Server, store: Store) -> Store:
    deployment.bucket(s3_server, store)
    return store


def told(endpoint: Endpoint) -> list[tuple[str, str, str]]:
    return [(each["state"], each["kind"], each["subject"]) for each in endpoint.received]


def failing(dag_id: str = "collabhunts_backup", task_id: str = "verify_backup", **more: Any) -> dict[str, Any]:
    """The context of a failed task."""
    run = SimpleNamespace(dag_id=dag_id, run_id="scheduled__2026-03-01T00:00:00+00:00", run_type="scheduled", conf={})
    ti = SimpleNamespace(task_id=task_id, map_index=-1)
    return {"dag_run": run, "task_instance": ti, "ti": ti, "exception": FOUND, **more}


def failed_run(dag_id: str, reason: str) -> dict[str, Any]:
    """The context of a failed run: its task instance is whichever came last."""
    context = failing(dag_id, reason=reason)
    del context["exception"]
    return context


# --- one alert for each incident -------------------------------------------------------------------------------------


def test_an_incident_is_told_once_and_its_end_once(bucket: Store, endpoint: Endpoint):
    for fact in ("first", "second", "third"):
        alerts.raise_alert("backup-failed", "collabhunts_backup", fact)
    assert told(endpoint) == [("firing", "backup-failed", "collabhunts_backup")]
    (incident,) = incidents.open_incidents(bucket, "backups/", "backup-failed")
    assert (incident.content["count"], incident.content["fact"], incident.content["is_told"]) == (3, "third", True)
    for _ in range(2):
        alerts.all_clear("backup-failed", "collabhunts_backup", "recorded")
    assert told(endpoint)[1:] == [("resolved", "backup-failed", "collabhunts_backup")]
    assert "reported 3 time(s)" in endpoint.received[-1]["fact"]
    assert bucket.keys("backups/incidents/") == []
    alerts.raise_alert("backup-failed", "collabhunts_backup", "again")
    assert len(endpoint.received) == 3


def test_where_there_was_no_incident_there_is_no_all_clear(bucket: Store, endpoint: Endpoint):
    alerts.all_clear("drill-failed", "collabhunts_drill", "proven")
    assert endpoint.received == []


def test_subjects_are_incidents_of_their_own_told_in_one_message(bucket: Store, endpoint: Endpoint):
    alerts.raise_alert("table-emptied", "roles", "roles: 0 rows")
    alerts.raise_alerts("table-emptied", {name: f"{name}: 0 rows" for name in ("roles", "a", "b", "c", "d")})
    assert [each["subject"] for each in endpoint.received] == ["roles", "a, b, c and 1 more"]
    assert endpoint.received[1]["fact"] == "a: 0 rows; b: 0 rows; c: 0 rows; d: 0 rows"
    alerts.all_clears("table-emptied", dict.fromkeys(("a", "b", "never"), "has rows"))
    assert endpoint.received[2]["subject"] == "a, b"
    assert sorted(alerts.open_subjects("table-emptied")) == ["c", "d", "roles"]


def test_a_hundred_changed_tables_are_one_message(bucket: Store, endpoint: Endpoint):
    facts = {f"rows of table_{number}": f"table_{number}: 0 rows" for number in range(100)}
    alerts.raise_alerts("backup-unusual", facts)
    (received,) = endpoint.received
    assert received["subject"].endswith(" and 97 more")
    assert len(bucket.keys("backups/incidents/")) == 100
    alerts.all_clears("backup-unusual", dict.fromkeys(facts, "as usual"))
    assert [each["state"] for each in endpoint.received] == ["firing", "resolved"]
    assert bucket.keys("backups/incidents/") == []


def test_a_hundred_changed_tables_do_not_wait_a_hundred_times_for_a_bucket_that_hangs(
    deployment: Deployment, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(alerts, "LIMIT_SECONDS", 1.0)
    facts = {f"table_{number}": "0 rows" for number in range(100)}
    with silent_port() as port:
        extra = {"endpoint_url": f"http://127.0.0.1:{port}"}
        deployment.connection("collabhunts_s3", conn_type="aws", login="x", password="y", extra=extra)
        started = time.monotonic()
        for _ in range(2):
            alerts.raise_alerts("table-emptied", facts)
        assert time.monotonic() - started < 12
    assert len(endpoint.received) == 1


# Forked, so that Airflow is imported once; each child is a process of its own, as a task's is.
REPORTERS = """
import os, sys, time
from include.disaster_recovery.runtime import alerts

alerts.settings()
start = time.time() + 1
children = []
for number in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        time.sleep(max(0, start - time.time()))
        alerts.raise_alert("backup-failed", "collabhunts_backup", f"extract {number} failed")
        os._exit(0)
    children.append(child)
sys.exit(any(os.waitpid(child, 0)[1] for child in children))
"""


def race(count: int) -> None:
    """So many processes report the same incident at the same moment."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", REPORTERS, str(count)]
    subprocess.run(command, env=environment, check=True, timeout=240)


def test_of_18_failing_tasks_one_tells(bucket: Store, endpoint: Endpoint):
    race(18)
    assert told(endpoint) == [("firing", "backup-failed", "collabhunts_backup")]


def test_of_failing_tasks_one_tells_though_the_bucket_is_down(deployment: Deployment, endpoint: Endpoint):
    down = f"http://127.0.0.1:{free_port()}"
    deployment.connection("collabhunts_s3", conn_type="aws", login="x", password=PASSWORD, extra={"endpoint_url": down})
    race(6)
    assert told(endpoint) == [("firing", "backup-failed", "collabhunts_backup")]


def test_what_was_told_while_the_bucket_was_down_is_cleared(
    deployment: Deployment, endpoint: Endpoint, s3_server: S3Server, store: Store
):
    down = f"http://127.0.0.1:{free_port()}"
    deployment.bucket(s3_server, store, endpoint_url=down)
    alerts.raise_alert("backup-failed", "collabhunts_backup", "the bucket is down")
    deployment.bucket(s3_server, store)
    alerts.all_clear("backup-failed", "collabhunts_backup", "recorded")
    alerts.all_clear("backup-failed", "collabhunts_backup", "recorded")
    assert [state for state, _, _ in told(endpoint)] == ["firing", "resolved"]


def test_a_bucket_that_hangs_holds_nothing_up(
    deployment: Deployment, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(alerts, "LIMIT_SECONDS", 1.0)
    with silent_port() as port:
        extra = {"endpoint_url": f"http://127.0.0.1:{port}"}
        deployment.connection("collabhunts_s3", conn_type="aws", login="x", password="y", extra=extra)
        started = time.monotonic()
        alerts.raise_alert("backup-failed", "collabhunts_backup", "slow")
        assert time.monotonic() - started < 8
    assert len(endpoint.received) == 1


def test_an_alert_that_nobody_took_is_tried_again_later(
    bucket: Store, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
):
    endpoint.status = 500
    alerts.raise_alert("backup-failed", "collabhunts_backup", "first")
    endpoint.status = 200
    alerts.raise_alert("backup-failed", "collabhunts_backup", "a moment later")
    assert len(endpoint.received) == 1
    later = datetime.now(timezone.utc) + timedelta(minutes=11)
    monkeypatch.setattr(alerts, "now", lambda: later)
    for _ in range(2):
        alerts.raise_alert("backup-failed", "collabhunts_backup", "eleven minutes later")
    assert [each["fact"] for each in endpoint.received] == ["first", "eleven minutes later"]


def test_news_that_no_channel_took_are_told_by_the_next_watch(
    bucket: Store, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
):
    """Nobody reports a schema's change a second time."""
    endpoint.status = 500
    alerts.raise_alerts("schema-drift", {KEY: "added: columns tip of bookings"})
    endpoint.status = 200
    alerts.raise_alerts("table-emptied", {"roles": "roles: 0 rows"})
    alerts.tell_again()
    assert len(endpoint.received) == 2  # whoever reports it may be telling it at this moment
    later = datetime.now(timezone.utc) + timedelta(minutes=11)
    monkeypatch.setattr(alerts, "now", lambda: later)
    for _ in range(2):
        alerts.tell_again()
    assert told(endpoint)[2:] == [("firing", "schema-drift", KEY)]
    assert endpoint.received[-1]["fact"] == "added: columns tip of bookings"


def test_an_incident_whose_object_is_garbage_can_be_ended(bucket: Store, endpoint: Endpoint):
    bucket.put(incidents.incident_key("backups/", "backup-failed", "collabhunts_backup"), b"\xff no JSON")
    alerts.raise_alert("backup-failed", "collabhunts_backup", "first")
    alerts.all_clear("backup-failed", "collabhunts_backup", "recorded")
    assert bucket.keys("backups/incidents/") == []


def test_what_nobody_has_reported_for_long_is_forgotten(bucket: Store, endpoint: Endpoint):
    now = datetime.now(timezone.utc)
    for days, subject in ((36, "expired long ago"), (34, "still there")):
        incidents.report(bucket, "backups/", "verification-failed", subject, "damaged", now - timedelta(days=days))
    assert incidents.forget_stale(bucket, "backups/", now) == 1
    assert list(alerts.open_subjects("verification-failed")) == ["still there"]


def test_settings_that_are_broken_fail_nothing(deployment: Deployment, bucket: Store):
    deployment.configure(alerts={"smtp": "everybody"})
    alerts.raise_alert("backup-failed", "collabhunts_backup", "x")
    alerts.all_clear("backup-failed", "collabhunts_backup", "x")
    assert "alert backup-failed (collabhunts_backup): x" in deployment.logged
    assert "could not be told: SettingsError" in deployment.logged


# --- the callbacks ---------------------------------------------------------------------------------------------------


def test_a_failing_backup_is_in_the_history_and_is_told(
    deployment: Deployment, bare_rig: Rig, bucket: Store, endpoint: Endpoint
):
    deployment.database(bare_rig)
    failures.record_failure(failing())
    failures.record_failure(failed_run("collabhunts_backup", "task_failure"))  # the run ends too
    (received,) = endpoint.received
    assert (received["kind"], received["subject"]) == ("backup-failed", "collabhunts_backup")
    assert received["fact"] == (
        "run scheduled__2026-03-01T00:00:00+00:00: verify_backup: backups/x.json is not what was written,"
        " 2 finding(s); hint: trigger a new backup"
    )
    run = "scheduled__2026-03-01T00%3A00%3A00%2B00%3A00"
    assert received["link"] == f"{BASE}/dags/collabhunts_backup/runs/{run}/tasks/verify_backup"
    with bare_rig.connect() as connection:
        assert connection.execute("select status from public.backup_history").fetchall() == [("failed",)]


def test_a_failed_run_that_is_reported_after_the_next_backup_is_not_told(
    deployment: Deployment, tables: Rig, bucket: Store, endpoint: Endpoint
):
    """The dag-processor comes when it comes: its alert would be open for a day."""
    deployment.database(tables)
    began = datetime.now(timezone.utc) - timedelta(seconds=1)
    late = failed_run("collabhunts_backup", "task_failure")
    late["dag_run"].start_date = began
    failures.record_failure(late)
    assert told(endpoint) == [("firing", "backup-failed", "collabhunts_backup")]
    outcome = tables.backup()
    alerts.all_clear("backup-failed", "collabhunts_backup", outcome.run.key)
    failures.record_failure(late)
    assert [state for state, _, _ in told(endpoint)] == ["firing", "resolved"]
    late["dag_run"].start_date = datetime.now(timezone.utc) + timedelta(seconds=1)
    failures.record_failure(late)  # one that began after that backup
    assert [state for state, _, _ in told(endpoint)] == ["firing", "resolved", "firing"]


def test_a_run_that_failed_after_its_backup_was_recorded_is_not_told(
    deployment: Deployment, tables: Rig, bucket: Store, endpoint: Endpoint
):
    """`watch_backup` killed each time: the run is red, the backup is good."""
    deployment.database(tables)
    outcome = tables.backup()
    context = failed_run("collabhunts_backup", "task_failure")
    context["dag_run"].run_id = outcome.run.run_id
    failures.record_failure(context)
    assert endpoint.received == []
    assert "nobody is told of it" in deployment.logged


def test_a_backup_that_fails_without_database_and_channel_fails_nothing(deployment: Deployment, bucket: Store):
    deployment.connection("collabhunts_webhook", conn_type="http", host=f"http://127.0.0.1:{free_port()}")
    deployment.configure(alerts={"webhook": {}})
    failures.record_failure(failing())
    assert "could not be written to backup_history" in deployment.logged
    assert "alert channel webhook failed" in deployment.logged


def test_what_another_library_says_is_not_repeated(deployment: Deployment, bucket: Store, endpoint: Endpoint):
    secret = ValueError(f"DETAIL: Key (email)=(row-canary@example.org) postgresql://u:{PASSWORD}@host")
    failures.log_failure(failing("collabhunts_restore", "apply_restore", exception=secret))
    (received,) = endpoint.received
    assert "apply_restore: ValueError" in received["fact"]
    kept = b"".join(bucket.read(key, 0, bucket.head(key).size) for key in bucket.keys("backups/"))  # type: ignore[union-attr]
    for text in (json.dumps(endpoint.received), kept.decode(), deployment.logged):
        assert "row-canary" not in text
        assert PASSWORD not in text
        assert TOKEN not in text


@pytest.mark.parametrize(
    "context, incident",
    [
        (failing("collabhunts_verify", "verify", task=SimpleNamespace(op_kwargs={"key": KEY})), ("verification-failed", KEY)),
        (failing("collabhunts_verify", "plan_verify", task=SimpleNamespace(op_kwargs={})), ("verification-failed", "scheduled__2026-03-01T00:00:00+00:00")),
        (failing("collabhunts_drill", "compare"), ("drill-failed", "collabhunts_drill")),
        (failing("collabhunts_restore", params={"target_conn_id": "new_project"}), ("restore-failed", "new_project")),
        (failing("collabhunts_restore"), ("restore-failed", "collabhunts_restore_db")),
        (failing("collabhunts_retention"), ("retention-failed", "collabhunts_retention")),
        (failing("collabhunts_watch", "watch_age"), ("watch-failed", "collabhunts_watch")),
        (failed_run("collabhunts_drill", "timed_out"), ("drill-failed", "collabhunts_drill")),
        (failed_run("collabhunts_verify", "timed_out"), ("verification-failed", "scheduled__2026-03-01T00:00:00+00:00")),
    ],
)  # fmt: skip
def test_each_dag_has_its_kind_and_subject(
    bucket: Store, endpoint: Endpoint, context: dict[str, Any], incident: tuple[str, str]
):
    failures.log_failure(context)
    assert told(endpoint) == [("firing", *incident)]


@pytest.mark.parametrize(
    "context",
    [
        failing(task_id="remove_staging"),
        failing(task_id="watch_backup"),
        failed_run("collabhunts_verify", "task_failure"),
        failed_run("collabhunts_watch", "task_failure"),
        failing("collabhunts_watch", "watch_age", exception=BackupLate("old", hint="x")),
        failing("somebody_elses"),
    ],
)
def test_what_is_no_incident_or_told_already_is_not_told(bucket: Store, endpoint: Endpoint, context: dict[str, Any]):
    failures.log_failure(context)
    assert endpoint.received == []


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_deadline_of_a_run_that_has_ended_is_nothing_new(bucket: Store, endpoint: Endpoint, state: str):
    """Airflow 3.3 calls for the deadline of a failed run hours after its end, when another may have made the backup."""
    failures.deadline_missed({"dag_run": {"dag_run_id": "manual__1", "state": state}, "deadline": {}})
    assert endpoint.received == []


def test_a_missed_deadline_is_a_late_backup_until_one_is_recorded(bucket: Store, endpoint: Endpoint):
    failures.deadline_missed({"dag_run": {"dag_run_id": "manual__1", "state": "running"}, "deadline": {}})
    assert endpoint.received[0]["subject"] == failures.RUN
    assert "manual__1 has not ended" in endpoint.received[0]["fact"]
    watch_tasks.all_clears("backup-late", {failures.RUN: "done"})
    assert [state for state, _, _ in told(endpoint)] == ["firing", "resolved"]
