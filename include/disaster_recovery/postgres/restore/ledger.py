"""The ledgers in a restore's own schema: what is loaded, applied, left out, and what would undo a rebuilt schema.

Each entry is written in the transaction whose work it records, so that a second try finds what the first has done.
"""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import LoadedFragment, RestoreRun, TableDiff

_LOADED = (
    "create table {schema}.loaded (table_name text, part int, rows bigint, digest text, content_digest text,"
    " transaction text not null default pg_catalog.pg_current_xact_id()::pg_catalog.xid::text,"
    " primary key (table_name, part))"
)
_APPLIED = (
    "create table {schema}.applied (table_name text primary key, position int, inserted bigint, updated bigint,"
    " deleted bigint, unchanged bigint)"
)
_DECIDED = (
    "create table {schema}.decided (table_name text primary key, state text not null, inserted bigint, updated bigint,"
    " deleted bigint, unchanged bigint)"
)
_UNDO = "create table {schema}.undo (position int generated always as identity primary key, statement text not null)"
_SKIPPED = "create table {schema}.skipped (position int generated always as identity primary key, line text not null)"
_STAND_INS = "create table {schema}.stand_ins (name text primary key)"
TABLES = (_LOADED, _DECIDED, _APPLIED, _UNDO, _SKIPPED, _STAND_INS)


def begin_load(connection: Connection, run: RestoreRun, table: str, part: int) -> LoadedFragment | None:
    """Claim a fragment inside the load's transaction; what an earlier try has committed of it, if any.

    A try that is still at work holds the ledger's row, so the second waits until it has ended.
    """
    ledger = sql.Identifier(run.staging_schema, "loaded")
    claim = sql.SQL("insert into {} values ({}, {}) on conflict do nothing").format(
        ledger, sql.Literal(table), sql.Literal(part)
    )
    with restoring(f"table {table}, fragment {part} cannot be claimed"):
        if connection.execute(claim).rowcount:
            return None
        found = sql.SQL(
            "select table_name, part, rows, digest, content_digest from {} where (table_name, part) = ({}, {})"
        )
        row = connection.execute(found.format(ledger, sql.Literal(table), sql.Literal(part))).fetchone()
    return LoadedFragment.model_validate(dict(zip(LoadedFragment.model_fields, row or (), strict=True)))


def end_load(connection: Connection, run: RestoreRun, loaded: LoadedFragment) -> None:
    """Write what was loaded into the claimed row of the ledger."""
    query = sql.SQL(
        "update {} set rows = {}, digest = {}, content_digest = {} where (table_name, part) = ({}, {})"
    ).format(
        sql.Identifier(run.staging_schema, "loaded"),
        *map(sql.Literal, (loaded.rows, loaded.digest, loaded.content_digest, loaded.table, loaded.part)),
    )
    with restoring(f"table {loaded.table}, fragment {loaded.part} cannot be recorded"):
        connection.execute(query)


def loaded(connection: Connection, run: RestoreRun) -> list[LoadedFragment]:
    """Every fragment whose load is committed.

    Raises:
        RestoreFailed, DatabaseUnavailable: the ledger cannot be read.
    """
    query = sql.SQL("select table_name, part, rows, digest, content_digest from {}")
    with restoring("ledger of the loads cannot be read"):
        rows = connection.execute(query.format(sql.Identifier(run.staging_schema, "loaded"))).fetchall()
    return [LoadedFragment.model_validate(dict(zip(LoadedFragment.model_fields, row, strict=True))) for row in rows]


def transactions(connection: Connection, run: RestoreRun, table: str) -> list[str]:
    """The transactions of a table's committed loads, as the rows they have stored name them (`xmin`).

    Raises:
        RestoreFailed, DatabaseUnavailable: the ledger cannot be read.
    """
    query = sql.SQL("select transaction from {} where table_name = {}")
    with restoring("ledger of the loads cannot be read"):
        rows = connection.execute(query.format(sql.Identifier(run.staging_schema, "loaded"), sql.Literal(table)))
        return [str(each) for (each,) in rows.fetchall()]


def decided(connection: Connection, run: RestoreRun, table: str, state: str) -> TableDiff | None:
    """What has been found to change in a table, if it has since been in this state.

    Raises:
        RestoreFailed, DatabaseUnavailable: the ledger cannot be read.
    """
    query = sql.SQL(
        "select table_name, inserted, updated, deleted, unchanged from {} where (table_name, state) = ({}, {})"
    ).format(sql.Identifier(run.staging_schema, "decided"), sql.Literal(table), sql.Literal(state))
    with restoring("ledger of the differences cannot be read"):
        row = connection.execute(query).fetchone()
    return TableDiff.model_validate(dict(zip(TableDiff.model_fields, row, strict=True))) if row else None


