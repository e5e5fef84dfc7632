"""What restoring a table would change, row by row, told by its key; and doing it.

Rows are compared as the JSON a backup would write of their restored columns: so every type compares, and exactly.
"""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.errors import RestoreFailed
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.digests import named_columns
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.operators import based, collated, operator_name
from include.disaster_recovery.postgres.restore.staging import source
from include.disaster_recovery.postgres.restore.target import rows_of
from include.disaster_recovery.postgres.row_json import Column, row_fields
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.restore_model import KeyColumn, RestoreMode, RestorePlan, TableDiff, TablePlan

# Two 64-bit hashes of a row's JSON stand for it: 128 bits, so that joins do not carry the rows.
_HASHES = 'hashtextextended(j collate "C", 0) as h0, hashtextextended(j collate "C", 1) as h1'
_SIDE = "select {places}{hashes}, true as here from (select {keys}({json}) as j from {rows} as a offset 0) as q"
_JSON = "select row_to_json(r.*)::text from (select {fields}) as r"

_CHANGES = """
select {keys}case when y.here is null then 'insert' when x.here is null then 'delete'
    when (x.h0, x.h1) = (y.h0, y.h1) then 'unchanged' else 'update' end as change
from ({staged}) as x full outer join ({present}) as y on {matches}"""

_INSERT = "insert into {target_name} ({columns}) overriding system value select {values} from"
_INSERT_NOTHING = "insert into {target_name} select from"
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


def differing(connection: Connection, plan: RestorePlan, table: TablePlan) -> TableDiff:
    """What a restore would do to a table; nothing is written.

    Raises:
        RestoreFailed, DatabaseUnavailable: the tables cannot be read.
    """
    if table.key:
        query = sql.SQL("select change, count(*) from ({}) as c group by change").format(
            _changes(connection, plan, table)
        )
    else:
        query = sql.SQL(_MULTISET).format(
            staged=_side(connection, source(plan.run, table), table),
            present=_side(connection, table.table, table),
        )
    with restoring(f"table {table.name} cannot be compared with the backup"):
        counts = {str(change): int(str(count)) for change, count in connection.execute(query).fetchall()}
    return counted(table, plan.run.request.mode == "replace" or not table.key, counts)


def counted(table: TablePlan, deletes: bool, counts: dict[str, int]) -> TableDiff:
    """Counts by kind of change as a diff; rows the backup lacks stay where nothing is deleted."""
    return TableDiff(
        table=table.name,
        insert=counts.get("insert", 0),
        update=counts.get("update", 0),
        delete=counts.get("delete", 0) if deletes else 0,
        unchanged=counts.get("unchanged", 0),
    )


class Changer:
    """Applies a restore to one table inside the caller's transaction: deletes first, in all tables, then writes."""

    def __init__(self, connection: Connection, plan: RestorePlan, table: TablePlan) -> None:
        self._connection, self._plan, self._table = connection, plan, table
        self._target = rows_of(table.table, is_partitioned=table.is_partitioned)
        self._source = relation(source(plan.run, table))
        self._changes = sql.Identifier(plan.run.staging_schema, f"{table.staged_as}_changes")
        self._kept = sql.Identifier(plan.run.staging_schema, f"{table.staged_as}_kept")
        self._keeps = bool(table.rewrites and table.extra_columns)

    def decide(self) -> TableDiff:
        """Compare, and write down what must change."""
        table, kinds = self._table, _kinds(self._plan.run.request.mode)
        if not table.key:
            self.done = differing(self._connection, self._plan, table)
            return self.done
        self._execute(
            None,
            "create unlogged table {changes} as select * from ({query}) as c where change = any({kinds})",
            query=_changes(self._connection, self._plan, table),
            kinds=sql.Literal(kinds),
        )
        self._execute(None, "analyze {changes}")
        written = sql.SQL("select change, count(*) from {} group by change").format(self._changes)
        with restoring(f"table {table.name} cannot be compared with the backup"):
            counts = {str(change): int(str(count)) for change, count in self._connection.execute(written).fetchall()}
        same = table.row_count - counts.get("insert", 0) - counts.get("update", 0)
        self.done = counted(table, True, {**counts, "unchanged": same})
        return self.done

    def delete(self) -> None:
        """Delete rows the backup lacks, and those that are written again."""
        table, done = self._table, self.done
        if not table.key:
            if done.insert or done.delete:
                self._execute(done.delete + done.unchanged, "delete from {target}")
            return
        again = done.update if table.rewrites else 0
        if again and self._keeps:
            self._execute(
                again,
                "create unlogged table {kept} as select {kept_columns} from {target} as t"
                " join {changes} as c on {matches} where c.change = 'update'",
                kept_columns=_list("t", [*(k.name for k in table.key), *table.extra_columns]),
                matches=same_key(table.key, "c", "t"),
            )
        if done.delete or again:
            kinds = ["delete", "update"] if table.rewrites else ["delete"]
            self._execute(
                done.delete + again,
                "delete from {target} as t using {changes} as c where {matches} and c.change = any({kinds})",
                matches=same_key(table.key, "c", "t"),
                kinds=sql.Literal(kinds),
            )

    def write(self) -> None:
        """Insert and update."""
        table, done = self._table, self.done
        if not table.key:
            if done.insert or done.delete:
                self._insert(done.insert + done.unchanged, "{source} as s", [])
            return
        if done.update and not table.rewrites:
            self._update()
        if done.update and table.rewrites:
            kept = table.extra_columns if self._keeps else []
            self._insert(
                done.update,
                "{source} as s join {changes} as c on {staged} and c.change = 'update'"
                + (" join {kept} as k on {kept_rows}" if kept else ""),
                kept,
            )
        if done.insert:
            self._insert(done.insert, "{source} as s join {changes} as c on {staged} and c.change = 'insert'", [])

    def _insert(self, expected: int, rows: str, kept: Sequence[str]) -> None:
        table = self._table
        names = [column.name for column in table.restored]
        if not names:
            return self._execute(expected, f"{_INSERT_NOTHING} {rows}")
        return self._execute(
            expected,
            f"{_INSERT} {rows}",
            target_name=relation(table.table),
            columns=sql.SQL(", ").join(map(sql.Identifier, [*names, *kept])),
            values=sql.SQL(", ").join(
                [*(sql.Identifier("s", n) for n in names), *(sql.Identifier("k", n) for n in kept)]
            ),
            staged=same_key(table.key, "c", "s"),
            kept_rows=same_key(table.key, "s", "k"),
        )

    def _update(self) -> None:
        table = self._table
        sets = [column.name for column in table.restored if not column.identity_always]  # those are keys
        self._execute(
            self.done.update,
            "update {target} as t set {sets} from {source} as s join {changes} as c on {staged} and c.change = 'update'"
            " where {matches}",
            sets=sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), sql.Identifier("s", name)) for name in sets
            ),
            staged=same_key(table.key, "c", "s"),
            matches=same_key(table.key, "s", "t"),
        )

    def _execute(self, expected: int | None, text: str, **parts: sql.Composable) -> None:
        """Run a statement that must reach as many rows as the diff says."""
        query = sql.SQL(text).format(
            **{
                "target": self._target,
                "target_name": relation(self._table.table),
                "source": self._source,
                "changes": self._changes,
                "kept": self._kept,
                **parts,
            }
        )
        with restoring(f"table {self._table.name} cannot be restored"):
            reached = self._connection.execute(query).rowcount
        if expected not in (None, reached):
            raise RestoreFailed(
                f"table {self._table.name} cannot be restored: {reached} rows were written instead of {expected}",
                hint="something in the target keeps rows out; everything was rolled back",
            )


