"""`collabhunts_backup` under a real scheduler: what it writes, and what it survives."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from include.disaster_recovery.s3.documents import read_manifest
from tests.e2e.conftest import BALLAST_ROWS, CANARY, DAG, FEW_TABLES, Platform, TimedOut, wait_for

pytestmark = pytest.mark.timeout(420)


def set_slots(platform: Platform, slots: int) -> None:
    pool = {"name": "default_pool", "slots": slots, "include_deferred": False}
    platform.api.api("PATCH", "/api/v2/pools/default_pool", pool, update_mask="slots")


def staged(platform: Platform, row: dict[str, Any]) -> list[str]:
    """What a run has left in its staging folder, which is named as its backup."""
    moment = str(row["file_name"]).removeprefix("collabhunts-backup-").partition(".")[0]
    return platform.store.keys(f"staging/{moment}/")


def session(platform: Platform, condition: str) -> bool:
    """Whether a session of the backup meets a condition."""
    query = (
        "select 1 from pg_stat_activity as a"
        f" where a.application_name = 'collabhunts_backup' and a.datname = current_database() and {condition}"
    )
    return bool(platform.sql(query))


def test_a_scheduled_run_records_a_verified_backup(platform: Platform, first_run: str) -> None:
    (row,) = platform.history(first_run)
    assert (row["status"], row["backup_type"], row["error_message"]) == ("success", "scheduled", None)
    head = platform.store.head("backups/" + row["file_name"])
    assert head is not None
    assert head.size == row["file_size"] > 100_000_000
    assert head.sse == "AES256"
    assert head.checksum is not None
    assert row["components_backed_up"]["verification"]["valid"] is True
    assert row["components_backed_up"]["row_counts"]["ballast"] == BALLAST_ROWS
    assert "auth.users" in row["tables_backed_up"]
    assert (row["migration_count"], row["function_count"] > 5) == (12, True)
    assert staged(platform, row) == []


def test_each_fragment_is_a_task_named_by_its_table(platform: Platform, first_run: str) -> None:
    labels = {task.label for task in platform.api.task_instances(DAG, first_run)}
    assert {"extract[messages]", "extract[auth.users]", "extract[ballast [1/2]]", "extract[ballast [2/2]]"} <= labels


def test_one_table_is_cut_out_by_its_range_alone(platform: Platform, first_run: str) -> None:
    (row,) = platform.history(first_run)
    key = "backups/" + row["file_name"]
    manifest, _ = read_manifest(platform.store, key, row["file_size"])
    table = manifest.tables["messages"]
    cut = json.loads(platform.store.read(key, table.offset, table.length))
    assert len(cut["rows"]) == cut["row_count"] == table.row_count > 1000


def test_the_asset_event_carries_key_size_and_rows(platform: Platform, first_run: str) -> None:
    (row,) = platform.history(first_run)
    events = platform.api.api("GET", "/api/v2/assets/events")["asset_events"]
    (event,) = [event for event in events if event["source_run_id"] == first_run]
    assert event["uri"].rstrip("/") == "s3://collabhunts-backups/backups"
    assert event["extra"]["key"] == "backups/" + row["file_name"]
    assert event["extra"]["size"] == row["file_size"]
    assert event["extra"]["rows"] == row["components_backed_up"]["total_rows"]


def test_xcoms_and_logs_hold_no_secret_and_no_row(platform: Platform, first_run: str) -> None:
    values, logs = platform.xcoms(DAG, first_run), platform.logs()
    assert any('"snapshot_id"' in value or "snapshot_id" in value for value in values)
    assert any("holding snapshot" in log for log in logs)
    for text in [*values, *logs]:
        for secret in [*platform.secrets(), CANARY]:
            assert secret not in text


@pytest.mark.usefixtures("few_tables")
def test_a_manual_run_says_who_triggered_it(platform: Platform, first_run: str) -> None:
    run_id = platform.api.trigger(DAG)
    assert platform.finish(DAG, run_id) == "success"
    (row,) = platform.history(run_id)
    assert row["backup_type"] == "manual"
    assert row["components_backed_up"]["run"]["triggered_by"] == "admin"


@pytest.mark.usefixtures("few_tables")
def test_two_runs_triggered_at_once_write_two_documents(platform: Platform, first_run: str) -> None:
    run_ids = [platform.api.trigger(DAG), platform.api.trigger(DAG)]
    assert [platform.finish(DAG, run_id) for run_id in run_ids] == ["success", "success"]
    names = {platform.history(run_id)[0]["file_name"] for run_id in run_ids}
    assert len(names) == 2
    assert {f"backups/{name}" for name in names} <= set(platform.documents())


@pytest.mark.usefixtures("few_to_catch")
def test_a_killed_extract_is_retried_in_the_same_snapshot(platform: Platform, first_run: str) -> None:
    run_id = platform.api.trigger(DAG)
    wait_for("an extract", lambda: session(platform, "a.query like 'copy %ballast%' and a.state = 'active'"))
    platform.kill_task(DAG, run_id, "extract", "ballast")
    assert platform.finish(DAG, run_id) == "success"
    tries = {task.label: task.try_number for task in platform.api.task_instances(DAG, run_id)}
    assert max(number for label, number in tries.items() if "ballast" in label) == 2
    (row,) = platform.history(run_id)
    assert row["status"] == "success"
    assert staged(platform, row) == []


def runs_after(platform: Platform, run_id: str) -> list[dict[str, Any]]:
    """The runs that a run has started as fresh attempts."""
    runs = platform.api.api("GET", f"/api/v2/dags/{DAG}/dagRuns", limit=100)["dag_runs"]
    return [run for run in runs if (run["conf"] or {}).get("fresh_attempt_of") == run_id]


@pytest.mark.usefixtures("few_to_catch")
def test_a_killed_holder_costs_one_fresh_attempt_which_is_clean(platform: Platform, first_run: str) -> None:
    before = platform.documents()
    run_id = platform.api.trigger(DAG)
    wait_for("an extract", lambda: session(platform, "a.query like 'copy %' and a.state = 'active'"))
    platform.kill_task(DAG, run_id, "hold_snapshot")
    assert platform.finish(DAG, run_id) == "failed"
    (row,) = wait_for("a failed row", lambda: [row for row in platform.history(run_id) if row["status"] == "failed"])
    assert "hint:" in row["error_message"]
    assert platform.documents() == before
    (again,) = wait_for("a fresh attempt", lambda: runs_after(platform, run_id))
    assert platform.finish(DAG, again["dag_run_id"]) == "success"
    assert len(platform.documents()) == len(before) + 1
    (row,) = platform.history(again["dag_run_id"])
    assert (row["status"], row["backup_type"]) == ("success", "manual")
    assert platform.states(DAG, again["dag_run_id"])["start_again"] == "skipped"


@pytest.mark.usefixtures("few_to_catch")
def test_a_lost_fresh_attempt_is_not_followed_by_another(platform: Platform, first_run: str) -> None:
    run_id = platform.api.trigger(DAG, {"fresh_attempt_of": first_run, "backup_type": "scheduled"})
    wait_for("an extract", lambda: session(platform, "a.query like 'copy %' and a.state = 'active'"))
    platform.kill_task(DAG, run_id, "hold_snapshot")
    assert platform.finish(DAG, run_id) == "failed"
    assert platform.states(DAG, run_id)["start_again"] == "skipped"
    assert runs_after(platform, run_id) == []
    (row,) = wait_for("a failed row", lambda: [row for row in platform.history(run_id) if row["status"] == "failed"])
    assert row["backup_type"] == "scheduled"


def test_a_run_that_times_out_is_recorded_as_failed(platform: Platform, timed_out: TimedOut) -> None:
    assert timed_out.state == "failed"
    (row,) = wait_for(
        "a row with the reason",
        lambda: [row for row in platform.history(timed_out.run_id) if "dagrun_timeout" in (row["error_message"] or "")],
        seconds=90,
    )
    assert row["status"] == "failed"
    before, after = timed_out.documents
    assert after == before


def test_one_slot_is_said_instead_of_hanging(platform: Platform, first_run: str) -> None:
    set_slots(platform, 1)
    try:
        with platform.backing_up(*FEW_TABLES, snapshot_start_seconds=3):
            run_id = platform.api.trigger(DAG)
            assert platform.finish(DAG, run_id) == "failed"
    finally:
        set_slots(platform, 128)
    (row,) = platform.history(run_id)
    assert "two slots at once" in row["error_message"]


def test_a_failed_preflight_is_in_the_history_too(platform: Platform, first_run: str) -> None:
    platform.sql("create table never_restorable (tree pg_node_tree)")
    try:
        run_id = platform.api.trigger(DAG)
        assert platform.finish(DAG, run_id) == "failed"
    finally:
        platform.sql("drop table never_restorable")
    (row,) = platform.history(run_id)
    assert (row["status"], row["backup_type"]) == ("failed", "manual")
    assert row["error_message"].startswith("preflight: 1 of ")
    assert "table never_restorable, column tree" in row["error_message"]
    assert "hint: exclude the table" in row["error_message"]


def test_sequential_dags_test_says_so_at_once(lone_airflow: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "dags", "test", DAG],
        env=lone_airflow,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "runs tasks one after the other" in done.stdout + done.stderr
    assert "--use-executor" in done.stdout + done.stderr
