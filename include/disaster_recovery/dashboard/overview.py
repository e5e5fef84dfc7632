"""Everything above the table, and the summary for outside monitors. Pure."""

from datetime import datetime

from include.disaster_recovery.dashboard.answer import answer_of, known_of
from include.disaster_recovery.dashboard.calendar import calendar_of
from include.disaster_recovery.dashboard.model import (
    BackupEntry,
    DagFacts,
    Overview,
    Problem,
    Summary,
)
from include.disaster_recovery.dashboard.tiles import count_of, storage_of, tiles_of
from include.disaster_recovery.dashboard.view import View
from include.disaster_recovery.settings import WatchSettings


def overview_of(view: View, facts: DagFacts, limits: WatchSettings, now: datetime) -> Overview:
    """The answer, tiles, charts and calendar; points and drills oldest first."""
    return Overview(
        answer=answer_of(view, facts, limits, now),
        tiles=tiles_of(view, facts, now),
        points=list(view.points),
        drills=list(view.drills),
        calendar=calendar_of(view.entries, now),
        running=list(facts.running),
        problems=_problems(view, facts),
        read_at=view.read_at,
    )


def summary_of(view: View, facts: DagFacts, limits: WatchSettings, now: datetime) -> Summary:
    """The answer in numbers."""
    answer, known = answer_of(view, facts, limits, now), known_of(view, now)
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
    return max(0.0, (now - entry.created_at).total_seconds()) if entry else None


def _problems(view: View, facts: DagFacts) -> list[Problem]:
    return [*view.problems, *([facts.problem] if facts.problem else [])]
