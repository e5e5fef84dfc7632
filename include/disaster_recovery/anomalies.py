"""Whether a backup is unusual for its own history: median and median absolute deviation. Pure; each with its numbers.

A backup is held against the last ones of its kind of day (weekday, weekend; UTC): platforms sleep at weekends.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from statistics import median
from typing import Any

from include.disaster_recovery.model import Value
from include.disaster_recovery.settings import AnomalySettings

EMPTIED, UNUSUAL = "table-emptied", "backup-unusual"
TOTAL = "in total"
Unit = str


@dataclass(frozen=True, kw_only=True)
class Measures:
    """A backup in numbers; None and missing tables where its history row does not say."""

    at: datetime
    size: int | None = None
    seconds: float | None = None
    table_rows: Mapping[str, int]
    table_bytes: Mapping[str, int]

    @property
    def rows(self) -> int | None:
        """Rows of all tables."""
        return sum(self.table_rows.values()) if self.table_rows else None

    @property
    def is_weekend(self) -> bool:
        """Whether it was opened on a Saturday or Sunday, UTC."""
        return is_weekend(self.at)


def is_weekend(at: datetime) -> bool:
    """Whether it is Saturday or Sunday, UTC."""
    return at.astimezone(timezone.utc).weekday() >= 5


class Finding(Value):
    """Something unusual. `subject` tells it from other findings, `reason` gives the numbers."""

    kind: str
    subject: str
    reason: str


def measures_of(
    components: Mapping[str, Any], *, size: int | None, milliseconds: int | None, at: datetime
) -> Measures | None:
    """A history row in numbers; None for one that another program wrote.

    The old edge function's sizes are not comparable. Whatever is no number is left out: anybody may write that table.
    """
    if not isinstance(components.get("run"), Mapping):
        return None
    return Measures(
        at=at,
        size=size if size is not None and size >= 0 else None,
        seconds=milliseconds / 1000 if milliseconds is not None and milliseconds >= 0 else None,
        table_rows=_counts(components.get("row_counts")),
        table_bytes=_counts(components.get("table_bytes")),
    )


def _counts(value: object) -> dict[str, int]:
    if not isinstance(value, Mapping):
        return {}
    return {str(k): v for k, v in value.items() if isinstance(v, int) and not isinstance(v, bool) and v >= 0}


def find_unusual(newest: Measures, earlier: Sequence[Measures], limits: AnomalySettings) -> list[Finding]:
    """What is unusual about the newest backup.

    Args:
        earlier: the backups before it, newest first.
    """
    found = [finding for each in _questions(newest, earlier, limits) for finding in _unusual(each, newest, limits)]
    return [*_emptied(newest, earlier[:1], _alike(newest, earlier, limits)), *found]


def weighed(newest: Measures, earlier: Sequence[Measures], limits: AnomalySettings) -> list[str]:
    """Subjects of which it could be judged whether they are unusual."""
    return [question.subject for question in _questions(newest, earlier, limits)]


def _alike(newest: Measures, earlier: Sequence[Measures], limits: AnomalySettings) -> list[Measures]:
    return [each for each in earlier if each.is_weekend == newest.is_weekend][: limits.backups]


def _emptied(newest: Measures, last: Sequence[Measures], alike: Sequence[Measures]) -> Iterator[Finding]:
    """Tables without a row that had some in the last backup, or usually have: said with however little history."""
    for name, rows in newest.table_rows.items():
        before = [each.table_rows[name] for each in last if name in each.table_rows]
        usual = [each.table_rows[name] for each in alike if name in each.table_rows]
        if rows == 0 and (any(before) or (usual and median(usual) > 0)):
            count = f"{before[0]:,} in the backup before" if any(before) else f"usually {median(usual):,.0f}"
            yield Finding(kind=EMPTIED, subject=name, reason=f"{name}: 0 rows, {count}")


@dataclass(frozen=True, kw_only=True)
class _Question:
    """A number of the newest backup, and the same of those that it is held against."""

    what: str
    unit: Unit
    value: float
    earlier: Sequence[float]
    floor: float

    @property
    def subject(self) -> str:
        return f"{self.unit} {self.what if self.what == TOTAL else f'of {self.what}'}"


def _questions(newest: Measures, earlier: Sequence[Measures], limits: AnomalySettings) -> Iterator[_Question]:
    """Everything that there is enough history to answer."""
    alike = _alike(newest, earlier, limits)
    for each in [*_totals(newest, alike, limits), *_tables(newest, alike, limits)]:
        if len(each.earlier) >= limits.least_backups:
            yield each


def _totals(newest: Measures, alike: Sequence[Measures], limits: AnomalySettings) -> Iterator[_Question]:
    measured: list[tuple[str, Callable[[Measures], float | None], float]] = [
        ("bytes", lambda each: each.size, limits.least_bytes),
        ("rows", lambda each: each.rows, limits.least_rows),
        ("seconds", lambda each: each.seconds, limits.least_seconds),
    ]
    for unit, measure, floor in measured:
        values = [number for each in alike if (number := measure(each)) is not None]
        if (value := measure(newest)) is not None:
            yield _Question(what=TOTAL, unit=unit, value=value, earlier=values, floor=floor)


def _tables(newest: Measures, alike: Sequence[Measures], limits: AnomalySettings) -> Iterator[_Question]:
    for name, rows in newest.table_rows.items():
        if rows:  # an empty one is judged above
            values = [each.table_rows[name] for each in alike if name in each.table_rows]
            yield _Question(what=name, unit="rows", value=rows, earlier=values, floor=limits.least_rows)
    for name, size in newest.table_bytes.items():
        if newest.table_rows.get(name) != 0:
            values = [each.table_bytes[name] for each in alike if name in each.table_bytes]
            yield _Question(what=name, unit="bytes", value=size, earlier=values, floor=limits.least_bytes)


def _unusual(question: _Question, newest: Measures, limits: AnomalySettings) -> Iterator[Finding]:
    value, middle = question.value, median(question.earlier)
    deviation = median(abs(each - middle) for each in question.earlier)
    if abs(value - middle) > max(limits.deviations * deviation, limits.least_change * middle, question.floor):
        days = "at weekends" if newest.is_weekend else "on weekdays"
        low, high = _usual_range(question.earlier)
        usually = f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
        median_of = f"(median {middle:,.0f} of {len(question.earlier)})"
        reason = f"{question.what}: {value:,.0f} {question.unit}, usually {usually} {days} {median_of}"
        yield Finding(kind=UNUSUAL, subject=question.subject, reason=reason)


def no_longer(
    kind: str, subject: str, since: datetime | None, newest: Measures, weighed: Collection[str]
) -> str | None:
    """Why an incident, of which the newest backup has no finding, is over; None where it need not be.

    Args:
        kind: `EMPTIED` or `UNUSUAL`.
        since: when it was first reported.
        weighed: the subjects that there was enough history to judge.
    """
    table = subject if kind == EMPTIED else subject.partition(" of ")[2]
    if table and table not in newest.table_rows:
        return f"table {table} is in the backup no more"
    if kind == EMPTIED:  # empty for so long that it is usual by now: that is no good news
        return f"{table} has rows again" if newest.table_rows[table] else None
    is_same_day = since is None or is_weekend(since) == newest.is_weekend
    return f"{subject}: as usual again" if subject in weighed and is_same_day else None


def _usual_range(values: Sequence[float]) -> tuple[float, float]:
    """The middle four fifths: one odd backup among them says nothing of what is usual."""
    ordered, cut = sorted(values), len(values) // 10
    return ordered[cut], ordered[-1 - cut]
