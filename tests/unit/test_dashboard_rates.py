"""Success rates: what has ended in 7, 30 and 90 days, by whom ever it was started, and how much of it succeeded."""

from __future__ import annotations

from typing import Any

import pytest

from include.disaster_recovery.dashboard.entries import join_lines
from include.disaster_recovery.dashboard.model import DagFacts
from include.disaster_recovery.dashboard.tiles import tiles_of
from include.disaster_recovery.dashboard.view import View
from tests.support.dashboard import DAY, HOUR, NOW, PREFIX, entry, record, row, view

EXPIRED = {"run": {"run_id": "r"}, "expired": {"at": NOW.isoformat(), "reason": "no rule keeps it"}}


def rates(found: View) -> list[tuple[int, int, int]]:
    return [(rate.days, rate.succeeded, rate.ended) for rate in tiles_of(found, DagFacts(), NOW).success_rates]


@pytest.mark.parametrize(
    "given, wanted",
    [
        ([], (0, 0)),
        ([{}], (1, 1)),
        ([{"backup_type": "manual"}, {"backup_type": "scheduled"}], (2, 2)),
        ([{"backup_type": "manual", "status": "failed"}, {}], (1, 2)),
        ([{"status": "expired", "in_bucket": False}], (1, 1)),
        ([{"status": "in_progress", "in_bucket": False}], (0, 0)),
        ([{"status": "failed"}], (0, 1)),
    ],
)
def test_rate(given: list[dict[str, Any]], wanted: tuple[int, int]):
    found = view([entry(id=str(n), created_at=NOW - HOUR, **each) for n, each in enumerate(given)])
    assert rates(found) == [(days, *wanted) for days in (7, 30, 90)]


def test_each_period_counts_its_own_days():
    found = view([entry(created_at=NOW - days * DAY) for days in (6, 8, 29, 31, 89, 91)])
    assert rates(found) == [(7, 1, 1), (30, 3, 3), (90, 5, 5)]


def test_without_the_history_nobody_knows_what_has_failed():
    """The bucket has no failures: by it alone the rate would always be perfect."""
    assert rates(view([entry()], has_history=False)) == [(7, 0, 0), (30, 0, 0), (90, 0, 0)]


def test_a_failed_backup_whose_document_retention_removed_has_not_succeeded():
    at = NOW - DAY
    found = view(join_lines([], [row(at, ours=True, status="failed", components=EXPIRED)], {}, PREFIX, NOW))
    assert found.entries[0].status == "failed"
    assert rates(found)[0] == (7, 0, 1)


def test_a_backup_that_nobody_is_taking_any_more_has_failed():
    rows = [row(NOW - n * HOUR, ours=True, status="in_progress", file_name=None) for n in (23, 25)]
    found = view(join_lines([record(NOW)], rows, {}, PREFIX, NOW))
    assert [each.status for each in found.entries] == ["success", "in_progress", "failed"]
    assert "never closed" in (found.entries[2].error or "")
