from datetime import datetime, timedelta, timezone

import pytest

from include.disaster_recovery.drill_guard import EarlierDrill, held_back

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=timezone.utc)  # a Monday
BACKUP = "collabhunts-backup-2026-11-23T00-00-00-000Z"


def drill(hours_ago: float, backup: str = "another") -> EarlierDrill:
    return EarlierDrill(at=NOW - timedelta(hours=hours_ago), backup=backup)


def reason(**changed) -> str | None:
    usual = {
        "by_hand": False,
        "every": "backup",
        "max_bytes": None,
        "backup": BACKUP,
        "size": 1000,
        "earlier": [],
        "now": NOW,
    }
    return held_back(**{**usual, **changed})


def test_each_backup_is_drilled_by_default_however_recent_the_last_drill():
    assert reason(earlier=[drill(0.1), drill(5)]) is None


def test_a_backup_that_has_its_verdict_is_not_drilled_again():
    said = reason(earlier=[drill(3, BACKUP), drill(1)])
    assert said is not None
    assert "drilled already, 2026-11-23 03:00 UTC" in said


@pytest.mark.parametrize(
    "every, hours_ago, is_due",
    [
        ("day", 5.9, False),  # the same UTC day
        ("day", 6.1, True),  # before midnight UTC
        ("week", 6.0, False),  # Monday, 00:00
        ("week", 6.1, True),  # Sunday: another ISO week
        ("week", 24 * 7, True),
    ],
)
def test_the_first_of_each_day_or_week(every, hours_ago, is_due):
    said = reason(every=every, earlier=[drill(hours_ago), drill(2000)])
    assert (said is None) == is_due
    assert is_due or f"drill.every is {every}, and this {every} has had its drill: another" in str(said)


def test_a_week_is_one_of_its_year():
    monday = datetime(2027, 1, 4, tzinfo=timezone.utc)  # 2027-W01; the days before are of 2026-W53
    sunday = EarlierDrill(at=datetime(2027, 1, 3, tzinfo=timezone.utc), backup="another")
    assert reason(every="week", earlier=[sunday], now=monday) is None
    assert reason(every="week", earlier=[sunday], now=datetime(2026, 12, 28, tzinfo=timezone.utc)) is not None


@pytest.mark.parametrize("max_bytes, is_due", [(999, False), (1000, True), (None, True)])
def test_a_document_that_is_too_large(max_bytes, is_due):
    said = reason(max_bytes=max_bytes)
    assert (said is None) == is_due
    assert is_due or "has 1000 bytes, drill.max_bytes is 999" in str(said)


def test_whoever_asks_for_a_drill_gets_it():
    assert reason(by_hand=True, every="week", max_bytes=1, earlier=[drill(1, BACKUP), drill(2)]) is None
