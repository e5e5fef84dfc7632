"""Reading bucket and history at once; either may be out of reach, and the page lists from the other one."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Literal

from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.dashboard.attempts import Trouble, attempt
from include.disaster_recovery.dashboard.entries import join_lines
from include.disaster_recovery.dashboard.model import Problem, RuleFill
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.dashboard.view import View
from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.history.listing import ListedRow, list_rows
from include.disaster_recovery.history.recalling import recall
from include.disaster_recovery.retention import Policy, by_key, filled, plan_expiry
from include.disaster_recovery.s3.records import bare_records, list_records

Records = tuple[list[BackupRecord], Trouble | None]


def read_view(sources: Sources) -> View:
    """Read both at once, and join them. Never raises for a source: what could not be read is a problem of the view."""
    read_at = sources.now()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="backup-history") as pool:
        asked = pool.submit(attempt, "bucket", lambda: _records(sources))
        rows, no_history = attempt("history", lambda: _rows(sources))
        answer, no_bucket = asked.result()
    records, no_verdicts = answer or (None, None)
    problems = [*_problems("bucket", no_bucket or no_verdicts), *_problems("history", no_history)]
    return _joined(sources, records, rows, problems, read_at)


def repinned(sources: Sources, view: View, key: str, reason: str | None) -> View:
    """What reading it all again would find after a backup was pinned, or unpinned (None)."""
    found = view.records or []
    records = [each.model_copy(update={"pinned": reason}) if each.key == key else each for each in found]
    return _joined(sources, records, view.rows, view.problems, view.read_at)


def _problems(source: Literal["bucket", "history"], trouble: Trouble | None) -> list[Problem]:
    return [Problem(source=source, fact=trouble.fact, hint=trouble.hint)] if trouble else []


def _rows(sources: Sources) -> list[ListedRow]:
    with sources.source() as connection:
        return list_rows(connection)


def _records(sources: Sources) -> Records:
    """The backups; without verdicts, pins and leases where the key may not read those."""
    store, prefix = sources.store(), sources.settings.s3.prefix
    try:
        return list_records(store, prefix, sources.now()), None
    except StoreRefused as error:
        # raises where it is the bucket that is gone
        return bare_records(store, prefix), Trouble(fact=error.fact, hint=error.hint)


def _joined(
    sources: Sources,
    records: Sequence[BackupRecord] | None,
    rows: Sequence[ListedRow] | None,
    problems: Sequence[Problem],
    read_at: datetime,
) -> View:
    now, prefix, policy = sources.now(), sources.settings.s3.prefix, Policy.of(sources.settings.retention)
    recalled = None if records is None else recall(records, rows or [])
    plan = plan_expiry(recalled or [], policy, now)
    fill = filled(recalled or [], policy, now)
    return View(
        lines=join_lines(recalled, rows or [], by_key(plan), prefix, now),
        records=recalled,
        rows=rows,
        retention=[
            RuleFill.model_validate({"rule": rule, "kept": kept, "wanted": wanted})
            for rule, (kept, wanted) in (fill.items() if recalled is not None else ())
        ],
        problems=problems,
        read_at=read_at,
    )
