"""`collabhunts_retention` under a real scheduler, over a bucket with a past. The last file: it expires other tests' backups."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.s3 import pins
from include.disaster_recovery.s3.records import list_records
from tests.e2e.conftest import CANARY, RETENTION_DAG, Platform
from tests.support.naive_forget import forget
from tests.support.planted import plant

pytestmark = pytest.mark.timeout(420)

PREFIX, REASON = "backups/", "before the migration"


@pytest.fixture(scope="module")
def year(platform: Platform, key: str) -> list[BackupRecord]:
    """Every backup of the bucket: those of this day's tests, one of them pinned, and one for each day of a year."""
    now = datetime.now(timezone.utc)
    plant(platform.store, PREFIX, 366, now=now - timedelta(days=1))
    pins.pin(platform.store, PREFIX, key, reason=REASON, by="tester", now=now)
    platform.api.wait_for_dag(RETENTION_DAG)
    platform.api.unpause(RETENTION_DAG)
    return list_records(platform.store, PREFIX, now)


def expected(year: list[BackupRecord]) -> set[str]:
    """What restic would keep of the verified ones, and what is kept whatever the policy says."""
    verified = {record.created_at: record.key for record in year if record.is_verified}
    stay = {verified[moment] for moment in forget(verified, keep_daily=7, keep_weekly=4, keep_monthly=12)}
    proven = [record.key for record in year if record.is_proven]
    fresh = {record.key for record in year if not record.is_verified}  # unverified or damaged, since today
    return {*stay, *proven[-1:], *(record.key for record in year if record.pinned), *fresh}


def test_a_dry_run_says_why_and_deletes_nothing(platform: Platform, year: list[BackupRecord], key: str) -> None:
    run_id, state = platform.run(RETENTION_DAG, dry_run=True)
    assert state == "success"
    log = platform.api.task_log(RETENTION_DAG, run_id, "plan_expiry")
    assert f"pinned: {REASON}" in log
    assert "daily 7 of 7" in log
    assert "monthly 12 of 12" in log
    assert "no rule keeps it" in log
    assert {record.key for record in list_records(platform.store, PREFIX, year[-1].created_at)} >= {
        record.key for record in year
    }


def test_a_year_of_backups_is_thinned_to_exactly_the_policy(
    platform: Platform, year: list[BackupRecord], key: str
) -> None:
    run_id = platform.api.trigger(RETENTION_DAG)
    platform.succeed(RETENTION_DAG, run_id)
    kept = {record.key for record in list_records(platform.store, PREFIX, datetime.now(timezone.utc))}
    assert kept == expected(year)
    assert key in kept
    assert 19 <= len([record for record in year if record.key in kept and record.is_verified]) <= 25
    assert "expired " in platform.api.task_log(RETENTION_DAG, run_id, "expire")


def test_the_history_marks_what_has_expired_and_keeps_its_rows(platform: Platform, year: list[BackupRecord]) -> None:
    rows = platform.sql(
        "select file_name, components_backed_up -> 'expired' ->> 'reason' from backup_history"
        " where status = 'success' and components_backed_up ? 'run'"  # the demo's other rows are of its old function
    )
    there = {record.key.removeprefix(PREFIX) for record in list_records(platform.store, PREFIX, year[-1].created_at)}
    assert rows
    assert {name for name, reason in rows if reason is None} == {name for name, _ in rows if name in there}


def test_a_second_run_finds_nothing_more_to_do(platform: Platform, year: list[BackupRecord]) -> None:
    before = platform.documents()
    run_id = platform.api.trigger(RETENTION_DAG)
    platform.succeed(RETENTION_DAG, run_id)
    assert platform.documents() == before
    for text in [*platform.xcoms(RETENTION_DAG, run_id), *platform.logs()]:
        for secret in [*platform.secrets(), CANARY]:
            assert secret not in text
