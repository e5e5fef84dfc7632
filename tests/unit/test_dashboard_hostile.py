"""Numbers, moments and clocks that nobody meant: whatever history, tags and reports hold, the page is answered."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from include.disaster_recovery.backup_key import backup_key
from include.disaster_recovery.backup_record import BackupRecord, Verification, proof_of, verification_of
from include.disaster_recovery.dashboard.answer import answer_of
from include.disaster_recovery.dashboard.entries import join_lines, phases_of
from include.disaster_recovery.dashboard.model import DagFacts
from include.disaster_recovery.dashboard.overview import overview_of, summary_of
from include.disaster_recovery.dashboard.view import View
from include.disaster_recovery.dashboard.wording import ago
from include.disaster_recovery.history.listing import ListedRow
from include.disaster_recovery.history.recalling import recall
from include.disaster_recovery.settings import WatchSettings
from tests.support.dashboard import DAY, HOUR, NOW, PREFIX, entry, record, row, view

VALID = Verification(state="valid", depth="full", at=NOW)
TAGS = {"verification": "valid", "verified-at": "2026-11-22T07:00:00Z", "verification-depth": "full"}
DRILL = {"drill": "proven", "drilled-at": "2026-11-22T07:00:00Z", "drill-seconds": "41.0"}
VERDICT = {"valid": True, "size": 1, "tables": 1, "rows": 1, "fragments": 1, "checksum": None, "findings": [], "warnings": []}  # fmt: skip
LIMITS = WatchSettings(unproven_hours=None)


def with_components(**components: Any) -> ListedRow:
    return row(NOW - HOUR, components={"run": {"run_id": "r"}, **components})


def listed(records: list[BackupRecord] | None, rows: list[ListedRow]) -> View:
    recalled = None if records is None else recall(records, rows)
    return view(join_lines(recalled, rows, {}, PREFIX, NOW), has_bucket=records is not None)


def as_json(found: View) -> str:
    overview, summary = (make(found, DagFacts(), LIMITS, NOW) for make in (overview_of, summary_of))
    return json.dumps([overview.to_json(), summary.to_json()], allow_nan=False)


@pytest.mark.parametrize("seconds", [10**400, -(10**400), 1e999, -5, float("nan"), "1", True, None])
def test_a_phase_that_took_no_possible_time_is_left_out(seconds: object):
    assert phases_of({"drill": {"phases": {"load": seconds, "real": 2}}}) == {"real": 2.0}


@pytest.mark.parametrize("seconds", [10**400, 1e999, float("nan"), "inf", "nan"])
def test_a_drill_that_took_no_possible_time_is_no_proof(seconds: Any):
    rows = [with_components(drill={"state": "proven", "at": NOW.isoformat(), "seconds": seconds})]
    found = listed([record(NOW - HOUR, verification=VALID)], rows)
    assert found.entries[0].drill == "none"
    assert as_json(found)


@pytest.mark.parametrize("seconds", ["inf", "-inf", "nan", "1e999"])
def test_a_tag_with_no_possible_time_is_no_proof(seconds: str):
    assert proof_of({**DRILL, "drill-seconds": seconds}) is None


def test_a_drill_that_took_less_than_no_time_tells_no_time():
    found = listed([record(NOW - HOUR, verification=VALID, proof=proof_of({**DRILL, "drill-seconds": "-1"}))], [])
    assert (found.entries[0].drill, found.entries[0].drill_seconds) == ("proven", None)


def test_a_moment_without_a_zone_is_no_verdict():
    drill = {"state": "proven", "at": "2026-11-22T06:00:00", "seconds": 41.0}
    rows = [with_components(verification={**VERDICT, "checked_at": "2026-11-22T06:00:00"}, drill=drill)]
    tagged = record(NOW - HOUR, verification=verification_of(TAGS), proof=proof_of(DRILL))
    (found,) = listed([tagged], rows).entries
    assert (found.verified_at, found.drilled_at) == (NOW, NOW)
    (alone,) = listed([record(NOW - HOUR)], rows).entries
    assert (alone.verification, alone.drill) == ("unverified", "none")


def test_drills_with_and_without_a_zone_are_put_in_order():
    plain = {"state": "proven", "at": "2026-11-22T06:00:00", "seconds": 41.0, "phases": {"load": 1}}
    rows = [
        with_components(drill=plain),
        row(NOW - DAY, ours=True, components={"drill": {**plain, "at": NOW.isoformat()}}),
    ]
    assert as_json(listed(None, rows))


@pytest.mark.parametrize("more", [{"file_size": -1}, {"execution_time_ms": -1}])
def test_negative_numbers_are_not_known(more: dict[str, int]):
    (found,) = listed([], [row(NOW - HOUR, **more)]).entries
    assert found.size in (None, 10)
    assert found.seconds in (None, 1.5)
    assert None in (found.size, found.seconds)


def test_the_moment_of_a_backup_is_that_of_its_key_whatever_the_row_says():
    moved = row(NOW - HOUR, created_at=NOW + 900 * DAY)
    assert listed([record(NOW - HOUR)], [moved]).entries[0].created_at == NOW - HOUR


def test_a_backup_from_the_future_hides_no_late_one():
    backups = [entry(created_at=NOW + 400 * DAY), entry(created_at=NOW - 3 * DAY)]
    found = answer_of(view(backups), DagFacts(), LIMITS, NOW)
    assert (found.level, found.recoverable_to) == ("bad", NOW - 3 * DAY)
    assert "dated in the future" in found.sentence
    assert summary_of(view(backups), DagFacts(), LIMITS, NOW).newest_verified_age_seconds == 3 * 86400


def test_if_all_backups_are_from_the_future_it_is_said_and_they_can_be_restored():
    found = answer_of(view([entry(created_at=NOW + 400 * DAY)]), DagFacts(), LIMITS, NOW)
    assert found.level == "warning"
    assert found.sentence.startswith("Recoverable to 27 Dec 2027")
    assert "check the clock" in found.next_action if found.next_action else False


@pytest.mark.parametrize("ahead", [1, 60, 3599])
def test_clocks_that_differ_a_little_are_no_future(ahead: int):
    at = NOW + timedelta(seconds=ahead)
    assert ago(at, NOW) == "just now"
    found = view([entry(created_at=at)])
    assert answer_of(found, DagFacts(), LIMITS, NOW).level == "good"
    assert summary_of(found, DagFacts(), LIMITS, NOW).newest_verified_age_seconds == 0


def test_the_ends_of_time_are_listed():
    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))
    ends = [datetime(2, 1, 1, tzinfo=east), datetime(9998, 12, 31, 23, tzinfo=west)]
    rows = [row(NOW, ours=True, id=str(n), created_at=end, file_name=None) for n, end in enumerate(ends)]
    expired = {"at": "0001-01-01T00:00:00+14:00", "reason": "x"}
    rows.append(row(NOW - HOUR, components={"run": {"run_id": "r"}, "expired": expired}))
    assert as_json(listed([], rows))


def test_one_name_in_many_rows_is_one_backup():
    twins = [row(NOW - HOUR, id=str(n), status=s) for n, s in enumerate(["failed", "success", "success"])]
    found = listed([BackupRecord(key=backup_key(PREFIX, NOW - HOUR, "none"), created_at=NOW - HOUR, size=1)], twins)
    assert [each.in_bucket for each in found.entries] == [False, True, False]
    assert len(found.by_id) == 3


def test_endless_texts_are_cut():
    (found,) = listed([], [row(NOW - HOUR, components={"run": {"run_id": "r" * 10**6}}, file_name="n" * 10**6)]).entries
    assert len(found.model_dump_json()) < 10_000
