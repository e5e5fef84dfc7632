"""What a real scheduler makes of alerts: who is told what, once, and that no channel holds a backup up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from include.disaster_recovery.alerting import KINDS
from include.disaster_recovery.s3.incidents import open_incidents
from tests.e2e.conftest import CANARY, DAG, Platform, TimedOut, wait_for

pytestmark = pytest.mark.timeout(420)

KIND = "backup-failed"


def posted(platform: Platform, kind: str = KIND) -> list[dict[str, Any]]:
    """What the webhook was told, in order; other tests fail backups as well."""
    return [each for each in platform.webhook.received if each["kind"] == kind]


def mailed(platform: Platform, kind: str = KIND) -> list[str]:
    """Subjects and texts of the mails."""
    bodies = [(subject, platform.mailbox.body(at)) for at, subject in enumerate(platform.mailbox.subjects)]
    return [f"{subject}\n{unescape(body)}" for subject, body in bodies if KINDS[kind].title in subject]


@contextmanager
def hanging_webhook(platform: Platform) -> Iterator[None]:
    platform.webhook.answers.clear()
    try:
        yield
    finally:
        platform.webhook.answers.set()


def assert_opens(platform: Platform, link: str, task_id: str) -> None:
    """The page answers, and run and task in its address are those that the API knows."""
    assert httpx.get(link, timeout=30, trust_env=False).status_code == 200
    address = urlsplit(link)
    assert f"{address.scheme}://{address.netloc}" == platform.airflow.base_url
    _, dags, dag_id, runs, run_id, tasks, found = address.path.split("/")
    assert (dags, dag_id, runs, tasks, found) == ("dags", DAG, "runs", "tasks", task_id)
    api = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
    assert platform.api.api("GET", api)["dag_run_id"] == unquote(run_id)


def assert_says_nothing_it_must_not(platform: Platform) -> None:
    incidents = [
        platform.store.read(key, 0, head.size).decode()
        for key in platform.store.keys("backups/incidents/")
        if (head := platform.store.head(key))
    ]
    messages = [str(mail) for mail in platform.mailbox.mails] + [json.dumps(platform.webhook.received)]
    bodies = [platform.mailbox.body(at) for at in range(len(platform.mailbox.mails))]
    for text in [*messages, *bodies, *incidents, *platform.logs()]:
        for secret in [*platform.secrets(), CANARY]:
            assert secret not in text


def test_a_backup_is_held_against_those_before_it(platform: Platform, first_run: str) -> None:
    (row,) = platform.history(first_run)
    watch = row["components_backed_up"]["watch"]
    assert watch["judged"] is True
    assert watch["key"].endswith(row["file_name"])


@pytest.mark.usefixtures("few_tables")
def test_a_failing_backup_is_told_once_by_each_channel_and_so_is_its_end(platform: Platform, first_run: str) -> None:
    """The webhook hangs at the end: the backup is none the worse, and the mail arrives."""
    before = len(posted(platform)), len(mailed(platform))
    platform.sql("create table never_restorable (tree pg_node_tree)")
    try:
        failed, state = platform.run(DAG)
    finally:
        platform.sql("drop table never_restorable")
    assert state == "failed"
    with hanging_webhook(platform):
        good, state = platform.run(DAG)
    assert state == "success"
    firing, resolved = posted(platform)[before[0] :]
    first, second = mailed(platform)[before[1] :]
    known = KINDS[KIND]
    assert (firing["state"], firing["meaning"], firing["action"]) == ("firing", known.meaning, known.action)
    assert f"run {failed}: preflight: 1 of " in firing["fact"]
    assert "table never_restorable, column tree" in firing["fact"]
    assert_opens(platform, firing["link"], "preflight")
    for said in (known.meaning, known.action, "never_restorable", firing["link"], known.runbook):
        assert said in first
    (row,) = platform.history(good)
    assert (resolved["state"], resolved["subject"]) == ("resolved", firing["subject"])
    assert f"{row['file_name']} is recorded and verified" in resolved["fact"]
    assert "all clear" in second
    assert row["file_name"] in second
    assert "alert channel webhook failed: " in platform.api.task_log(DAG, good, "watch_backup")
    (watched,) = [task for task in platform.api.task_instances(DAG, good) if task.task_id == "watch_backup"]
    assert (watched.duration_s or 0) < 40  # a channel gets 20 s at most
    assert_says_nothing_it_must_not(platform)


def told_by_dag_processor(platform: Platform, run_id: str) -> bool:
    logs = platform.airflow.home.glob("logs/dag_processor/**/*.log")
    return any(f"alert {KIND} ({DAG}): run {run_id}" in file.read_text(errors="replace") for file in logs)


@pytest.mark.usefixtures("few_tables")
def test_a_killed_task_is_told_by_the_dag_processor(platform: Platform, first_run: str) -> None:
    """SIGKILL: the task's process cannot say it. Tasks that miss its snapshot may have said so first."""
    before = len(posted(platform)), len(mailed(platform))
    conf = {"fresh_attempt_of": first_run, "backup_type": "manual"}  # so that it starts no other
    run_id = platform.api.trigger(DAG, conf)
    holding = {"hold_snapshot": "running"}
    wait_for("a held snapshot", lambda: holding.items() <= platform.states(DAG, run_id).items())
    platform.kill_task(DAG, run_id, "hold_snapshot")
    assert platform.finish(DAG, run_id) == "failed"
    wait_for("a report of the dag-processor", lambda: told_by_dag_processor(platform, run_id))
    wait_for("the alert", lambda: len(posted(platform)) > before[0] and len(mailed(platform)) > before[1])
    (firing,) = posted(platform)[before[0] :]
    assert firing["fact"].startswith(f"run {run_id}: ")
    assert "hint:" in firing["fact"]
    (mail,) = mailed(platform)[before[1] :]
    assert firing["link"] in mail
    assert_says_nothing_it_must_not(platform)


def test_a_run_that_times_out_opens_an_incident(platform: Platform, timed_out: TimedOut) -> None:
    """Its tasks are ended without a word: the dag-processor raises the alarm."""
    assert timed_out.state == "failed"

    def told() -> bool:
        found = open_incidents(platform.store, "backups/", KIND)
        return any(timed_out.run_id in str(each.content["fact"]) for each in found)

    assert wait_for("the incident", told)
