"""What restoring a table would change, row by row, told by its key. The target is only read.

Rows are compared as the JSON a backup would write of their restored columns: so every type compares, and exactly. What
is found is kept in the restore's own schema, and holds for as long as the target's rows are the versions looked at.
"""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.postgres.digests import named_columns
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore import ledger, staging
from include.disaster_recovery.postgres.restore.row_keys import each_key, same_key
from include.disaster_recovery.postgres.restore.target import rows_of, storage
from include.disaster_recovery.postgres.row_json import Column, row_json
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.restore_model import RestoreMode, RestorePlan, TableDiff, TablePlan

# Two 64-bit hashes of a row's JSON stand for it: 128 bits, so that joins do not carry the rows.
_HASHED = (
    'select {places}hashtextextended(j collate "C", 0) as h0, hashtextextended(j collate "C", 1) as h1, true as here'
    " from (select {keys}{json} as j from {rows} as a{fields} offset 0) as q offset 0"  # hashed before they are joined
)
_KEPT = "select {keys}{hashes}, true as here from {rows} as a"  # the load has hashed them

_CHANGES = """
select {keys}case when y.here is null then 'insert' when x.here is null then 'delete'
    when (x.h0, x.h1) = (y.h0, y.h1) then 'unchanged' else 'update' end as change
from ({staged}) as x full outer join ({present}) as y on {matches}"""

_MULTISET = """
select change, sum(n)::bigint from (
    select unnest(array['insert', 'delete', 'unchanged']) as change,
        unnest(array[greatest(s - t, 0), greatest(t - s, 0), least(s, t)]) as n
    from (
        select count(*) filter (where side = 's') as s, count(*) filter (where side = 't') as t
        from (select 's' as side, x.h0, x.h1 from ({staged}) as x
            union all select 't', y.h0, y.h1 from ({present}) as y) as rows
        group by h0, h1
    ) as counted
) as changes group by change"""
# To serialise a row costs a hundred times what the planner takes it for: it is worth the workers the server allows.
_IN_PARALLEL = "set local parallel_tuple_cost = 0; set local parallel_setup_cost = 0"
# A version of a row never changes; where it stands and the transaction that wrote it name it.
_VERSIONS = (
    "select count(*), coalesce(sum(pg_catalog.hash_record_extended(row(a.tableoid, a.ctid, a.xmin), 0)), 0)"
    " from {rows} as a"
)


def decide(connection: Connection, plan: RestorePlan, table: TablePlan) -> TableDiff:
    """Compare a table with what is staged, and write down what must change; inside a transaction that sees one moment.

    Where that was done before, and no row of the target has another version since, it still holds.

    Raises:
        RestoreFailed, DatabaseUnavailable: the tables cannot be read.
    """
    found = named_columns(connection, table.table, [column.name for column in table.restored])
    state = _state(connection, table)
    earlier = ledger.decided(connection, plan.run, table.name, state) if state else None
    if earlier is not None:
        return earlier
    with restoring(f"table {table.name} cannot be compared with the backup"):
        connection.execute(_IN_PARALLEL)
        done = _by_key(connection, plan, table, found) if table.key else _as_a_whole(connection, plan, table, found)
    if state:
        ledger.record_decided(connection, plan.run, state, done)
    return done


def changes(plan: RestorePlan, table: TablePlan) -> sql.Identifier:
    """The table that holds the keys of what must change, and how."""
    return sql.Identifier(plan.run.staging_schema, f"{table.staged_as}_changes")


def _by_key(connection: Connection, plan: RestorePlan, table: TablePlan, found: Sequence[Column]) -> TableDiff:
    name, kinds = changes(plan, table), _kinds(plan.run.request.mode)
    connection.execute(sql.SQL("drop table if exists {}").format(name))
    connection.execute(
        sql.SQL("create unlogged table {} as select * from ({}) as c where change = any({})").format(
            name, _changes(connection, plan, table, found), sql.Literal(kinds)
        )
    )
    connection.execute(sql.SQL("analyze {}").format(name))
    rows = connection.execute(sql.SQL("select change, count(*) from {} group by change").format(name)).fetchall()
    counts = {str(change): int(str(count)) for change, count in rows}
    same = table.row_count - counts.get("insert", 0) - counts.get("update", 0)
    return _counted(table, {**counts, "unchanged": same})


def _as_a_whole(connection: Connection, plan: RestorePlan, table: TablePlan, found: Sequence[Column]) -> TableDiff:
    query = sql.SQL(_MULTISET).format(staged=_staged(connection, plan, table), present=_present(table, found))
    return _counted(table, {str(change): int(str(count)) for change, count in connection.execute(query).fetchall()})


def _counted(table: TablePlan, counts: dict[str, int]) -> TableDiff:
    return TableDiff(
        table=table.name,
        insert=counts.get("insert", 0),
        update=counts.get("update", 0),
        delete=counts.get("delete", 0),
        unchanged=counts.get("unchanged", 0),
    )


def _kinds(mode: RestoreMode) -> list[str]:
    """The kinds of change that are made."""
    return ["insert", "update", *(["delete"] if mode == "replace" else [])]


def _state(connection: Connection, table: TablePlan) -> str | None:
    """The columns of a table and the versions of its rows, told by a hash; None where rows have no versions."""
    is_heap, columns = storage(connection, table.table)
    if not is_heap:
        return None
    query = sql.SQL(_VERSIONS).format(rows=rows_of(table.table, is_partitioned=table.is_partitioned))
    with restoring(f"table {table.name} cannot be read"):
        rows, versions = connection.execute(query).fetchone() or (0, 0)
    return f"{rows} rows {versions}, columns {columns}"


def _changes(connection: Connection, plan: RestorePlan, table: TablePlan, found: Sequence[Column]) -> sql.Composed:
    return sql.SQL(_CHANGES).format(
        keys=each_key("coalesce({x}, {y}) as {place}, ", table.key),
        staged=_staged(connection, plan, table),
        present=_present(table, found),
        matches=same_key(table.key, "x", "y"),
    )


def _staged(connection: Connection, plan: RestorePlan, table: TablePlan) -> sql.Composed:
    """The rows of the backup as key columns, hashes of their JSON, and `here`."""
    name = staging.source(plan.run, table)
    kept = staging.hashes(table)
    if table.is_converted or not kept:
        found = named_columns(connection, name, [column.name for column in table.restored])
        return _hashed(table, found, relation(name))
    return sql.SQL(_KEPT).format(
        keys=each_key("{a} as {place}, ", table.key),
        hashes=sql.SQL(", ").join(
            sql.SQL("{} as {}").format(sql.Identifier("a", name), sql.Identifier(f"h{seed}"))
            for seed, name in enumerate(kept)
        ),
        rows=relation(name),
    )


def _present(table: TablePlan, found: Sequence[Column]) -> sql.Composed:
    """The rows of the target, likewise."""
    return _hashed(table, found, rows_of(table.table, is_partitioned=table.is_partitioned))


def _hashed(table: TablePlan, found: Sequence[Column], rows: sql.Composable) -> sql.Composed:
    json, fields = row_json(found)
    return sql.SQL(_HASHED).format(
        places=each_key("{place}, ", table.key),
        keys=each_key("{a} as {place}, ", table.key),
        json=json,
        rows=rows,
        fields=fields,
    )
