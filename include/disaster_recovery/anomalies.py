"""Whether a backup is unusual for its own history: median and median absolute deviation. Pure; each with its numbers.

A backup is held against the last ones of its kind of day (weekday, weekend; UTC): platforms sleep at weekends.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from statistics import median
from typing import Any

from include.disaster_recovery.model import Value
from include.disaster_recovery.settings import AnomalySettings

EMPTIED, UNUSUAL = "table-emptied", "backup-unusual"
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
        return self.at.astimezone(timezone.utc).weekday() >= 5


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
    alike = [each for each in earlier if each.is_weekend == newest.is_weekend][: limits.backups]
    return [
        *_emptied(newest, earlier[:1], alike),
        *_totals(newest, alike, limits),
        *_tables(newest, alike, limits),
    ]


def _emptied(newest: Measures, last: Sequence[Measures], alike: Sequence[Measures]) -> Iterator[Finding]:
    """Tables without a row that had some in the last backup, or usually have: said with however little history."""
    for name, rows in newest.table_rows.items():
        before = [each.table_rows[name] for each in last if name in each.table_rows]
        usual = [each.table_rows[name] for each in alike if name in each.table_rows]
        if rows == 0 and (any(before) or (usual and median(usual) > 0)):
            count = f"{before[0]:,} in the backup before" if any(before) else f"usually {median(usual):,.0f}"
            yield Finding(kind=EMPTIED, subject=name, reason=f"{name}: 0 rows, {count}")


def _totals(newest: Measures, alike: Sequence[Measures], limits: AnomalySettings) -> Iterator[Finding]:
    measured: list[tuple[str, Callable[[Measures], float | None], float]] = [
        ("bytes", lambda each: each.size, limits.least_bytes),
        ("rows", lambda each: each.rows, limits.least_rows),
        ("seconds", lambda each: each.seconds, limits.least_seconds),
    ]
    for unit, measure, floor in measured:
        values = [value for each in alike if (value := measure(each)) is not None]
        yield from _unusual("in total", unit, measure(newest), values, floor, newest, limits)


def _tables(newest: Measures, alike: Sequence[Measures], limits: AnomalySettings) -> Iterator[Finding]:
    for name, rows in newest.table_rows.items():
        if rows:  # an empty one is judged above
            values = [each.table_rows[name] for each in alike if name in each.table_rows]
            yield from _unusual(name, "rows", rows, values, limits.least_rows, newest, limits)
    for name, size in newest.table_bytes.items():
        if newest.table_rows.get(name) != 0:
            values = [each.table_bytes[name] for each in alike if name in each.table_bytes]
            yield from _unusual(name, "bytes", size, values, limits.least_bytes, newest, limits)


def _unusual(
    what: str,
    unit: Unit,
    value: float | None,
    earlier: Sequence[float],
    floor: float,
    newest: Measures,
    limits: AnomalySettings,
) -> Iterator[Finding]:
    if value is None or len(earlier) < limits.least_backups:
        return
    middle = median(earlier)
    deviation = median(abs(each - middle) for each in earlier)
    if abs(value - middle) > max(limits.deviations * deviation, limits.least_change * middle, floor):
        days = "at weekends" if newest.is_weekend else "on weekdays"
        low, high = _usual_range(earlier)
        usually = f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}"
        reason = f"{what}: {value:,.0f} {unit}, usually {usually} {days} (median {middle:,.0f} of {len(earlier)})"
        yield Finding(kind=UNUSUAL, subject=f"{unit} {what if what == 'in total' else f'of {what}'}", reason=reason)


def _usual_range(values: Sequence[float]) -> tuple[float, float]:
    """The middle four fifths: one odd backup among them says nothing of what is usual."""
    ordered, cut = sorted(values), len(values) // 10
    return ordered[cut], ordered[-1 - cut]