def _kinds(mode: RestoreMode) -> list[str]:
    """The kinds of change that are made."""
    return ["insert", "update", *(["delete"] if mode == "replace" else [])]


def _changes(connection: Connection, plan: RestorePlan, table: TablePlan) -> sql.Composed:
    return sql.SQL(_CHANGES).format(
        keys=_each("coalesce({x}, {y}) as {place}, ", table.key),
        staged=_side(connection, source(plan.run, table), table),
        present=_side(connection, table.table, table),
        matches=same_key(table.key, "x", "y"),
    )


def _side(connection: Connection, name: TableName, table: TablePlan) -> sql.Composed:
    """The rows of a table as key columns, hashes of their JSON, and `here`."""
    found = named_columns(connection, name, [column.name for column in table.restored])
    whole = name == table.table and not table.is_partitioned
    return sql.SQL(_SIDE).format(
        places=_each("{place}, ", table.key),
        keys=_each("{a} as {place}, ", table.key),
        hashes=sql.SQL(_HASHES),
        json=_json(found),
        rows=sql.SQL("only " if whole else "") + relation(name),
    )


def _json(found: Sequence[Column]) -> sql.Composable:
    if not found:
        return sql.SQL("select '{}'::text")
    return sql.SQL(_JSON).format(fields=row_fields(found))


_BY_PLACE = {"c", "x", "y"}  # aliases whose key columns are called k1, k2 …: a column may be called `change` or `here`


def same_key(key: Sequence[KeyColumn], left: str, right: str) -> sql.Composed:
    """That two rows have the same key, as the unique index of the target sees it."""
    return sql.SQL(" and ").join(
        sql.SQL("{} operator({}.{}) {}").format(
            _collated(_key_column(left, place, k), k),
            sql.Identifier(k.operator_schema),
            sql.SQL(operator_name(k.operator)),
            _key_column(right, place, k),
        )
        for place, k in enumerate(key, 1)
    )


def _key_column(alias: str, place: int, column: KeyColumn) -> sql.Composable:
    if alias in _BY_PLACE:
        return sql.Identifier(alias, f"k{place}")
    return based(sql.Identifier(alias, column.name), column.base_type)


def _collated(value: sql.Composable, column: KeyColumn) -> sql.Composable:
    return collated(value, column.collation_schema, column.collation)


def _each(text: str, key: Sequence[KeyColumn]) -> sql.Composed:
    return sql.SQL("").join(
        sql.SQL(text).format(
            a=_key_column("a", place, k),
            place=sql.Identifier(f"k{place}"),
            x=_collated(_key_column("x", place, k), k),
            y=_collated(_key_column("y", place, k), k),
        )
        for place, k in enumerate(key, 1)
    )


def _list(alias: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in names)
