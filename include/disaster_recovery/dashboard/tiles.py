"""The numbers below the top line. Pure."""

from datetime import datetime, timedelta
from itertools import takewhile

from include.disaster_recovery.dashboard.model import DagFacts, SuccessRate, Tiles
from include.disaster_recovery.dashboard.view import Line, View

PERIODS = (7, 30, 90)  # days
TREND = timedelta(days=30)


def tiles_of(view: View, facts: DagFacts, now: datetime) -> Tiles:
    """The tiles; what cannot be known is None."""
    drill = next(iter(view.drilled), None)
    return Tiles(
        backups=count_of(view),
        success_rates=[_rate(view, days, now) for days in PERIODS],
        storage=storage_of(view),
        storage_30_days_ago=_storage_at(view, now - TREND),
        last_seconds=_last_seconds(view),
        next_run=facts.next_run,
        is_paused=facts.is_paused,
        drill=drill.drill if drill else "none",
        drilled_at=drill.drilled_at if drill else None,
        drill_seconds=drill.drill_seconds if drill else None,
        retention=list(view.retention),
        pinned=sum(record.pinned is not None for record in view.records or []),
    )


def count_of(view: View) -> int:
    """Backups in the bucket; where it cannot be asked, those that should be there."""
    if view.records is not None:
        return len(view.records)
    return sum(line.is_ours and line.entry.status == "success" for line in view.lines)


def storage_of(view: View) -> int | None:
    """Bytes of all backups in the bucket."""
    return None if view.records is None else sum(record.size for record in view.records)


def _storage_at(view: View, then: datetime) -> int | None:
    """Bytes of the backups that were there, as far as is known: expired ones count while the history has their rows."""
    if view.records is None or not view.has_history:
        return None
    return sum(line.entry.size or 0 for line in view.lines if line.entry.created_at <= then and _was_there(line, then))


def _was_there(line: Line, then: datetime) -> bool:
    if line.entry.in_bucket:
        return True
    return line.entry.status == "expired" and line.expired_at is not None and line.expired_at > then


def _last_seconds(view: View) -> float | None:
    successful = (line.entry for line in view.lines if line.is_ours and line.entry.status == "success")
    return next((entry.seconds for entry in successful if entry.seconds is not None), None)


def _rate(view: View, days: int, now: datetime) -> SuccessRate:
    """Of what this package did. Only the history knows of failures: without it, nothing is said to have ended."""
    since = now - timedelta(days=days)
    recent = takewhile(lambda line: line.entry.created_at > since, view.lines if view.has_history else ())
    ended = [line.entry.status for line in recent if line.is_ours and line.entry.status != "in_progress"]
    return SuccessRate(days=days, succeeded=sum(status != "failed" for status in ended), ended=len(ended))
