"""Backups that the old edge function took: listed, but in no chart, rate or comparison, and no alarm for what they lack."""

from __future__ import annotations

from typing import Any

import pytest

from include.disaster_recovery.backup_record import BackupRecord, Verification
from include.disaster_recovery.dashboard.answer import answer_of
from include.disaster_recovery.dashboard.detailing import line_before
from include.disaster_recovery.dashboard.entries import join_lines
from include.disaster_recovery.dashboard.model import DagFacts
from include.disaster_recovery.dashboard.overview import overview_of
from include.disaster_recovery.dashboard.tiles import tiles_of
from include.disaster_recovery.dashboard.view import View
from include.disaster_recovery.history.listing import ListedRow
from include.disaster_recovery.settings import WatchSettings
from tests.support.dashboard import DAY, HOUR, NOW, PREFIX, record, row, view

VALID = Verification(state="valid", depth="full", at=NOW)
INVALID = Verification(state="invalid", depth="full", at=NOW, finding="no manifest")


def seen(records: list[BackupRecord], rows: list[ListedRow]) -> View:
    return view(join_lines(records, rows, {}, PREFIX, NOW))


OURS, OLD = NOW - HOUR, NOW - DAY
BOTH = seen([record(OURS, verification=VALID), record(OLD)], [row(OURS, ours=True), row(OLD, ours=False)])


def test_rows_of_the_old_function_are_in_the_table():
    assert [entry.id.split()[0] for entry in BOTH.entries] == ["ours", "old"]
    assert BOTH.entries[1].in_bucket


def test_rows_of_the_old_function_are_no_points_of_the_charts():
    found = overview_of(BOTH, DagFacts(), WatchSettings(), NOW)
    assert [point.id.split()[0] for point in found.points] == ["ours"]


def test_rows_of_the_old_function_count_in_no_success_rate():
    failed = row(NOW - 2 * DAY, ours=False, status="failed")
    found = seen([record(OURS, verification=VALID)], [row(OURS, ours=True), row(OLD, ours=False), failed])
    assert {(rate.succeeded, rate.ended) for rate in tiles_of(found, DagFacts(), NOW).success_rates} == {(1, 1)}


def test_the_last_duration_is_not_that_of_the_old_function():
    found = seen([], [row(OURS, ours=False, execution_time_ms=9), row(OLD, ours=True)])
    assert tiles_of(found, DagFacts(), NOW).last_seconds == 1.5


@pytest.mark.parametrize("later", [{"status": "failed", "error_message": "x"}, {}], ids=["failed", "gone"])
def test_what_the_old_function_did_later_takes_nothing_from_the_answer(later: dict[str, Any]):
    rows = [row(NOW - HOUR / 2, ours=False, **later), row(OURS, ours=True)]
    found = answer_of(
        seen([record(OURS, verification=VALID)], rows), DagFacts(), WatchSettings(unproven_hours=None), NOW
    )
    assert (found.level, found.next_action) == ("good", None)


def test_a_document_of_the_old_function_that_is_no_longer_there_is_not_missed():
    assert seen([], [row(OLD, ours=False)]).entries[0].verification == "unverified"
    assert seen([], [row(OLD, ours=True)]).entries[0].verification == "missing"


def test_nothing_is_compared_with_a_document_of_the_old_function_by_itself():
    assert line_before(BOTH, BOTH.lines[0]) is None


@pytest.mark.parametrize("verdict, points", [(VALID, 1), (INVALID, 0), (None, 0)])
def test_an_object_without_a_row_is_ours_if_it_was_found_valid(verdict: Verification | None, points: int):
    found = seen([record(OURS, verification=verdict), record(OLD, verification=verdict)], [])
    assert len(overview_of(found, DagFacts(), WatchSettings(), NOW).points) == 2 * points
    assert line_before(found, found.lines[0]) is found.lines[1]  # whoever wrote it, there may be something to compare
