"""What a real scheduler makes of the alerts: the watch of a backup, and a run that is ended from outside."""

from __future__ import annotations

from include.disaster_recovery.s3.incidents import open_incidents
from tests.e2e.conftest import SHORT_DAG, Platform, wait_for


def test_a_backup_is_held_against_those_before_it(platform: Platform, first_run: str) -> None:
    (row,) = platform.history(first_run)
    watch = row["components_backed_up"]["watch"]
    assert watch["judged"] is True
    assert watch["key"].endswith(row["file_name"])


def test_a_run_that_times_out_opens_an_incident(platform: Platform, first_run: str) -> None:
    """Its tasks are ended without a word: the dag-processor raises the alarm."""
    platform.api.wait_for_dag(SHORT_DAG)
    platform.api.unpause(SHORT_DAG)
    run_id, state = platform.run(SHORT_DAG)
    assert state == "failed"

    def told() -> bool:
        found = open_incidents(platform.store, "backups/", "backup-failed")
        return any(run_id in str(each.content["fact"]) for each in found)

    assert wait_for("the incident", told)
