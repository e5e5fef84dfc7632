"""Two backups of one database at once: one reads, the other says why it does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from include.disaster_recovery.errors import BackupInProgress
from tests.support.rig import Rig
from tests.support.run_outcomes import statuses


def test_second_backup_is_refused_while_one_holds_the_snapshot(tables: Rig):
    run = tables.open()
    with tables.held():
        with pytest.raises(BackupInProgress, match="another backup is reading this database"):
            tables.open()
        with pytest.raises(BackupInProgress, match="another backup is reading this database"), tables.held():
            pass
    assert statuses(tables) == ["in_progress"]
    assert tables.store.keys("") == [f"{run.staging_prefix}claim"]


def test_of_two_backups_started_at_once_one_succeeds_and_the_other_says_why(tables: Rig):
    def attempt(_: int) -> str:
        try:
            tables.backup()
        except BackupInProgress:
            return "in progress"
        return "success"

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(attempt, range(2)))
    assert "success" in results
    assert len(tables.store.keys("backups/")) == results.count("success")
