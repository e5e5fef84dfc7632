"""The top line: can the platform be brought back right now, to when, and how long would it take. Pure.

What the bucket holds decides: a restore needs nothing else. The history only helps out where that is out of reach.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import dropwhile, takewhile

from include.disaster_recovery.dashboard.dags import BACKUP
from include.disaster_recovery.dashboard.dags import DRILL as DRILL_DAG
from include.disaster_recovery.dashboard.model import Answer, BackupEntry, DagFacts, Level
from include.disaster_recovery.dashboard.view import View
from include.disaster_recovery.dashboard.wording import ago, duration, first_line, moment_text
from include.disaster_recovery.retention import is_future
from include.disaster_recovery.settings import WatchSettings

FAILED, LATE = "docs/runbooks/backup-failed.md", "docs/runbooks/backup-late.md"
DAMAGED, DRILL = "docs/runbooks/verification-failed.md", "docs/runbooks/drill-failed.md"
REASONS = 2  # in the sentence: more are not read


@dataclass(frozen=True, kw_only=True)
class Concern:
    """Something that takes from the answer; the worst are told first."""

    level: Level
    reason: str
    action: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the answer is made of. `newest` is the newest verified backup, `proven` the newest that a drill has proven.

    `restore_seconds` are those of the newest drill that proved a backup.
    """

    newest: BackupEntry | None
    proven: BackupEntry | None
    restore_seconds: float | None


def known_of(view: View, now: datetime) -> Known:
    """The backups that the answer is about; one from the future only where there is no other: its age tells nothing."""
    good = list(dropwhile(lambda entry: is_future(entry.created_at, now), view.good)) or view.good
    last = next((entry for entry in view.drilled if entry.drill == "proven"), None)
    return Known(
        newest=good[0] if good else None,
        proven=next((entry for entry in good if entry.drill == "proven"), None),
        restore_seconds=last.drill_seconds if last else None,
    )


def answer_of(view: View, facts: DagFacts, limits: WatchSettings, now: datetime) -> Answer:
    """The sentence, its colour, and what to do next."""
    known = known_of(view, now)
    newest = known.newest
    if not view.has_bucket:
        level, sentence, action = _without_bucket(view, newest, now)
    elif newest is None:
        level, sentence, action = "bad", f"Not recoverable: {_why_none(view.entries)}", _what_then(view.entries, facts)
    else:
        concerns = sorted(_concerns(view, known, newest, facts, limits, now), key=lambda each: each.level != "bad")
        level = concerns[0].level if concerns else "good"
        action = concerns[0].action if concerns else None
        sentence = _sentence(newest, known, concerns, now)
    return Answer(
        level=level,
        sentence=sentence,
        next_action=action,
        recoverable_to=newest.created_at if newest else None,
        proven_at=known.proven.drilled_at if known.proven else None,
        restore_seconds=known.restore_seconds,
    )


Parts = tuple[Level, str, str | None]


def _without_bucket(view: View, newest: BackupEntry | None, now: datetime) -> Parts:
    hint = next((problem.hint for problem in view.problems if problem.source == "bucket"), "check the bucket")
    unknown = "Cannot tell whether the platform is recoverable: the bucket cannot be read"
    if not view.has_history:
        return "bad", f"{unknown}, nor can the history", hint
    if newest is None:
        return "bad", f"{unknown}; the history knows no verified backup", hint
    said = f"{moment_text(newest.created_at, now)} ({ago(newest.created_at, now)})"
    return "bad", f"{unknown}; by the history, the newest verified backup is of {said}", hint


def _why_none(entries: Sequence[BackupEntry]) -> str:
    there = [entry for entry in entries if entry.in_bucket]
    invalid = sum(entry.verification == "invalid" for entry in there)
    if not there:
        return "there is no backup in the bucket"
    count = "the only backup in the bucket is" if len(there) == 1 else f"of {len(there)} backups in the bucket none is"
    if invalid == len(there):
        return f"{count} damaged" if len(there) == 1 else f"all {len(there)} backups in the bucket are damaged"
    return f"{count} {'not ' if len(there) == 1 else ''}verified"


def _what_then(entries: Sequence[BackupEntry], facts: DagFacts) -> str:
    there = [entry for entry in entries if entry.in_bucket]
    if any(run.dag_id == BACKUP for run in facts.running):
        return "wait for the backup that is running"
    first = f"unpause {BACKUP} and " if facts.is_paused else ""
    if any(entry.verification == "unverified" for entry in there):
        return f"verify the newest backup, or {first}trigger {BACKUP}; see {DAMAGED}"
    if there:
        return f"{first}trigger {BACKUP} now, and verify it; see {DAMAGED}"
    failed = any(entry.status == "failed" for entry in entries)
    return f"{first}trigger {BACKUP} now" + (f"; see {FAILED}" if failed else "")


