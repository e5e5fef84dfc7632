"""Retention over a real bucket with a past: exactly the expected keys stay, and nothing that is not ours is touched."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from include.disaster_recovery.backup_key import backup_key, opened_at
from include.disaster_recovery.s3 import leases, pins
from include.disaster_recovery.s3.records import list_records
from include.disaster_recovery.s3.tags import merge_tags, read_tags
from include.disaster_recovery.steps.retention.planning import log_plan
from tests.support import planted
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.naive_forget import forget
from tests.support.planted import daily, plant
from tests.support.retention_rig import NOW, PREFIX, RetentionRig
from tests.support.rig import Rig

USUAL = {"keep_daily": 7, "keep_weekly": 4, "keep_monthly": 12}
DAY = timedelta(days=1)


@pytest.fixture
def retention(bare_rig: Rig) -> RetentionRig:
    return RetentionRig(bare_rig)


def key(moment: datetime) -> str:
    return backup_key(PREFIX, moment, "none")


def moments(keys: list[str]) -> list[datetime]:
    return [opened_at(PREFIX, each) for each in keys]


def verdict(at: datetime, *, valid: bool = True) -> dict[str, Any]:
    """As the first release wrote it."""
    findings = [] if valid else ["table messages, fragment 1 of 2: its SHA-256 differs"]
    counts = {"size": 1, "tables": 1, "rows": 1, "fragments": 1}
    return {
        "valid": valid,
        "checked_at": at.isoformat(),
        **counts,
        "checksum": None,
        "findings": findings,
        "warnings": [],
    }


def test_a_year_of_backups_comes_down_to_exactly_the_expected_keys(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 366, now=NOW)
    retention.add_rows(keys)
    expected = [key(each) for each in sorted(forget(moments(keys), **USUAL))]
    report = retention.run()
    assert retention.keys() == expected
    assert report.expired == [each for each in keys if each not in expected]
    assert retention.marked() == set(report.expired)
    assert (
        report.summary
        == f"expired {366 - len(expected)} of 366 backups, kept {len(expected)} (7 daily, 2 weekly, 11 monthly)"
    )
    again = retention.run(NOW + timedelta(hours=1))
    assert (again.expired, again.kept, retention.keys()) == ([], {}, expected)


def test_daily_runs_over_the_next_weeks_keep_what_a_second_implementation_keeps(retention: RetentionRig):
    left = moments(plant(retention.store, PREFIX, 366, now=NOW, compression="zstd"))
    for number in range(30):
        now = NOW + number * DAY
        if number % 9:  # some days have no backup
            left += moments(plant(retention.store, PREFIX, daily(1, now), now=now, compression="zstd"))
        left = sorted(forget(left, **USUAL))
        retention.run(now)
        assert moments(retention.keys()) == left
    assert 19 <= len(left) <= 21


def test_what_is_pinned_leased_proven_unverified_or_invalid_stays_in_a_year_with_gaps(retention: RetentionRig):
    all_days = [each for each in daily(366, NOW) if each.day not in range(10, 21)]
    damaged, unknown = set(all_days[-3:-1]), {all_days[-5], all_days[-40]}
    proven = all_days[-30]

    def tags(moment: datetime) -> Mapping[str, str]:
        if moment in damaged:
            return planted.invalid(moment)
        if moment in unknown:
            return {}
        return planted.proven(moment) if moment == proven else planted.valid(moment)

    plant(retention.store, PREFIX, all_days, now=NOW, tags=tags)
    pinned, leased = all_days[-100], all_days[-101]
    pins.pin(retention.store, PREFIX, key(pinned), reason="before migration", by=None, now=NOW)
    leases.take(retention.store, PREFIX, key(leased), "run", datetime.now(NOW.tzinfo))
    present = replace(retention, now=datetime.now(NOW.tzinfo))
    fed = [each for each in all_days if each not in damaged | unknown]
    wanted = forget(fed, **USUAL) | {pinned, leased, proven}
    grace = {each for each in damaged if each + timedelta(hours=1) + 7 * DAY > present.now}
    present.run()
    assert moments(retention.keys()) == sorted(wanted | grace)
    assert len(retention.keys(f"{PREFIX}pinned/")) == len(retention.keys(f"{PREFIX}in-use/")) == 1


def test_grace_of_unverified_and_invalid_ones_is_counted_in_days(retention: RetentionRig):
    states = {0: planted.valid, 1: planted.unverified, 8: planted.unverified, 2: planted.invalid, 9: planted.invalid}
    for back, tags in states.items():
        plant(retention.store, PREFIX, [NOW - back * DAY], now=NOW, tags=tags)
    retention.keeping(keep_last=1).run()
    assert moments(retention.keys()) == [NOW - back * DAY for back in (2, 1, 0)]


def test_verdict_that_only_the_history_knows_counts(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 4, now=NOW, tags={})
    old = moments(keys)
    for each, at, valid in ((keys[0], old[0], True), (keys[1], old[1], True), (keys[2], old[2], False)):
        retention.add_rows([each], components={"verification": verdict(at, valid=valid)})
    retention.add_rows([keys[3]], status="failed", components={"verification": verdict(old[3])})
    plan = retention.keeping(keep_last=1).plan()
    assert [each.reasons[0] for each in plan.decisions] == [
        "not verified yet, kept until 2026-03-21 00:00 UTC",  # a failed row promises nothing
        "invalid, kept for inspection until 2026-03-20 00:00 UTC",
        "last 1 of 1",
        "no rule keeps it",
    ]


def test_the_later_verdict_of_bucket_and_history_wins(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 3, now=NOW)  # tagged as valid five minutes after the moment
    drilled = {"state": "proven", "at": NOW.isoformat(), "seconds": 12.0, "report": "x"}
    retention.add_rows([keys[0]], components={"verification": verdict(NOW, valid=False), "drill": drilled})
    retention.add_rows([keys[1]], components={"verification": verdict(moments(keys)[1], valid=False)})
    retention.add_rows([keys[2]], components={"verification": "nonsense", "drill": drilled})
    rules = [each.reasons for each in retention.keeping(keep_last=2).plan().decisions]
    assert rules[0] == ["last 1 of 2", "newest verified", "newest proven", "minimum redundancy 1 of 1"]
    assert rules[1] == ["last 2 of 2"]
    assert rules[2][0].startswith("invalid, kept for inspection")


def test_quick_look_in_the_history_does_not_clear_what_a_full_reading_found(retention: RetentionRig):
    damaged, good = plant(retention.store, PREFIX, [NOW - DAY, NOW - DAY / 2], now=NOW, tags=planted.invalid)
    quick = {**verdict(NOW), "state": "valid", "depth": "quick"}
    retention.add_rows([damaged], components={"verification": quick})
    retention.add_rows([good], components={"verification": {**quick, "depth": "full"}})
    found = {each.key: each.rule for each in retention.keeping(keep_last=1).plan().decisions}
    assert found == {damaged: "invalid", good: "last"}


def test_pin_and_lease_that_come_after_the_plan_are_heeded(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 4, now=NOW)
    present = replace(retention, now=datetime.now(NOW.tzinfo)).keeping(keep_last=1)
    plan = present.plan()
    assert len(plan.expired) == 3
    pins.pin(retention.store, PREFIX, keys[0], reason="wait", by="me", now=NOW)
    leases.take(retention.store, PREFIX, keys[1], "run", present.now)
    report = present.expire(plan)
    assert report.expired == [keys[2]]
    assert report.kept == {keys[0]: "pinned: wait", keys[1]: "in use by a restore"}
    assert report.summary == "expired 1 of 4 backups, kept 3 (1 last, 1 in use, 1 pinned)"


def test_pin_and_lease_are_looked_for_again_right_before_each_deletion(retention: RetentionRig, wire: FaultyWire):
    keys = plant(retention.store, PREFIX, 4, now=NOW)
    present = replace(retention, now=datetime.now(NOW.tzinfo)).keeping(keep_last=1)
    plan = present.plan()

    def meanwhile(exchange: Exchange) -> None:
        """While the first is deleted, the second gets a pin and the third a lease."""
        if exchange.operation == "Delete":
            pins.pin(retention.store, PREFIX, keys[1], reason="wait", by="me", now=NOW)
            leases.take(retention.store, PREFIX, keys[2], "run", present.now)

    wire.before = meanwhile
    report = present.through(replace(retention.store, client=wire.client())).expire(plan)
    assert report.expired == [keys[0]]
    assert report.kept == {keys[1]: "pinned since it was planned", keys[2]: "in use since it was planned"}
    assert report.summary == "expired 1 of 4 backups, kept 3 (1 last, 2 that cannot be deleted)"


def test_backup_that_was_found_damaged_after_the_plan_no_longer_pushes_others_out(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 3, now=NOW)
    small = retention.keeping(keep_last=1)
    plan = small.plan()
    merge_tags(retention.store, keys[2], planted.invalid(moments(keys)[2]))
    assert small.expire(plan).kept == {keys[1]: "last 1 of 1, newest verified, minimum redundancy 1 of 1"}
    assert retention.keys() == keys[1:]


def test_mark_of_an_expiry_that_was_stopped_is_taken_back_from_what_stays(retention: RetentionRig):
    keys = plant(retention.store, PREFIX, 3, now=NOW, tags=lambda at: {**planted.valid(at), "expired": "true"})
    retention.add_rows(keys, components={"expired": {"at": NOW.isoformat(), "reason": "no rule keeps it"}})
    assert all(each.is_expiring for each in list_records(retention.store, PREFIX, NOW))
    retention.keeping(keep_last=2).run()
    assert retention.keys() == keys[1:]
    assert retention.marked() == {keys[0]}
    for each in keys[1:]:
        assert "expired" not in (read_tags(retention.store, each) or {})


def test_pinning_takes_the_tag_away_by_which_the_bucket_deletes(retention: RetentionRig):
    (only,) = plant(retention.store, PREFIX, 1, now=NOW, tags=lambda at: {**planted.valid(at), "expired": "true"})
    pins.pin(retention.store, PREFIX, only, reason="wait", by=None, now=NOW)
    assert read_tags(retention.store, only) == planted.valid(moments([only])[0])


def test_nothing_that_is_not_ours_is_touched_and_what_only_looks_like_a_backup_is_reported(retention: RetentionRig):
    foreign = {
        f"{PREFIX}notes.txt": b"mine",
        f"{PREFIX}collabhunts-backup-notes.json": b"{}",
        f"{PREFIX}2019/collabhunts-backup-2019-01-01T00-00-00-000Z.json": b"{}",
        f"{PREFIX}restores/2019-01-01T00-00-00-000Z-of-something.json": b"{}",
        "elsewhere/collabhunts-backup-2019-01-01T00-00-00-000Z.json": b"{}",
        "collabhunts-backup-2019-01-01T00-00-00-000Z.json": b"{}",
    }
    for name, content in foreign.items():
        retention.store.put(name, content)
    impostor = f"{PREFIX}collabhunts-backup-2019-01-01T00-00-00-000Z.json"
    retention.store.put(impostor, b'{"tables": {}}')
    keys = plant(retention.store, PREFIX, 3, now=NOW)
    retention.add_rows([impostor])
    before = set(retention.store.keys(""))
    report = retention.keeping(keep_last=1).run()
    assert set(report.expired) == before - set(retention.store.keys("")) == set(keys[:2])
    assert list(report.kept) == [impostor]
    assert "cannot be told to be ours" in report.kept[impostor]
    assert retention.marked() == set()
    assert read_tags(retention.store, impostor) == {}


def test_backup_without_a_row_is_deleted_without_a_warning(retention: RetentionRig, caplog: pytest.LogCaptureFixture):
    plant(retention.store, PREFIX, 2, now=NOW)
    caplog.set_level(logging.INFO)
    retention.keeping(keep_last=1).run()
    assert len(retention.keys()) == 1
    assert "has no row in the history" in caplog.text
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


def test_dry_run_says_why_of_each_and_asks_the_bucket_nothing_that_writes(
    retention: RetentionRig, wire: FaultyWire, caplog: pytest.LogCaptureFixture
):
    plant(retention.store, PREFIX, 10, now=NOW)
    caplog.set_level(logging.INFO)
    plan = retention.through(replace(retention.store, client=wire.client())).plan()
    log_plan(plan, dry_run=True)
    assert {each.method for each in wire.seen} <= {"GET", "HEAD"}
    assert "keep    collabhunts-backup-2026-03-14T00-00-00-000Z.json: daily 1 of 7, weekly 1 of 4" in caplog.text
    assert (
        "would expire 2 of 10 backups, keep 8 (7 daily, 1 weekly); this is a dry run, nothing is changed" in caplog.text
    )
