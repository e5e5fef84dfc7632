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
    if (error.sqlstate or "")[:2] in _ABOUT_VALUES and not isinstance(error, _SNAPSHOT_ERRORS):
        return f"{type(error).__name__} (SQLSTATE {error.sqlstate}); the message may quote a row, see the server's log"
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
            f"snapshot {snapshot_id} is gone ({message(error)})",
            hint="the task hold_snapshot ended early; see its log, then trigger a new backup",
        ) from None


_CONSTRAINTS = "23"
_CONSTRAINT_HINT = (
    "the backup's rows and those of the target exclude each other; mode=replace removes rows the backup does not have"
)


@contextmanager
def restoring(what: str, *, denied: str = "the role of the target connection needs this right") -> Iterator[None]:
    """Raise our errors instead of psycopg's for statements that write into a restore's target.

    Raises:
        DatabaseUnavailable: the connection was lost, the disk is full, or the server has a passing problem.
        RestoreFailed: the target refused.
    """
    try:
        yield
    except pg.InsufficientPrivilege as error:
        raise RestoreFailed(f"{what}: {message(error)}", hint=denied) from None
    except pg.DiskFull as error:
        raise DatabaseUnavailable(f"{what}: {message(error)}", hint="free space on the disk of the target") from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(
            f"{what}: {message(error)}", hint="check that the target is up and reachable; its log says why it hung up"
        ) from None
    except psycopg.Error as error:
        raise RestoreFailed(f"{what}: {_named(error)}", hint=_refusal_hint(error)) from None


def _named(error: psycopg.Error) -> str:
    """The message; of a broken constraint its name and table, which quote no row."""
    if (error.sqlstate or "")[:2] == _CONSTRAINTS and error.diag.table_name:
        name = error.diag.constraint_name or error.diag.column_name or "not null"
        return f"{type(error).__name__} by {name} of table {error.diag.table_name}"
    return message(error)


def _refusal_hint(error: psycopg.Error) -> str:
    return _CONSTRAINT_HINT if (error.sqlstate or "")[:2] == _CONSTRAINTS else "see the log of the database server"
