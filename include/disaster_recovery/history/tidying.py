"""Rows that have had their day: of backups that failed long ago, and of those that nobody is taking any more."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from include.disaster_recovery.history.rows import HistoryRow, read_rows
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection

STALE_AGE = timedelta(days=1)  # longer than the dagrun_timeout of collabhunts_backup, 20 hours
ABANDONED = "the run was killed before it could say why; closed by retention"
DENIED = "grant the backup role DELETE on public.backup_history, or leave its rows to somebody else"


def stale_rows(rows: Iterable[HistoryRow], now: datetime, is_active: Callable[[str], bool]) -> list[HistoryRow]:
    """The open rows of backups that nobody is taking any more; `is_active` is asked for the run of each old one."""
    old = [row for row in rows if row.status == "in_progress" and row.created_at < now - STALE_AGE]
    return [row for row in old if row.run_id is None or not is_active(row.run_id)]


def close_stale(connection: Connection, rows: Sequence[HistoryRow]) -> int:
    """Close rows as failed; returns how many were still open.

    Raises:
        TableUnreadable: the role may not write them.
        DatabaseUnavailable: the connection was lost.
    """
    values = {"ids": [row.id for row in rows], "error": ABANDONED}
    with translated("backup_history cannot be written"):
        return len(connection.execute(statement("history_close_stale"), values).fetchall())


def delete_failed(connection: Connection, before: datetime) -> int:
    """Delete the rows of backups that failed before a moment; returns how many.

    Raises:
        TableUnreadable: the role may not delete rows.
        DatabaseUnavailable: the connection was lost.
    """
    if not read_rows(connection, status="failed", most=1):  # there may be no history yet
        return 0
    with translated("rows of backup_history cannot be deleted", denied=DENIED):
        return len(connection.execute(statement("history_delete_failed"), {"before": before}).fetchall())
