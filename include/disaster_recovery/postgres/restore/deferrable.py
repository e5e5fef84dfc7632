"""Deferrable constraints, which nothing checks under `session_replication_role = replica`, checked by queries."""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.errors import RestoreFailed
from include.disaster_recovery.model import TableName, Value
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.operators import collated, operator_name
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.restore.target import rows_of
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.table_selection import table_name

_ROWS = "(select {fields}, ctid as place, tableoid as part from {rows} where {predicate})"
_EQUAL = "select count(*) from (select from {rows} as a where {given} group by {fields} having count(*) > 1) as twice"
_EXCLUDED = (
    "select count(*) from {rows} as a where exists ("
    "select from {rows} as b where (a.place, a.part) <> (b.place, b.part) and {conflict})"
)


class _Field(Value):
    """A column or expression of the constraint's index; an exclusion constraint has an operator for each."""

    expression: str
    operator_schema: str | None
    operator: str | None
    collation_schema: str | None
    collation: str | None


class _Deferrable(Value):
    """A deferrable constraint; `predicate` is that of its index, `nulls_are_equal`: NULLS NOT DISTINCT."""

    name: str
    table_schema: str
    table_name: str
    is_partitioned: bool
    is_exclusion: bool
    nulls_are_equal: bool
    predicate: str | None
    fields: list[_Field]


def validate_deferrable(connection: Connection, tables: Sequence[TableName]) -> None:
    """Check every deferrable unique and exclusion constraint of the tables.

    Raises:
        RestoreFailed: rows break some; all are named.
        DatabaseUnavailable: the connection was lost.
    """
    wanted = {"schemas": [t.schema_name for t in tables], "names": [t.table_name for t in tables]}
    with restoring("deferrable constraints of the target cannot be read"):
        found = connection.execute(statement("target_deferrable"), wanted).fetchall()
    broken = []
    for (facts,) in found:
        constraint = _Deferrable.model_validate(facts)
        with restoring(f"constraint {constraint.name} cannot be checked"):
            row = connection.execute(_conflicts(constraint)).fetchone()
        if row and row[0]:
            broken.append(f"{constraint.name} of {constraint.table_name} ({row[0]} times)")
    if broken:
        raise RestoreFailed(
            f"rows exclude each other after the restore: {', '.join(broken)}",
            hint="mode=replace removes rows the backup does not have; everything was rolled back",
        )


def _conflicts(constraint: _Deferrable) -> sql.Composed:
    places = [sql.Identifier(f"k{place}") for place, _ in enumerate(constraint.fields, 1)]
    parts = {
        "fields": sql.SQL(", ").join(
            sql.SQL("{} as {}").format(_expression(field), place)
            for field, place in zip(constraint.fields, places, strict=True)
        ),
        "rows": rows_of(
            table_name(constraint.table_schema, constraint.table_name), is_partitioned=constraint.is_partitioned
        ),
        "predicate": sql.SQL(constraint.predicate or "true"),
    }
    rows = sql.SQL(_ROWS).format(**parts)
    if constraint.is_exclusion or constraint.fields[0].operator:
        conflict = sql.SQL(" and ").join(_conflict(*each) for each in zip(constraint.fields, places, strict=True))
        return sql.SQL(_EXCLUDED).format(rows=rows, conflict=conflict)
    given = sql.SQL(" and ").join(sql.SQL("{} is not null").format(place) for place in places)
    return sql.SQL(_EQUAL).format(
        rows=rows,
        given=sql.SQL("true") if constraint.nulls_are_equal else given,
        fields=sql.SQL(", ").join(places),
    )


def _expression(field: _Field) -> sql.Composable:
    """The catalog's own text of it, with the collation under which the index compares."""
    return collated(sql.SQL(field.expression), field.collation_schema, field.collation)


def _conflict(field: _Field, place: sql.Identifier) -> sql.Composed:
    return sql.SQL("a.{0} operator({1}.{2}) b.{0}").format(
        place, sql.Identifier(field.operator_schema or ""), sql.SQL(operator_name(field.operator or ""))
    )
