"""restic's rule told a second time, in another way: by groups rather than by counting down a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

PERIODS = {"keep_daily": "%Y-%m-%d", "keep_weekly": "%G-W%V", "keep_monthly": "%Y-%m"}


def forget(moments: Iterable[datetime], **keep: int) -> set[datetime]:
    """Which of different moments stay; `keep_last`, `keep_daily`, `keep_weekly`, `keep_monthly`, `keep_within_days`."""
    ordered = sorted(moments)
    stay = set(ordered[-keep["keep_last"] :]) if keep.get("keep_last") else set()
    if len(ordered) < keep.get("keep_last", 0):
        stay |= set(ordered)
    for name, pattern in PERIODS.items():
        stay |= _of_periods(ordered, pattern, keep.get(name, 0))
    if days := keep.get("keep_within_days"):
        stay |= {each for each in ordered if each > ordered[-1] - timedelta(days=days)}
    return stay


def _of_periods(ordered: Sequence[datetime], pattern: str, count: int) -> set[datetime]:
    newest = {each.astimezone(timezone.utc).strftime(pattern): each for each in ordered}  # the last one in stays
    chosen = [newest[period] for period in sorted(newest, reverse=True)[:count]]
    return {*chosen, *ordered[:1]} if len(chosen) < count else set(chosen)
