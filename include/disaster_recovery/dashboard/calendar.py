"""The calendar of days: the best that is true of any backup of a day, in UTC. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone

from include.disaster_recovery.dashboard.model import BackupEntry, Day, DayState

MOST_DAYS, LEAST_DAYS = 371, 35  # 53 and 5 weeks
_RANK: dict[DayState, int] = {"none": 0, "failed": 1, "unverified": 2, "verified": 3, "proven": 4}


def calendar_of(entries: Sequence[BackupEntry], now: datetime) -> list[Day]:
    """Days from a Monday to today, oldest first: since the first backup, but five weeks at least and 53 at most.

    Args:
        entries: newest first.
    """
    today = _day(now)
    start = _start(_day(entries[-1].created_at) if entries else today, today)
    by_day: dict[date, list[BackupEntry]] = {}
    for entry in entries:
        if (day := _day(entry.created_at)) < start:
            break
        by_day.setdefault(day, []).append(entry)
    days = [start + timedelta(days=n) for n in range((today - start).days + 1)]
    return [Day(day=day, state=_state(by_day.get(day, [])), ids=[e.id for e in by_day.get(day, [])]) for day in days]


def _start(first: date, today: date) -> date:
    this_monday = today - timedelta(days=today.weekday())
    monday = max(date.min, first - timedelta(days=first.weekday())) if first > date.min else first
    earliest, latest = (this_monday - timedelta(days=days - 7) for days in (MOST_DAYS, LEAST_DAYS))
    return min(max(monday, earliest), latest)


def _state(entries: Sequence[BackupEntry]) -> DayState:
    return max((_state_of(entry) for entry in entries), key=_RANK.__getitem__, default="none")


def _state_of(entry: BackupEntry) -> DayState:
    if entry.status == "in_progress":
        return "none"
    if entry.verification == "valid":
        return "proven" if entry.drill == "proven" else "verified"
    if entry.status == "failed" or entry.verification in ("invalid", "missing"):
        return "failed"
    return "unverified"


def _day(moment: datetime) -> date:
    return moment.astimezone(timezone.utc).date()
