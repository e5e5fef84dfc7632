"""Names of operators, which no driver quotes, and what they are given."""

from psycopg import sql

OPERATOR_CHARACTERS = frozenset("+-*/<>=~!@#%^&|`?")  # manual, 4.1.3


def operator_name(name: str) -> str:
    """The name, once it is one.

    Raises:
        ValueError: it has other characters.
    """
    if not name or set(name) - OPERATOR_CHARACTERS:
        raise ValueError(f"{name!r} is no operator")
    return name


def based(value: sql.Composable, base_type: str | None) -> sql.Composable:
    """A value of a domain as one of its base type (format_type's own text of it): operators of enums take no domain."""
    return value if base_type is None else value + sql.SQL("::") + sql.SQL(base_type)


def collated(value: sql.Composable, schema: str | None, collation: str | None) -> sql.Composable:
    """A value under the collation an index compares it by; unchanged where its type has none."""
    if schema is None or collation is None:
        return value
    return value + sql.SQL(" collate ") + sql.Identifier(schema, collation)
