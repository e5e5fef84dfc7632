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
from include.disaster_recovery.postgres.rebuild.sql_script import UnterminatedText, split
from include.disaster_recovery.postgres.session import Connection

Query = str | sql.SQL | sql.Composed
SHOWN = 5  # objects named in a refusal
SHOWN_CHARACTERS = 120  # of a statement, in messages
_SETTING = re.compile(r"(SET|RESET|SELECT pg_catalog\.set_config\()\s*(?P<name>[\w.]*)", re.IGNORECASE)
_AS_SOMEBODY = "SET SESSION AUTHORIZATION "
_AS_OURSELVES = "RESET SESSION AUTHORIZATION"
# What pg_dump writes about things that a platform manages for its customers: the application is whole without it.
_MANAGED = re.compile(
    r"ALTER DEFAULT PRIVILEGES\s|(GRANT|REVOKE)\s|COMMENT ON (SCHEMA|EXTENSION)\s|CREATE SCHEMA IF NOT EXISTS\s"
    r"|ALTER\s.*\sOWNER TO (\"([^\"]|\"\")*\"|\S+)$",
    re.DOTALL,
)
_ABOUT_SCHEMA = re.compile(
    r"((CREATE SCHEMA IF NOT EXISTS|ALTER SCHEMA|COMMENT ON SCHEMA)|(GRANT|REVOKE) [A-Z,]+ ON SCHEMA) "
    r"(?P<name>\"([^\"]|\"\")*\"|[^\"\s]+)( |$)"
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
_PRIVILEGES = re.compile(r"\b(GRANT|REVOKE) ([A-Z]+(?:, ?[A-Z]+)*) ON ")
MAINTAIN_SINCE = 170000  # a privilege that older servers do not know
_NOTHING_GRANTED = {"01006", "01007"}
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
    before, who = _settings(connection), _acting_as(connection)
    yield
    if (now := _acting_as(connection)) != who:
        if now[0] != who[0]:
            connection.execute("reset session authorization")
        connection.execute("select pg_catalog.set_config('role', %s, false)", who[1:])
    for name, value in before - _settings(connection):
        connection.execute("select pg_catalog.set_config(%s, %s, false)", (name, value))


def _settings(connection: Connection) -> set[tuple[object, ...]]:
    query = "select name, setting from pg_catalog.pg_settings where context in ('user', 'superuser')"
    return set(connection.execute(query).fetchall())


def _acting_as(connection: Connection) -> tuple[object, ...]:
    """Login and role; neither is in pg_settings."""
    return connection.execute("select session_user, pg_catalog.current_setting('role')").fetchone() or ()


class Attempts:
    """Runs statements inside the caller's transaction and keeps a list of those that were skipped, with reasons."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.skipped: list[str] = []
        self.warnings: list[str] = []

    def skip(self, what: str, reason: str) -> None:
        """Put something on the list."""
        self.skipped.append(f"{what}: {reason}")

    def execute(self, query: Query, what: str | None = None) -> None:
        """Run one statement that must not fail.

        Raises:
            RebuildFailed, DatabaseUnavailable, TableLocked: it failed.
        """
        with rebuilding(what or self._shown(query)):
            self._execute(query)

    def attempt(self, query: Query, what: str | None = None, *, besides: Sequence[type[psycopg.Error]] = ()) -> bool:
        """Run one statement in a savepoint; one refused for lack of privilege, or for `besides`, is skipped.

        Raises:
            RebuildFailed, DatabaseUnavailable, TableLocked: it failed for another reason.
        """
        shown = what or self._shown(query)
        with rebuilding(shown):
            try:
                with self.connection.transaction():
                    self._execute(query)
            except (*_DENIED, *besides) as error:
                self.skip(shown, message(error))
                return False
        return True

    def run(self, script: str, *, hung: bool = False, settled: Sequence[str] = ()) -> None:
        """Run a script statement by statement.

        Args:
            settled: schemas, as quoted by the server, that are as they should be: nothing is said about them.
            hung: these are triggers, policies and publications of the platform: what is unlike there is skipped.

        Raises:
            RebuildFailed, DatabaseUnavailable, TableLocked: a statement failed that must not.
        """
        with rebuilding("the DDL of the backup"):
            known = {str(row[0]).lower() for row in self.connection.execute("select name from pg_catalog.pg_settings")}
        refused_ownership: list[tuple[str, int]] = []
        as_nobody = False
        for each in _statements(script, self.connection.info.server_version):
            about = _ABOUT_SCHEMA.match(each)
            if about and about["name"] in settled:
                continue
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
                self.execute(each)
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

    def _shown(self, query: Query) -> str:
        return first_words(query if isinstance(query, str) else query.as_string(self.connection))

    def _execute(self, query: Query) -> None:
        self.connection.add_notice_handler(self._listen)
        try:
            self.warnings.clear()
            self.connection.execute(query.encode() if isinstance(query, str) else query)
        finally:
            self.connection.remove_notice_handler(self._listen)
        for warning in self.warnings:
            self.skip(self._shown(query), warning)

    def _listen(self, notice: psycopg.errors.Diagnostic) -> None:
        """Where we may do something with an object but not grant it, GRANT and REVOKE only warn."""
        if notice.sqlstate in _NOTHING_GRANTED:
            self.warnings.append((notice.message_primary or "").strip())


def _statements(script: str, server_version: int) -> list[str]:
    try:
        statements = split(script)
    except UnterminatedText as error:
        raise RebuildFailed(f"the DDL of the backup: {error}", hint="choose another backup; verify this one") from None
    if server_version < MAINTAIN_SINCE:
        statements = [line for each in statements if (line := without_maintain(each))]
    return statements


def without_maintain(statement: str) -> str:
    """A grant or revocation for servers that do not know MAINTAIN; empty if it is of nothing else."""
    match = _PRIVILEGES.search(statement)
    if match is None or not statement.startswith(("GRANT ", "REVOKE ", "ALTER DEFAULT PRIVILEGES ")):
        return statement
    kept = [each for each in re.split(", ?", match[2]) if each != "MAINTAIN"]
    return statement[: match.start(2)] + ",".join(kept) + statement[match.end(2) :] if kept else ""


def first_words(statement: str) -> str:
    """The beginning of a statement, on one line."""
    line = " ".join(statement[: 4 * SHOWN_CHARACTERS].split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS].rstrip() + " …"
