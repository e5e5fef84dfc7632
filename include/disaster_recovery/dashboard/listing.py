"""A page of the table: filtered, searched, sorted. Pure, over what is in memory."""

from collections.abc import Callable, Sequence
from datetime import datetime

from include.disaster_recovery.dashboard.model import BackupEntry, BackupPage, SortKey
from include.disaster_recovery.dashboard.view import Line, View

Value = datetime | float | str | None
VALUES: dict[SortKey, Callable[[BackupEntry], Value]] = {
    "created_at": lambda entry: entry.created_at,
    "size": lambda entry: entry.size,
    "rows": lambda entry: entry.rows,
    "seconds": lambda entry: entry.seconds,
    "status": lambda entry: entry.status,
}


def page_of(
    view: View, *, status: str | None, search: str | None, sort: SortKey, descending: bool, offset: int, limit: int
) -> BackupPage:
    """A slice of what filter and search leave, sorted; equal ones newest first, unknown values last."""
    found = _ordered(_matching(view.lines, status, search), sort, descending=descending)
    start = max(0, offset)
    return BackupPage(
        total=len(found),
        offset=start,
        entries=[line.entry for line in found[start : start + max(0, limit)]],
        problems=list(view.problems),
        read_at=view.read_at,
    )


def _matching(lines: Sequence[Line], status: str | None, search: str | None) -> list[Line]:
    wanted = None if status in (None, "all") else status
    text = (search or "").strip().casefold()
    return [line for line in lines if (wanted is None or line.entry.status == wanted) and text in line.searched]


def _ordered(lines: list[Line], sort: SortKey, *, descending: bool) -> list[Line]:
    value = VALUES[sort]
    known = [(found, line) for line in lines if (found := value(line.entry)) is not None]
    unknown = [line for line in lines if value(line.entry) is None]
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return [*(line for _, line in known), *unknown]
