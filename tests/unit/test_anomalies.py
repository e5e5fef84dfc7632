"""What is unusual: against constant, growing, broken and short histories."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.disaster_recovery.anomalies import (
    EMPTIED,
    UNUSUAL,
    Finding,
    Measures,
    find_unusual,
    measures_of,
    no_longer,
    weighed,
)
from include.disaster_recovery.settings import AnomalySettings

MONDAY = datetime(2026, 3, 2, tzinfo=timezone.utc)
LIMITS = AnomalySettings()
NO_FLOORS = AnomalySettings(least_rows=0, least_bytes=0, least_seconds=0)


def measures(day: int, rows: dict[str, int], size: int = 0, seconds: float = 0, **sizes: int) -> Measures:
    return Measures(at=MONDAY + timedelta(days=day), size=size, seconds=seconds, table_rows=rows, table_bytes=sizes)


def weekdays(count: int) -> list[int]:
    """The last weekdays before Monday, newest first."""
    return [-day for day in range(1, 4 * count) if (MONDAY - timedelta(days=day)).weekday() < 5][:count]


def history(*counts: int, table: str = "messages") -> list[Measures]:
    return [measures(day, {table: rows}) for day, rows in zip(weekdays(len(counts)), counts, strict=True)]


def subjects(found: list[Finding]) -> list[str]:
    return [finding.subject for finding in found]


def test_the_reason_gives_the_numbers():
    earlier = history(*([40_000, 41_000, 42_000, 41_000, 40_500] * 4))
    found = find_unusual(measures(0, {"messages": 1_200}), earlier, LIMITS)
    assert subjects(found) == ["rows in total", "rows of messages"]
    assert found[1].reason == "messages: 1,200 rows, usually 40,000 to 42,000 on weekdays (median 41,000 of 20)"


def test_size_and_duration_are_judged_in_total_and_size_by_table():
    mib = 1024**2
    earlier = [measures(day, {}, size=50 * mib, seconds=100, messages=40 * mib) for day in weekdays(6)]
    found = find_unusual(measures(0, {}, size=90 * mib, seconds=900, messages=80 * mib), earlier, LIMITS)
    assert subjects(found) == ["bytes in total", "seconds in total", "bytes of messages"]
    assert found[1].reason == "in total: 900 seconds, usually 100 on weekdays (median 100 of 6)"


@pytest.mark.parametrize(
    "rows, unusual", [(0, True), (1, True), (899, True), (901, False), (1_000, False), (1_099, False), (1_201, True)]
)
def test_the_floor_keeps_small_differences_quiet(rows: int, unusual: bool):
    limits = AnomalySettings(least_change=0.0, least_rows=100)
    assert bool(find_unusual(measures(0, {"messages": rows}), history(*[1_000] * 6), limits)) is unusual


def test_small_tables_may_double():
    assert find_unusual(measures(0, {"roles": 9}), history(*[3] * 10, table="roles"), LIMITS) == []


def test_with_little_history_nothing_is_said():
    assert find_unusual(measures(0, {"messages": 10**9}), history(*[1_000] * 4), LIMITS) == []
    assert find_unusual(measures(0, {"messages": 10**9}), [], LIMITS) == []


def test_a_table_that_shrinks_to_zero_is_said_with_one_earlier_backup():
    (found,) = find_unusual(measures(0, {"roles": 0}), history(3, table="roles"), LIMITS)
    assert (found.kind, found.subject) == ("table-emptied", "roles")
    assert found.reason == "roles: 0 rows, 3 in the backup before"


def test_a_table_that_stays_empty_is_said_as_long_as_it_usually_is_not():
    found = find_unusual(measures(0, {"messages": 0}), history(0, 0, 50, 50, 50, 50), LIMITS)
    assert [finding.kind for finding in found] == ["table-emptied"]
    assert "usually 50" in found[0].reason
    assert find_unusual(measures(0, {"messages": 0}), history(0, 0, 0, 0, 50), LIMITS) == []


def test_an_empty_table_that_has_always_been_empty_is_usual():
    assert find_unusual(measures(0, {"disputes": 0}), history(*[0] * 9, table="disputes"), LIMITS) == []


def test_weekends_are_held_against_weekends():
    weekends = [
        measures(-day, {"messages": 10_000}) for day in range(1, 60) if (MONDAY - timedelta(days=day)).weekday() >= 5
    ]
    earlier = sorted([*history(*[40_000] * 20), *weekends], key=lambda each: each.at, reverse=True)
    saturday = 5
    assert find_unusual(measures(saturday, {"messages": 10_100}), earlier, LIMITS) == []
    found = find_unusual(measures(saturday, {"messages": 40_000}), earlier, LIMITS)
    assert "at weekends" in found[-1].reason
    assert find_unusual(measures(0, {"messages": 40_100}), earlier, LIMITS) == []


def test_steady_growth_is_usual():
    counts = [100_000 - 500 * day for day in range(1, 21)]
    assert find_unusual(measures(0, {"messages": 100_000}), history(*counts), NO_FLOORS) == []


def test_one_odd_backup_among_the_earlier_ones_changes_nothing():
    assert find_unusual(measures(0, {"messages": 41_000}), history(41_000, 0, *[41_000] * 8), LIMITS) == []
    found = find_unusual(measures(0, {"messages": 1_000}), history(41_000, 0, *[41_000] * 8), LIMITS)
    assert "usually 41,000 on weekdays" in found[-1].reason


def test_only_the_last_backups_count():
    old_and_new = history(*[1_000] * 20, *[900_000] * 30)
    assert find_unusual(measures(0, {"messages": 1_000}), old_and_new, LIMITS) == []


@given(rows=st.integers(0, 10**12), count=st.integers(1, 40), size=st.integers(0, 10**15))
def test_a_constant_history_never_alarms(rows: int, count: int, size: int):
    earlier = [measures(day, {"t": rows}, size=size, seconds=size, t=size) for day in weekdays(count)]
    assert find_unusual(measures(0, {"t": rows}, size=size, seconds=size, t=size), earlier, NO_FLOORS) == []


@given(
    counts=st.lists(st.integers(1, 10**6), min_size=5, max_size=30),
    newest=st.integers(1, 10**6),
    power=st.integers(0, 20),
)
def test_the_unit_of_measure_does_not_matter(counts: list[int], newest: int, power: int):
    scale = 2**power
    plain = find_unusual(measures(0, {"t": newest}), history(*counts, table="t"), NO_FLOORS)
    scaled = history(*[count * scale for count in counts], table="t")
    assert subjects(find_unusual(measures(0, {"t": newest * scale}), scaled, NO_FLOORS)) == subjects(plain)


@given(counts=st.lists(st.integers(1, 500), min_size=5, max_size=30), newest=st.integers(1, 500))
def test_below_the_floor_nothing_is_said(counts: list[int], newest: int):
    limits = AnomalySettings(least_rows=500)
    assert find_unusual(measures(0, {"t": newest}), history(*counts, table="t"), limits) == []


def over(kind: str, subject: str, newest: Measures, earlier: list[Measures], since: int = -3) -> str | None:
    reported = MONDAY + timedelta(days=since)
    return no_longer(kind, subject, reported, newest, weighed(newest, earlier, LIMITS))


def test_what_was_unusual_on_a_weekday_is_not_over_at_the_weekend():
    earlier = history(*[40_000] * 20, *[40_000] * 20)
    weekends = [measures(-day, {"messages": 1_000}) for day in range(1, 60) if (MONDAY.weekday() - day) % 7 >= 5]
    friday, saturday, next_monday = 4, 5, 7
    same = measures(saturday, {"messages": 1_000})
    assert find_unusual(same, [*earlier, *weekends], LIMITS) == []
    assert over(UNUSUAL, "rows of messages", same, [*earlier, *weekends], since=friday) is None
    usual = measures(next_monday, {"messages": 40_000})
    assert over(UNUSUAL, "rows of messages", usual, earlier, since=friday) == "rows of messages: as usual again"


def test_what_could_not_be_judged_is_not_over():
    newest = measures(0, {"messages": 40_000}, messages=5)
    assert over(UNUSUAL, "rows of messages", newest, history(*[40_000] * 4)) is None
    assert over(UNUSUAL, "bytes of messages", newest, history(*[40_000] * 9)) is None  # rows of before have no sizes
    assert over(UNUSUAL, "rows of messages", measures(0, {"messages": 0}), history(*[40_000] * 9)) is None
    assert over(UNUSUAL, "rows in total", newest, history(*[40_000] * 9)) == "rows in total: as usual again"


def test_a_table_that_is_still_empty_is_not_over_though_that_is_usual_by_now():
    newest = measures(0, {"messages": 0})
    assert find_unusual(newest, history(0, 0, 0, 50), LIMITS) == []
    assert over(EMPTIED, "messages", newest, history(0, 0, 0, 50)) is None
    assert over(EMPTIED, "messages", measures(0, {"messages": 1}), []) == "messages has rows again"


@pytest.mark.parametrize("kind, subject", [(EMPTIED, "old"), (UNUSUAL, "rows of old"), (UNUSUAL, "bytes of old")])
def test_a_table_that_is_dropped_or_renamed_is_not_called_usual(kind: str, subject: str):
    newest = measures(0, {"new": 40_000})
    assert find_unusual(newest, history(*[40_000] * 9, table="old"), LIMITS) == []
    assert over(kind, subject, newest, history(*[40_000] * 9, table="old")) == "table old is in the backup no more"


def read(components: Any, size: int | None = 1, milliseconds: int | None = 1) -> Measures | None:
    return measures_of(components, size=size, milliseconds=milliseconds, at=MONDAY)


def test_rows_of_another_program_are_not_compared():
    assert read({}) is None
    assert read({"tables": 18}) is None
    assert read({"run": "not ours"}) is None


def test_garbage_in_a_history_row_is_left_out():
    counts = {"a": 1, "b": "2", "c": None, "d": True, "e": -1, "f": 2.5, "g": [1]}
    found = read({"run": {}, "row_counts": counts, "table_bytes": [1, 2]}, size=-5, milliseconds=None)
    assert found == Measures(at=MONDAY, table_rows={"a": 1}, table_bytes={})
    assert (found.rows, found.size, found.seconds) == (1, None, None)
    assert read({"run": {}, "row_counts": "x"}).rows is None  # type: ignore[union-attr]
