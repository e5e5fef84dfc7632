"""Sequences and identities move past the highest value, inside the restore's transaction."""

from collections.abc import Mapping, Sequence

from psycopg import sql

from include.disaster_recovery.model import TableName, Value
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.table_selection import table_name


class _Sequence(Value):
    """A sequence of the target and the columns that take their values from it: schema, table, column."""

    schema_name: str
    name: str
    increment: int
    least: int
    greatest: int
    last_value: int | None
    is_owned: bool
    users: list[tuple[str, str, str]]


def move_past(
    connection: Connection,
    tables: Sequence[TableName],
    remembered: Mapping[tuple[str, str], int | None],
    *,
    every: bool = False,
) -> list[str]:
    """Move the sequences that the tables use, and those that no table does, to the furthest value known; never back.

    Args:
        tables: those restored.
        remembered: last values by schema and name, as the document has them.
        every: also those of other tables: a rebuilt database counts on where the backup's did, as after `pg_dump`.

    Returns:
        One line for each sequence that moved.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    parameters = {
        "table_schemas": [t.schema_name for t in tables],
        "table_names": [t.table_name for t in tables],
        "schemas": [schema for schema, _ in remembered],
        "names": [name for _, name in remembered],
        "every": every,
    }
    with restoring("sequences of the target cannot be read"):
        rows = connection.execute(statement("sequences_of_tables"), parameters).fetchall()
    found = [_Sequence.model_validate(dict(zip(_Sequence.model_fields, row, strict=True))) for row in rows]
    moved = []
    # What is owned moves first: an ALTER SEQUENCE may still fail, a bare setval could not be rolled back.
    for each in sorted(found, key=lambda sequence: not sequence.is_owned):
        wanted = _furthest(connection, each, remembered.get((each.schema_name, each.name)))
        if wanted is not None and wanted != each.last_value:
            _move(connection, each, wanted)
            moved.append(f"sequence {each.schema_name}.{each.name}: {each.last_value} -> {wanted}")
    return moved


def _furthest(connection: Connection, sequence: _Sequence, remembered: int | None) -> int | None:
    values = [sequence.last_value, remembered, *(_furthest_row(connection, sequence, user) for user in sequence.users)]
    known = [value for value in values if value is not None and sequence.least <= value <= sequence.greatest]
    further = max if sequence.increment > 0 else min
    return further(known) if known else None


def _furthest_row(connection: Connection, sequence: _Sequence, user: tuple[str, str, str]) -> int | None:
    """The furthest value of a column that the sequence can reach itself."""
    schema, table, column = user
    query = sql.SQL("select {furthest}({column})::bigint from {table} where {column} between {least} and {greatest}")
    parts = {
        "furthest": sql.SQL("max" if sequence.increment > 0 else "min"),
        "column": sql.Identifier(column),
        "table": relation(table_name(schema, table)),
        "least": sql.Literal(sequence.least),
        "greatest": sql.Literal(sequence.greatest),
    }
    with restoring(f"highest value of {table}.{column} cannot be read"):
        row = connection.execute(query.format(**parts)).fetchone()
    return None if row is None or row[0] is None else int(str(row[0]))


def _move(connection: Connection, sequence: _Sequence, value: int) -> None:
    """RESTART gives the sequence a new file inside this transaction, so that the setval behind it rolls back too."""
    name = sql.Identifier(sequence.schema_name, sequence.name)
    with restoring(f"sequence {sequence.schema_name}.{sequence.name} cannot be moved to {value}"):
        if sequence.is_owned:
            connection.execute(sql.SQL("alter sequence {} restart").format(name))
        connection.execute(
            sql.SQL("select pg_catalog.setval({}, {}, true)").format(
                sql.Literal(name.as_string(connection)), sql.Literal(value)
            )
        )