def record_decided(connection: Connection, run: RestoreRun, state: str, found: TableDiff) -> None:
    """Note what is to change in a table in this state, inside the transaction that has looked."""
    values = (found.table, state, found.insert, found.update, found.delete, found.unchanged)
    query = sql.SQL(
        "insert into {} values ({}) on conflict (table_name) do update set"
        " (state, inserted, updated, deleted, unchanged)"
        " = (excluded.state, excluded.inserted, excluded.updated, excluded.deleted, excluded.unchanged)"
    )
    with restoring("what is to change cannot be noted"):
        connection.execute(
            query.format(sql.Identifier(run.staging_schema, "decided"), sql.SQL(", ").join(map(sql.Literal, values)))
        )


def record_applied(connection: Connection, run: RestoreRun, done: Sequence[TableDiff]) -> None:
    """Write what was done, inside the transaction that does it."""
    for position, each in enumerate(done):
        values = (each.table, position, each.insert, each.update, each.delete, each.unchanged)
        connection.execute(
            sql.SQL("insert into {} values ({})").format(
                sql.Identifier(run.staging_schema, "applied"), sql.SQL(", ").join(map(sql.Literal, values))
            )
        )


def applied(connection: Connection, schema: str) -> list[TableDiff]:
    """What a committed apply has done; empty if there is none."""
    with restoring("ledger of the restore"):
        query = sql.SQL("select table_name, inserted, updated, deleted, unchanged from {} order by position")
        rows = connection.execute(query.format(sql.Identifier(schema, "applied"))).fetchall()
    return [TableDiff.model_validate(dict(zip(TableDiff.model_fields, row, strict=True))) for row in rows]


def record_undo(connection: Connection, schema: str, statements: Sequence[str]) -> None:
    """Note what would undo a rebuilt schema, inside the transaction that rebuilds it."""
    _record(connection, schema, "undo", "statement", statements)


def record_skipped(connection: Connection, schema: str, lines: Sequence[str]) -> None:
    """Note what a rebuild has left out, with reasons, inside the transaction that leaves it out."""
    _record(connection, schema, "skipped", "line", lines)


def skipped(connection: Connection, schema: str) -> list[str]:
    """What the rebuild of a restore has left out, each with its reason.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    with restoring("what the rebuild left out cannot be read"):
        query = sql.SQL("select line from {} order by position").format(sql.Identifier(schema, "skipped"))
        return [str(line) for (line,) in connection.execute(query).fetchall()]


def record_stand_ins(connection: Connection, schema: str, names: Sequence[str]) -> None:
    """Note the schemas made in Supabase's stead, inside the transaction that makes them: they are finished later."""
    _record(connection, schema, "stand_ins", "name", names)


def _record(connection: Connection, schema: str, table: str, column: str, values: Sequence[str]) -> None:
    query = sql.SQL("insert into {} ({}) values ({})")
    for each in values:
        connection.execute(query.format(sql.Identifier(schema, table), sql.Identifier(column), sql.Literal(each)))


def stand_ins(connection: Connection, schema: str) -> list[str]:
    """The schemas that the rebuild of a restore has made in Supabase's stead.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    with restoring("the schemas made by the rebuild cannot be read"):
        query = sql.SQL("select name from {} order by name").format(sql.Identifier(schema, "stand_ins"))
        return [str(name) for (name,) in connection.execute(query).fetchall()]


def undo(connection: Connection, schema: str) -> int:
    """Undo what a restore has created in vain, the last first, in one transaction; returns how many statements.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    log = sql.Identifier(schema, "undo")
    with restoring(f"what restore {schema} has created cannot be removed"), connection.transaction():
        rows = connection.execute(sql.SQL("select statement from {} order by position desc").format(log)).fetchall()
        for (each,) in rows:
            connection.execute(str(each).encode())
        connection.execute(sql.SQL("delete from {}").format(log))
        connection.execute(sql.SQL("delete from {}").format(sql.Identifier(schema, "skipped")))
        connection.execute(sql.SQL("delete from {}").format(sql.Identifier(schema, "stand_ins")))
    return len(rows)