def _sentence(newest: BackupEntry, known: Known, concerns: Sequence[Concern], now: datetime) -> str:
    is_bad = bool(concerns) and concerns[0].level == "bad"
    only = " only" if is_bad and concerns[0].action.endswith(LATE) else ""
    parts = [f"Recoverable{only} to {moment_text(newest.created_at, now)} ({ago(newest.created_at, now)})"]
    parts += [concern.reason for concern in concerns[:REASONS]]
    if newest.drill == "proven" and newest.drilled_at and not is_bad:
        parts.append(f"proven by a drill {ago(newest.drilled_at, now)}")
    elif known.proven and not concerns:
        parts.append(f"the backup of {moment_text(known.proven.created_at, now)} is proven by a drill")
    elif not concerns:
        parts.append("not proven by a drill")
    if known.restore_seconds is not None:
        parts.append(f"full restore takes about {duration(known.restore_seconds)}")
    return " · ".join(parts)


def _concerns(
    view: View, known: Known, newest: BackupEntry, facts: DagFacts, limits: WatchSettings, now: datetime
) -> Iterator[Concern]:
    """In the order in which they are told, within bad and warning."""
    newer = takewhile(lambda line: line.entry.created_at > newest.created_at, view.lines)
    later = [line.entry for line in newer if not line.is_foreign and not is_future(line.entry.created_at, now)]
    yield from _age(newest, facts, limits, now)
    yield from _damage(later, now)
    yield from _drill_failed(newest, now)
    yield from _failure(later, now)
    yield from _proof(newest, known, facts, limits, now)
    yield from _future(view, now)
    if facts.is_paused:
        yield Concern(level="warning", reason=f"{BACKUP} is paused", action=f"unpause {BACKUP}")
    yield from _problems(view)


def _age(newest: BackupEntry, facts: DagFacts, limits: WatchSettings, now: datetime) -> Iterator[Concern]:
    if now - newest.created_at > timedelta(hours=limits.late_hours):
        if any(run.dag_id == BACKUP for run in facts.running):
            action = "see what the running backup is waiting for"
        else:
            action = f"{'unpause' if facts.is_paused else 'see why'} {BACKUP}"
            action += " and trigger it" if facts.is_paused else " brought no newer one, and trigger it"
        reason = f"no newer backup is verified, one is due every {limits.late_hours} h"
        yield Concern(level="bad", reason=reason, action=f"{action}; see {LATE}")


def _damage(later: Sequence[BackupEntry], now: datetime) -> Iterator[Concern]:
    for entry in later:
        if entry.verification in ("invalid", "missing"):
            what = "is damaged" if entry.verification == "invalid" else "is gone from the bucket"
            reason = f"the newer backup of {moment_text(entry.created_at, now)} {what}"
            yield Concern(level="bad", reason=reason, action=f"trigger {BACKUP} now, and verify it; see {DAMAGED}")
            return


def _drill_failed(newest: BackupEntry, now: datetime) -> Iterator[Concern]:
    if newest.drill == "failed":
        when = f" {ago(newest.drilled_at, now)}" if newest.drilled_at else ""
        action = f"read the report of the drill, and drill an older backup; see {DRILL}"
        yield Concern(level="bad", reason=f"its drill failed{when}", action=action)


def _failure(later: Sequence[BackupEntry], now: datetime) -> Iterator[Concern]:
    """The last attempt that has ended; one that runs or succeeded after it does not unsay that nothing is verified."""
    last = next((entry for entry in later if entry.status != "in_progress"), None)
    if last and last.status == "failed":
        said = f"the last attempt failed {ago(last.created_at, now)}: {first_line(last.error or '')}"
        action = f"open the log of the red task, and trigger {BACKUP} again; see {FAILED}"
        yield Concern(level="warning", reason=said, action=action)


def _proof(
    newest: BackupEntry, known: Known, facts: DagFacts, limits: WatchSettings, now: datetime
) -> Iterator[Concern]:
    if limits.unproven_hours is None or newest.drill == "failed":
        return
    if known.proven and now - known.proven.created_at <= timedelta(hours=limits.unproven_hours):
        return
    reason = "no backup is proven by a drill yet"
    if known.proven:
        reason = f"the newest proven backup is of {moment_text(known.proven.created_at, now)}"
    running = any(run.dag_id == DRILL_DAG for run in facts.running)
    action = "wait for the drill that is running" if running else f"trigger {DRILL_DAG}; see {DRILL}"
    yield Concern(level="warning", reason=reason, action=action)


def _future(view: View, now: datetime) -> Iterator[Concern]:
    if view.good and is_future(view.good[0].created_at, now):
        action = "check the clock of this server, and of the worker that takes the backups"
        yield Concern(level="warning", reason="a backup is dated in the future", action=action)


def _problems(view: View) -> Iterator[Concern]:
    for problem in view.problems:
        what = (
            "the history cannot be read" if problem.source == "history" else "not everything in the bucket can be read"
        )
        yield Concern(level="warning", reason=what, action=problem.hint)
