"""Doing what a restore changes in a table: deletes, updates and inserts of the rows that differ."""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.errors import RestoreFailed
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore.differences import changes, decide
from include.disaster_recovery.postgres.restore.row_keys import same_key
from include.disaster_recovery.postgres.restore.staging import source
from include.disaster_recovery.postgres.restore.target import rows_of
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.restore_model import RestorePlan, TableDiff, TablePlan

_INSERT = "insert into {target_name} ({columns}) overriding system value select {values} from"
_INSERT_NOTHING = "insert into {target_name} select from"


class Changer:
    """Applies a restore to one table inside the caller's transaction: deletes first, in all tables, then writes."""

    def __init__(self, connection: Connection, plan: RestorePlan, table: TablePlan) -> None:
        self._connection, self._plan, self._table = connection, plan, table
        self._target = rows_of(table.table, is_partitioned=table.is_partitioned)
        self._source = relation(source(plan.run, table))
        self._changes = changes(plan, table)
        self._kept = sql.Identifier(plan.run.staging_schema, f"{table.staged_as}_kept")
        self._keeps = bool(table.rewrites and table.extra_columns)

    def decide(self) -> TableDiff:
        """Compare, and write down what must change; see `differences.decide`."""
        self.done = decide(self._connection, self._plan, self._table)
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


def _list(alias: str, names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in names)
