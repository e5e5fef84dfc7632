"""`collabhunts_drill` under a real scheduler: a backup's asset event starts it, and it proves the backup."""

from __future__ import annotations

import json

import pytest

from include.disaster_recovery.backup_record import proof_of
from include.disaster_recovery.s3.tags import read_tags
from tests.e2e.conftest import CANARY, DAG, DRILL_DAG, Platform, wait_for

pytestmark = pytest.mark.timeout(420)

SCRATCH = "select datname from pg_database where datname like 'collabhunts\\_drill\\_%'"


@pytest.fixture(scope="module")
def drilled(platform: Platform, first_run: str) -> tuple[str, str]:
    """A backup, and the drill that its asset event has started."""
    platform.api.wait_for_dag(DRILL_DAG)
    platform.api.unpause(DRILL_DAG)
    with platform.excluding("ballast"):  # the large table is in the restores
        backup_run, state = platform.run(DAG)
    assert state == "success"
    path = f"/api/v2/dags/{DRILL_DAG}/dagRuns"
    runs = wait_for("a drill", lambda: platform.api.api("GET", path)["dag_runs"])
    drill_run = str(runs[0]["dag_run_id"])
    assert runs[0]["run_type"] == "asset_triggered"
    platform.succeed(DRILL_DAG, drill_run)
    platform.api.api("PATCH", f"/api/v2/dags/{DRILL_DAG}", {"is_paused": True})  # other backups need no drill
    return backup_run, drill_run


def test_a_backup_is_proven_by_the_drill_its_event_starts(platform: Platform, drilled: tuple[str, str]) -> None:
    (row,) = platform.history(drilled[0])
    drill = row["components_backed_up"]["drill"]
    assert drill["state"] == "proven"
    assert 0 < drill["seconds"] < 240
    tags = read_tags(platform.store, "backups/" + row["file_name"])
    assert tags is not None
    proof = proof_of(tags)
    assert proof is not None
    assert (proof.state, round(proof.seconds, 1)) == ("proven", round(drill["seconds"], 1))


def test_its_report_lies_in_the_bucket_with_every_check(platform: Platform, drilled: tuple[str, str]) -> None:
    (row,) = platform.history(drilled[0])
    key = row["components_backed_up"]["drill"]["report"]
    assert key.startswith("backups/drills/")
    head = platform.store.head(key)
    assert head is not None
    report = platform.store.read(key, 0, head.size).decode()
    assert '"failed"' not in json.dumps(json.loads(report).get("checks", []))
    assert "content of messages" in report
    assert CANARY not in report


def test_nothing_is_left_on_the_drill_server(platform: Platform, drilled: tuple[str, str]) -> None:
    assert platform.sql(SCRATCH) == []


def test_xcoms_and_logs_of_a_drill_hold_no_secret_and_no_row(platform: Platform, drilled: tuple[str, str]) -> None:
    for text in [*platform.xcoms(DRILL_DAG, drilled[1]), *platform.logs()]:
        for secret in [*platform.secrets(), CANARY]:
            assert secret not in text
