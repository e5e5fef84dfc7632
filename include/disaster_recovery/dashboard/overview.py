"""Everything above the table, and the summary for outside monitors. Pure."""

from datetime import datetime
from itertools import islice

from include.disaster_recovery.dashboard.answer import answer_of, known_of
from include.disaster_recovery.dashboard.calendar import calendar_of
from include.disaster_recovery.dashboard.model import (
    BackupEntry,
    DagFacts,
    DrillPoint,
    Overview,
    Point,
    Problem,
    Summary,
)
from include.disaster_recovery.dashboard.tiles import count_of, storage_of, tiles_of
from include.disaster_recovery.dashboard.view import View
from include.disaster_recovery.settings import WatchSettings

MOST_POINTS = 400


def overview_of(view: View, facts: DagFacts, limits: WatchSettings, now: datetime) -> Overview:
    """The answer, tiles, charts and calendar; points and drills oldest first."""
    return Overview(
        answer=answer_of(view, facts, limits, now),
        tiles=tiles_of(view, facts, now),
        points=_points(view),
        drills=_drills(view),
        calendar=calendar_of(view.entries, now),
        running=list(facts.running),
        problems=_problems(view, facts),
        read_at=view.read_at,
    )


def summary_of(view: View, facts: DagFacts, limits: WatchSettings, now: datetime) -> Summary:
    """The answer in numbers."""
    answer, known = answer_of(view, facts, limits, now), known_of(view)
    return Summary(
        level=answer.level,
        sentence=answer.sentence,
        newest_verified_at=known.newest.created_at if known.newest else None,
        newest_verified_age_seconds=_age(known.newest, now),
        newest_proven_at=known.proven.created_at if known.proven else None,
        newest_proven_age_seconds=_age(known.proven, now),
        restore_seconds=answer.restore_seconds,
        backups=count_of(view),
        storage_bytes=storage_of(view),
        problems=_problems(view, facts),
    )


def _age(entry: BackupEntry | None, now: datetime) -> float | None:
    return (now - entry.created_at).total_seconds() if entry else None


def _problems(view: View, facts: DagFacts) -> list[Problem]:
    return [*view.problems, *([facts.problem] if facts.problem else [])]


def _points(view: View) -> list[Point]:
    successful = (line.entry for line in view.lines if line.is_ours and line.entry.status in ("success", "expired"))
    newest = list(islice(successful, MOST_POINTS))
    return [
        Point(id=e.id, at=e.created_at, size=e.size, rows=e.rows, seconds=e.seconds, unusual=e.unusual)
        for e in reversed(newest)
    ]


def _drills(view: View) -> list[DrillPoint]:
    drilled = [line for line in view.lines if line.phases and line.entry.drilled_at]
    found = [
        DrillPoint(id=line.entry.id, at=line.entry.drilled_at, phases=dict(line.phases))
        for line in drilled
        if line.entry.drilled_at
    ]
    return sorted(found, key=lambda point: point.at)[-MOST_POINTS:]
