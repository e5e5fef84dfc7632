"""Foreign keys checked as Postgres checks them when one is added (ri_triggers.c, RI_Initial_Check): by an anti-join."""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.errors import RestoreFailed
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.operators import collated, operator_name
from include.disaster_recovery.postgres.restore.target import rows_of
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_target import ForeignKey, ForeignKeyColumn

_VIOLATIONS = (
    "select count(*) from {referencing} as f where {given}"
    " and not exists (select from {referenced} as p where {matches})"
)
_TEMPORAL = (  # the referenced periods of a key, joined, must cover the referencing one
    "select count(*) from {referencing} as f where {given}"
    " and not coalesce("
    "f.{period} <@ (select range_agg(p.{referenced_period}) from {referenced} as p where {matches}), false)"
)


def validate(connection: Connection, keys: Sequence[ForeignKey]) -> list[str]:
    """Check every row of every key; returns the names of those that are not checked, with the reason.

    Raises:
        RestoreFailed: rows without the row they reference; all such keys are named with the number of rows.
        DatabaseUnavailable: the connection was lost.
    """
    broken, skipped = [], []
    for key in keys:
        if reason := _not_checked(key):
            skipped.append(f"foreign key {key.name} of {key.table.name_in_document} is {reason}")
        elif count := violations(connection, key):
            broken.append(
                f"{count} rows of {key.table.name_in_document} break {key.name}"
                f" (no such row in {key.references.name_in_document})"
            )
    if broken:
        raise RestoreFailed(
            f"foreign keys do not hold after the restore: {'; '.join(broken)}",
            hint="restore both tables, or the whole backup; rows of tables outside the restore are not its to delete:"
            " do that first, or use mode=upsert. Everything was rolled back",
        )
    return skipped


def violations(connection: Connection, key: ForeignKey) -> int:
    """How many rows break a key.

    Raises:
        RestoreFailed, DatabaseUnavailable: the tables cannot be read.
    """
    scalar = key.columns[:-1] if key.is_temporal else key.columns
    parts = {
        "referencing": rows_of(key.table, is_partitioned=key.is_partitioned),
        "referenced": rows_of(key.references, is_partitioned=key.references_partitioned),
        "given": _given(key),
        "matches": sql.SQL(" and ").join(map(_match, scalar)) if scalar else sql.SQL("true"),
    }
    query = sql.SQL(_VIOLATIONS).format(**parts)
    if key.is_temporal:
        query = sql.SQL(_TEMPORAL).format(
            **parts,
            period=sql.Identifier(key.columns[-1].name),
            referenced_period=sql.Identifier(key.columns[-1].referenced),
        )
    with restoring(f"foreign key {key.name} cannot be checked"):
        row = connection.execute(query).fetchone()
    return int(str(row[0])) if row else 0


def _given(key: ForeignKey) -> sql.Composed:
    """Rows the key is about: MATCH SIMPLE looks where all columns are given, MATCH FULL where any is."""
    tests = (sql.SQL("{} is not null").format(sql.Identifier("f", column.name)) for column in key.columns)
    return sql.SQL("({})").format(sql.SQL(" or " if key.is_full else " and ").join(tests))


def _match(column: ForeignKeyColumn) -> sql.Composed:
    value = collated(sql.Identifier("f", column.name), column.collation_schema, column.collation)
    return sql.SQL("{} operator({}.{}) {}").format(
        sql.Identifier("p", column.referenced),
        sql.Identifier(column.operator_schema),
        sql.SQL(operator_name(column.operator)),
        value,
    )


def _not_checked(key: ForeignKey) -> str | None:
    if not key.is_enforced:
        return "NOT ENFORCED in the target"
    return None if key.is_validated else "NOT VALID in the target"
