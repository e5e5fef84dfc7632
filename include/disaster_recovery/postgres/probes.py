"""How row-level security answers the platform's three API roles, found out by asking.

Every probe runs in a savepoint of the caller's transaction that is always rolled back: role, claims and settings go
with it. Policies are code: what they do wrong becomes the probe's answer, never the caller's error.
"""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import errors as pg
from psycopg import sql

from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.rls_proof import PROBED, TIMEOUT, Answer, Claims, KeyBound, RlsProbes, RoleProbe

log = logging.getLogger(__name__)

MANAGED_SCHEMA = "auth"  # whose tables ride along; the API does not show them
ROLES = ("anon", "authenticated", "service_role")  # Supabase's API roles
MOST_ROWS = 1001  # rows are counted up to here: a thousand, or more
MOST_ASKED = 5000  # rows whose policies are asked: each may cost a function's call, and there may be a billion
# One round trip: a backup has many tables, and the database may be far away.
_COUNT = (
    "savepoint one_probe; select pg_catalog.count(*) from (select from {}{} limit {}) as visible;"
    " rollback to savepoint one_probe; release savepoint one_probe"
)
_AFTER_ERROR = "rollback to savepoint one_probe; release savepoint one_probe"


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a probe may take, and how long all probes of one role."""

    table_seconds: float
    role_seconds: float


AT_BACKUP = Patience(table_seconds=2, role_seconds=20)
AT_RESTORE = Patience(table_seconds=10, role_seconds=300)


def probe_rls(connection: Connection, tables: Sequence[TableName]) -> RlsProbes:
    """The answers that a backup keeps, for the restore to compare: of its tables but Supabase's own.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    started = time.monotonic()
    asked = [table for table in tables if table.schema_name != MANAGED_SCHEMA]
    probes = probe(connection, asked, choose_claims(connection), AT_BACKUP, bounds=choose_bounds(connection, asked))
    told = ", ".join(f"{role} ({each.status}, {len(each.tables)} tables)" for role, each in probes.roles.items())
    log.info("asked row-level security as %s in %.1f s", told, time.monotonic() - started)
    return probes


def choose_claims(connection: Connection) -> Claims:
    """The claims that `authenticated` is tried with: the first account that can sign in, else the first.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    for query in ("probe_claimant", "probe_any_claimant"):
        with translated("choice of an account for the probes"), _answering(connection):
            connection.execute("select pg_catalog.set_config('statement_timeout', '20s', true)")
            row = connection.execute(statement(query)).fetchone()
            if row:
                return Claims(sub=str(row[0]), role="authenticated")
    return Claims(sub=None, role="authenticated")


def choose_bounds(connection: Connection, tables: Sequence[TableName]) -> dict[str, KeyBound]:
    """Where the probes of each larger table end: at its `MOST_ASKED`th row by primary key.

    A table whose key cannot bound them is asked whole, as long as the patience lasts.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    wanted = {relation(table).as_string(connection): table for table in tables}
    found: dict[str, KeyBound] = {}
    with translated("choice of rows for the probes"):
        keys = connection.execute(statement("probe_keys"), {"relations": list(wanted)}).fetchall()
        for name, column in keys:
            row = connection.execute(_bound_query(wanted[str(name)], str(column))).fetchone()
            if row:
                found[wanted[str(name)].name_in_document] = KeyBound(column=str(column), value=str(row[0]))
    return found


def _bound_query(table: TableName, column: str) -> sql.Composed:
    return sql.SQL("select t.{column}::text from {table} as t order by t.{column} limit 1 offset {before}").format(
        column=sql.Identifier(column), table=relation(table), before=sql.Literal(MOST_ASKED - 1)
    )


def probe(
    connection: Connection,
    tables: Sequence[TableName],
    claims: Claims,
    patience: Patience,
    *,
    bounds: Mapping[str, KeyBound],
    roles: Sequence[str] = ROLES,
) -> RlsProbes:
    """Ask every table as every role, inside the caller's transaction, which stays usable and unchanged.

    Args:
        bounds: by a table's name in the document, where its rows end for this.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    return RlsProbes(
        claims=claims,
        bounds=dict(bounds),
        roles={role: _probe_role(connection, role, tables, claims, patience, bounds) for role in roles},
    )


def _probe_role(
    connection: Connection,
    role: str,
    tables: Sequence[TableName],
    claims: Claims,
    patience: Patience,
    bounds: Mapping[str, KeyBound],
) -> RoleProbe:
    answers: dict[str, Answer] = {}
    deadline = time.monotonic() + patience.role_seconds
    with translated(f"probe of row-level security as {role}"), _answering(connection) as entry:
        connection.execute(statement("probe_session"), _request(role, claims, patience))
        for table in tables:
            if time.monotonic() >= deadline:
                return RoleProbe(status=f"stopped after {patience.role_seconds:g} s", tables=answers)
            answers[table.name_in_document] = _count(connection, table, bounds.get(table.name_in_document))
    return RoleProbe(status=_STATUS.get(entry.problem, entry.problem) or PROBED, tables=answers)


_STATUS = {"denied": "not a member of the role", "error:22023": "no such role"}


def _request(role: str, claims: Claims, patience: Patience) -> dict[str, str]:
    sub = claims.sub if role == claims.role else None
    said = {"sub": sub, "role": role} if sub else {"role": role}
    return {
        "role": role,
        "claims": json.dumps(said),
        "sub": sub or "",
        "timeout": f"{round(patience.table_seconds * 1000)}ms",
    }


def _count(connection: Connection, table: TableName, bound: KeyBound | None) -> Answer:
    """Rows visible, or why there is no such number. No parameters: a name may hold a percent sign."""
    upto = sql.SQL(" where {} <= {}").format(sql.Identifier(bound.column), bound.value) if bound else sql.SQL("")
    query = sql.SQL(_COUNT).format(relation(table), upto, sql.Literal(MOST_ROWS))
    try:
        cursor = connection.execute(query)
        cursor.nextset()
        row = cursor.fetchone()
    except psycopg.Error as error:
        problem = _answer(connection, error)
        connection.execute(_AFTER_ERROR)
        return problem
    return int(str(row[0])) if row else 0


def _answer(connection: Connection, error: psycopg.Error) -> str:
    """What an error means as an answer; one that ended the session is raised again."""
    if connection.closed or connection.broken or error.sqlstate in (None, *_HUNG_UP):
        raise error
    if isinstance(error, pg.InsufficientPrivilege):
        return "denied"
    return TIMEOUT if isinstance(error, pg.QueryCanceled) else f"error:{error.sqlstate}"


_HUNG_UP = ("57P01", "57P02", "57P03")  # the server is shutting down, or was told to end this session


@dataclass
class _Attempt:
    problem: str = ""


@contextmanager
def _answering(connection: Connection) -> Iterator[_Attempt]:
    """A savepoint, rolled back whatever happens; an error other than a lost connection becomes the answer."""
    attempt = _Attempt()
    try:
        with connection.transaction(force_rollback=True):
            yield attempt
    except psycopg.Error as error:
        attempt.problem = _answer(connection, error)
