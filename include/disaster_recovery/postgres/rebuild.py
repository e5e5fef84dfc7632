"""Running a backup's DDL in a target: what it must be, what may be skipped there, and what would undo it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import errors as pg
from psycopg import sql

from include.disaster_recovery.errors import (
    DatabaseUnavailable,
    DisasterRecoveryError,
    RebuildFailed,
    RestoreRefused,
    TableLocked,
)
from include.disaster_recovery.postgres.errors import message, restoring
from include.disaster_recovery.postgres.queries import statement as kept_statement
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.sql_script import split

SHOWN = 5  # objects named in a refusal
SHOWN_CHARACTERS = 120  # of a statement, in messages
_SETTING = re.compile(r"(SET|RESET|SELECT pg_catalog\.set_config\()\s*(?P<name>[\w.]*)", re.IGNORECASE)
_AS_SOMEBODY = "SET SESSION AUTHORIZATION "
_AS_OURSELVES = "RESET SESSION AUTHORIZATION"
# What pg_dump writes about things that a platform manages for its customers: a refused one leaves the application whole.
_MANAGED = re.compile(
    r"ALTER DEFAULT PRIVILEGES\s|(GRANT|REVOKE)\s|COMMENT ON (SCHEMA|EXTENSION)\s|CREATE SCHEMA IF NOT EXISTS\s"
    r"|ALTER\s.*\sOWNER TO (\"([^\"]|\"\")*\"|\S+)$",
    re.DOTALL,
)
_OWNERSHIP = re.compile(r"ALTER\s.*\sOWNER TO ", re.DOTALL)
_NEWER_SETTINGS = {"transaction_timeout"}  # of those that pg_dump sets for its own sake
_DENIED: tuple[type[psycopg.Error], ...] = (pg.InsufficientPrivilege,)
# Triggers and policies on the platform's tables, publications: another platform (none, or a newer one) may lack the
# table or a function, or bring the object itself.
_UNLIKE = (
    *_DENIED,
    pg.UndefinedTable,
    pg.UndefinedFunction,
    pg.UndefinedObject,
    pg.InvalidSchemaName,
    pg.DuplicateObject,
)
_PASSING = ("08", "40", "53", "57", "58")  # connection, deadlock, resources, operator, system (manual, appendix A)


@contextmanager
def rebuilding(
    what: str, *, hint: str = "mend what the server names in target or source; its log says more"
) -> Iterator[None]:
    """Raise our errors instead of psycopg's.

    Raises:
        DatabaseUnavailable, TableLocked: a passing problem.
        RebuildFailed: the server refused.
    """
    try:
        yield
    except psycopg.Error as error:
        raise _ours(error, what, hint) from None


def _ours(error: psycopg.Error, what: str, hint: str) -> DisasterRecoveryError:
    state = error.sqlstate or ""
    if isinstance(error, pg.LockNotAvailable):
        return TableLocked(f"{what}: {message(error)}", hint="another session uses the table; end it, then try again")
    if state[:2] in _PASSING or (not state and isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError))):
        return DatabaseUnavailable(f"{what}: {message(error)}", hint="check that the target is up and has space")
    if state[:2] == "23" and error.diag.constraint_name:  # the message may quote a row
        return RebuildFailed(f"{what}: {type(error).__name__} by {error.diag.constraint_name}", hint=hint)
    return RebuildFailed(f"{what}: {message(error)}", hint=hint)


def require_empty(connection: Connection, schemas: Sequence[str]) -> None:
    """Refuse a target that has anything of an application in these schemas.

    Raises:
        RestoreRefused: the first few objects are named.
        RestoreFailed, DatabaseUnavailable: the target refused to tell.
    """
    with restoring("list of the target's objects"):
        found = connection.execute(kept_statement("rebuild_objects"), {"schemas": list(schemas)}).fetchall()
    if not found:
        return
    named = ", ".join(f"{kind} {identity}" for kind, identity, _ in found[:SHOWN])
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise RestoreRefused(
        f"the target is not empty, restore_schema cannot rebuild it: it has {named}{more}",
        hint="choose an empty database or a new project, or restore rows only, without restore_schema",
    )


@contextmanager
def kept_session(connection: Connection) -> Iterator[None]:
    """Put every setting of the session, and who it acts as, back to what it was; inside the caller's transaction.

    Nothing is done where the block fails: the transaction then takes the settings back with it.
    """
    query = "select name, setting from pg_catalog.pg_settings where context in ('user', 'superuser')"
    before = set(connection.execute(query).fetchall())
    yield
    connection.execute("reset session authorization")
    for name, value in before - set(connection.execute(query).fetchall()):
        connection.execute("select pg_catalog.set_config(%s, %s, false)", (name, value))


class Attempts:
    """Runs statements inside the caller's transaction and keeps a list of those that were skipped, with reasons."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.skipped: list[str] = []

    def skip(self, what: str, reason: str) -> None:
        """Put something on the list."""
        self.skipped.append(f"{what}: {reason}")

    def attempt(
        self, query: sql.Composable | str, what: str | None = None, *, besides: Sequence[type[psycopg.Error]] = ()
    ) -> bool:
        """Run one statement in a savepoint; one refused for lack of privilege, or for `besides`, is skipped.

        Raises:
            RebuildFailed, DatabaseUnavailable, TableLocked: it failed for another reason.
        """
        shown = what or first_words(query if isinstance(query, str) else query.as_string(self.connection))
        with rebuilding(shown):
            try:
                with self.connection.transaction():
                    self._execute(query)
            except (*_DENIED, *besides) as error:
                self.skip(shown, message(error))
                return False
        return True

    def run(self, script: str, *, hung: bool = False) -> None:
        """Run a script statement by statement.

        Args:
            hung: these are triggers, policies and publications of the platform: what is unlike there is skipped.

        Raises:
            RebuildFailed, DatabaseUnavailable, TableLocked: a statement failed that must not.
        """
        with rebuilding("the DDL of the backup"):
            known = {str(row[0]).lower() for row in self.connection.execute("select name from pg_catalog.pg_settings")}
        refused_ownership: list[tuple[str, int]] = []
        as_nobody = False
        for each in split(script):
            if as_nobody:
                as_nobody = each != _AS_OURSELVES
                if as_nobody:
                    self.skip(first_words(each), "it needs another role's rights")
            elif each.startswith(_AS_SOMEBODY):
                as_nobody = not self.attempt(each)
            elif setting := _SETTING.match(each):
                self._set(each, setting["name"].lower(), known)
            elif hung or _MANAGED.match(each):
                unlike = _UNLIKE if hung else (pg.UndefinedObject,)  # a role that could not be created
                if not self.attempt(each, besides=unlike) and _OWNERSHIP.match(each):
                    refused_ownership.append((each, len(self.skipped) - 1))
            else:
                with rebuilding(first_words(each)):
                    self._execute(each)
        self._again(refused_ownership)

    def _set(self, each: str, name: str, known: set[str]) -> None:
        """A setting of the session; one that this server does not know (transaction_timeout before 17) says nothing."""
        if name in known or name not in _NEWER_SETTINGS:
            self.attempt(each, besides=(pg.InvalidParameterValue, pg.UndefinedObject))

    def _again(self, refused: Sequence[tuple[str, int]]) -> None:
        """Owners once more: the new owner's right to create in the schema is granted after the objects."""
        taken = [place for each, place in refused if self._quietly(each)]
        self.skipped = [line for place, line in enumerate(self.skipped) if place not in taken]

    def _quietly(self, each: str) -> bool:
        try:
            with rebuilding(first_words(each)), self.connection.transaction():
                self._execute(each)
        except RebuildFailed:
            return False
        return True

    def _execute(self, query: sql.Composable | str) -> None:
        self.connection.execute(query.encode() if isinstance(query, str) else query)


def first_words(statement: str) -> str:
    """The beginning of a statement, on one line."""
    line = " ".join(statement[: 4 * SHOWN_CHARACTERS].split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS].rstrip() + " …"
