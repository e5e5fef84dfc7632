"""Translation of psycopg's errors into ours. Only the primary message is kept: details may quote row values."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg

from include.disaster_recovery.errors import (
    DatabaseUnavailable,
    DisasterRecoveryError,
    RestoreFailed,
    SnapshotLost,
    TableLocked,
    TableUnreadable,
)

_HINTS: dict[type[psycopg.Error], tuple[type[DisasterRecoveryError], str]] = {
    pg.LockNotAvailable: (
        TableLocked,
        "another session holds or awaits an exclusive lock; see pg_locks, and keep migrations out of the backup window",
    ),
    pg.UndefinedTable: (
        TableUnreadable,
        "the table was dropped; take it out of tables.include, or run the backup again",
    ),
    pg.UndefinedColumn: (TableUnreadable, "the table was altered during the backup; run the backup again"),
}
_DENIED = "grant the backup role SELECT on it, and BYPASSRLS so that row-level security hides no row"
_SNAPSHOT_ERRORS = (pg.InvalidParameterValue, pg.UndefinedObject)
# Data exceptions, broken constraints, RAISE of user functions (appendix A of the manual): their texts quote values.
_ABOUT_VALUES = {"22", "23", "P0"}


def message(error: psycopg.Error) -> str:
    """The primary message, one line, without detail or context; of errors about values only their name."""
    raised = "at RAISE" in (error.diag.context or "")  # by a function of the user, which may choose any SQLSTATE
    if raised or (error.sqlstate or "")[:2] in _ABOUT_VALUES:
        return f"{type(error).__name__} (SQLSTATE {error.sqlstate}); the message may quote a row, see the server's log"
    return _primary(error)


def _primary(error: psycopg.Error) -> str:
    said = (error.diag.message_primary or str(error)).strip()
    return said.splitlines()[0] if said else type(error).__name__


@contextmanager
def translated(what: str, *, denied: str | None = None) -> Iterator[None]:
    """Raise our errors instead of psycopg's, saying what was attempted.

    Args:
        what: what is said before the server's message.
        denied: the hint where a privilege is missing, if it is not SELECT on a table.

    Raises:
        DatabaseUnavailable: the connection was lost, or the server has a passing problem.
        TableLocked: a lock was not to be had.
        TableUnreadable: the object is missing, hidden or refused.
    """
    try:
        yield
    except pg.InsufficientPrivilege as error:
        raise TableUnreadable(f"{what}: {message(error)}", hint=denied or _DENIED) from None
    except psycopg.Error as error:
        raise _ours(error, what) from None


def _ours(error: psycopg.Error, what: str) -> DisasterRecoveryError:
    fact = f"{what}: {message(error)}"
    for kind, (ours, hint) in _HINTS.items():
        if isinstance(error, kind):
            return ours(fact, hint=hint)
    if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
        return DatabaseUnavailable(
            fact, hint="check that the database is up and reachable; its log says why it hung up"
        )
    return TableUnreadable(fact, hint="the database refused to give these values; mend them or exclude the table")


@contextmanager
def snapshot_errors(snapshot_id: str) -> Iterator[None]:
    """Raise SnapshotLost where the server no longer knows the snapshot.

    Raises:
        SnapshotLost: the session that exported the snapshot is gone.
    """
    try:
        yield
    except _SNAPSHOT_ERRORS as error:
        raise SnapshotLost(
            f"snapshot {snapshot_id} is gone ({_primary(error)})",
            hint="the task hold_snapshot ended early; see its log, then trigger a new backup",
        ) from None


_CONSTRAINTS = "23"
_CONSTRAINT_HINT = (
    "the backup's rows and those of the target exclude each other; mode=replace removes rows the backup does not have"
)
# Trying again never helps, though psycopg counts them as operational: too complex, too many columns, wrong state.
_LASTING = ("54", "55000")
# Limits and quotas of a file system have no SQLSTATE of their own: md.c tells only that a file could not be extended.
_STORAGE = "md.c"


@contextmanager
def restoring(what: str, *, denied: str = "the role of the target connection needs this right") -> Iterator[None]:
    """Raise our errors instead of psycopg's for statements that write into a restore's target.

    Raises:
        DatabaseUnavailable: the connection was lost, the disk is full, or the server has a passing problem.
        TableLocked: a lock was not to be had in time.
        RestoreFailed: the target refused.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _of_target(error, what, denied) from None


def _of_target(error: psycopg.Error, what: str, denied: str) -> DisasterRecoveryError:
    fact = f"{what}: {_named(error)}"
    if isinstance(error, pg.InsufficientPrivilege):
        return RestoreFailed(fact, hint=denied)
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return RestoreFailed(fact, hint="the target takes no writes: a standby, or (Supabase) one whose disk is full")
    if isinstance(error, pg.LockNotAvailable):
        return TableLocked(fact, hint="another session of the target holds on to it; see pg_locks, end it or wait")
    if isinstance(error, pg.DiskFull) or (isinstance(error, psycopg.InternalError) and _is_about_a_file(error)):
        return DatabaseUnavailable(fact, hint="free space on the disk of the target; nothing was changed")
    if isinstance(error, _CONNECTION) and not (error.sqlstate or "").startswith(_LASTING):
        return DatabaseUnavailable(fact, hint="check that the target is up and reachable; its log says why it hung up")
    return RestoreFailed(fact, hint=_refusal_hint(error))


_CONNECTION = (psycopg.OperationalError, psycopg.InterfaceError)


def _is_about_a_file(error: psycopg.Error) -> bool:
    return error.diag.source_file == _STORAGE


def _named(error: psycopg.Error) -> str:
    """The message; of a broken constraint its name and table, which quote no row."""
    if (error.sqlstate or "")[:2] == _CONSTRAINTS and error.diag.table_name:
        name = error.diag.constraint_name or error.diag.column_name or "not null"
        return f"{type(error).__name__} by {name} of table {error.diag.table_name}"
    return message(error)


def _refusal_hint(error: psycopg.Error) -> str:
    return _CONSTRAINT_HINT if (error.sqlstate or "")[:2] == _CONSTRAINTS else "see the log of the database server"
