"""Which rows are the same row: matched by the operator and collation of the target's own unique index."""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.postgres.operators import based, collated, operator_name
from include.disaster_recovery.restore_model import KeyColumn

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


def each_key(text: str, key: Sequence[KeyColumn]) -> sql.Composed:
    """A text for each column of the key: `a` is a table's, `place` its name in a side, `x` and `y` are sides'."""
    return sql.SQL("").join(
        sql.SQL(text).format(
            a=_key_column("a", place, k),
            place=sql.Identifier(f"k{place}"),
            x=_collated(_key_column("x", place, k), k),
            y=_collated(_key_column("y", place, k), k),
        )
        for place, k in enumerate(key, 1)
    )
