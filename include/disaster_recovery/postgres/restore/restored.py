"""What a restored target holds, measured again after the commit: rows, accounts that can sign in, sequences."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import sql

from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.digests import content_digest, named_columns
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.restore.row_keys import same_key
from include.disaster_recovery.postgres.restore.staging import source
from include.disaster_recovery.postgres.restore.target import rows_of
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.restore_model import RestoreRun, TablePlan
from include.disaster_recovery.table_selection import table_name

_SIGN_IN = (
    "select count(*), count(i.user_id) from {users} as u"
    " left join (select distinct user_id from {identities}) as i on i.user_id operator(pg_catalog.=) u.id"
)
_RESTORED_USERS = " where exists (select from {staged} as s where s.id operator(pg_catalog.=) u.id)"


@dataclass(frozen=True, kw_only=True)
class SequencePosition:
    """Where a sequence stands: the value it gives next, and the farthest value in the column it counts for."""

    name: str
    increment: int
    table: str | None
    next_value: int
    farthest: int | None


@contextmanager
def one_moment(connection: Connection) -> Iterator[None]:
    """A transaction that sees one moment, writes nothing and is always rolled back.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    with translated("begin of the comparison"):
        connection.execute("begin isolation level repeatable read read only")
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("rollback")


def restored_rows(connection: Connection, run: RestoreRun, table: TablePlan, *, whole: bool) -> tuple[int, str, int]:
    """Rows and content digest of the restored columns, and how many rows the target has beyond those compared.

    Args:
        whole: compare the whole table, else the rows whose key is in staging.

    Raises:
        TableUnreadable, DatabaseUnavailable: the table cannot be read.
    """
    with translated(f"table {table.name} cannot be compared"):
        found = named_columns(connection, table.table, [column.name for column in table.restored])
        rows = rows_of(table.table, is_partitioned=table.is_partitioned) + sql.SQL(" as a")
        if whole:
            return (*content_digest(connection, rows, found), 0)
        keyed = sql.SQL("exists (select from {} as s where {})").format(
            relation(source(run, table)), same_key(table.key, "s", "a")
        )
        count, digest = content_digest(connection, rows, found, where=keyed)
        total = connection.execute(sql.SQL("select count(*) from {}").format(rows)).fetchone() or (0,)
        return count, digest, int(str(total[0])) - count


def accounts(
    connection: Connection, *, users: TableName, identities: TableName, among: TableName | None
) -> tuple[int, int]:
    """How many accounts there are, and how many have an identity.

    Args:
        among: count only the accounts that are in this table.

    Raises:
        TableUnreadable, DatabaseUnavailable: the tables cannot be read.
    """
    query = sql.SQL(_SIGN_IN).format(users=relation(users), identities=relation(identities))
    if among:
        query += sql.SQL(_RESTORED_USERS).format(staged=relation(among))
    with translated("accounts cannot be counted"):
        row = connection.execute(query).fetchone() or (0, 0)
    return int(str(row[0])), int(str(row[1]))


def sequence_positions(
    connection: Connection, schemas: Sequence[str], restored: Sequence[str]
) -> Iterator[SequencePosition]:
    """Where the sequences of the schemas stand; the columns only of restored tables are asked.

    Raises:
        TableUnreadable, DatabaseUnavailable: a sequence cannot be read.
    """
    with translated("sequences cannot be read"):
        rows = connection.execute(statement("sequence_owners"), {"schemas": list(schemas)}).fetchall()
        for schema, name, increment, minimum, maximum, *owner in rows:
            sequence = table_name(str(schema), str(name))
            owned = table_name(str(owner[0]), str(owner[1])) if owner[1] is not None else None
            wanted = owned is not None and owned.name_in_document in restored
            step, limits = int(str(increment)), (int(str(minimum)), int(str(maximum)))
            farthest = _farthest(connection, owned, str(owner[2]), step) if owned and wanted else None
            yield SequencePosition(
                name=sequence.name_in_document,
                increment=step,
                table=owned.name_in_document if owned else None,
                next_value=_next_value(connection, sequence, step),
                farthest=farthest if farthest is not None and limits[0] <= farthest <= limits[1] else None,
            )


def _next_value(connection: Connection, sequence: TableName, increment: int) -> int:
    query = sql.SQL("select last_value, is_called from {}").format(relation(sequence))
    last, is_called = connection.execute(query).fetchone() or (0, False)
    return int(str(last)) + (increment if is_called else 0)


def _farthest(connection: Connection, table: TableName, column: str, increment: int) -> int | None:
    query = sql.SQL("select pg_catalog.{}({}) from {}").format(
        sql.SQL("max" if increment > 0 else "min"), sql.Identifier(column), relation(table)
    )
    row = connection.execute(query).fetchone()
    return int(str(row[0])) if row and row[0] is not None else None
