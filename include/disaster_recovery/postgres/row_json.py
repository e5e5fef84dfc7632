"""How a row becomes JSON and back, exactly, by Postgres itself.

`row_to_json` is exact but for a few values, and those are given another form that the same input functions accept:

* arrays with a lower bound other than 1, `json[]`, `jsonb[]` that hold a JSON null or array (which would be taken for
  SQL NULL or a dimension), `int2vector`, `oidvector`, and composites that hold arrays or JSON
  become a JSON string with the value's text, which `json_populate_record` feeds to the type's input function;
* `json`/`jsonb` values that are JSON `null` (else equal to SQL NULL), that have a key `$json`, whose text begins or
  ends with white space, or that hold escapes of U+0000 or of surrogates (refused when parsed again) become
  `{"$json": "<their text>"}`;
* `numeric` beyond the range of a double becomes a string, as no reader of JSON numbers would keep it;
* types of extensions with a cast to `json` (hstore) become their text.
"""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.errors import TableUnreadable
from include.disaster_recovery.model import TableName, Value
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation

WRAPPER = "$json"
VECTORS = {"int2vector", "oidvector"}  # arrays by name, counted from 0, that json_populate_record makes invalid
# Types without an input function (pg_type.typinput raises): nothing can ever bring such a value back.
NOT_RESTORABLE = {"pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "gtsvector"} | {
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
}


class Column(Value):
    """A column as far as its JSON form depends on it; `kind` is `array`, `composite` or a built-in type's name."""

    name: str
    kind: str
    unbounded: bool
    element_types: list[str]
    holds_array: bool
    holds_composite: bool
    holds_json_cast: bool
    domain_without_binary_input: str | None = None


def columns(connection: Connection, table: TableName) -> list[Column]:
    """The columns of a table in order.

    Raises:
        TableUnreadable: a column's type has no input that Postgres would use, so its values could never be restored.
    """
    with translated(f"columns of table {table.name_in_document}"):
        name = relation(table).as_string(connection)
        rows = connection.execute(statement("columns"), {"relation": name}).fetchall()
    fields = list(Column.model_fields)
    found = [Column.model_validate(dict(zip(fields, row, strict=True))) for row in rows]
    for column in found:
        if broken := _not_restorable(column):
            raise TableUnreadable(
                f"table {table.name_in_document}, column {column.name}: {broken} cannot be read back",
                hint="exclude the table, or change the column's type",
            )
    return found


def _not_restorable(column: Column) -> str | None:
    if broken := NOT_RESTORABLE & {column.kind, *column.element_types}:
        return f"type {min(broken)}"
    base = column.domain_without_binary_input
    return f"a domain over type {base}" if base else None


def encoded(column: Column, value: sql.Composable) -> sql.Composable:
    """The expression that `row_to_json` turns into the column's exact JSON form."""
    return sql.SQL(_encoding(column)).format(v=value, wrapper=sql.Literal(WRAPPER))


def decoded(column: Column, value: sql.Composable) -> sql.Composable:
    """The expression that turns a value populated from the document into the original one."""
    if column.kind not in ("json", "jsonb"):
        return value
    return sql.SQL(
        f"case when {{v}}::json ->> {{wrapper}} is not null and json_typeof({{v}}::json) = 'object'"
        f" then ({{v}}::json ->> {{wrapper}})::{column.kind} else {{v}} end"
    ).format(v=value, wrapper=sql.Literal(WRAPPER))


def row_expression(
    table_columns: Sequence[Column],
    *,
    source: sql.Composable,
    where: sql.Composable | None = None,
    place: bool = False,
) -> sql.Composed:
    """A query with one column `j`, the rows of `source` (which must be aliased `a`) as JSON text.

    With `place`, their `ctid` stands before it.
    """
    json, fields = row_json(table_columns)
    placed = sql.SQL("a.ctid as place, " if place else "")
    condition = sql.SQL("") if where is None else sql.SQL(" where {}").format(where)
    return sql.SQL("select {}{} as j from {}{}{}").format(placed, json, source, fields, condition)


def row_json(table_columns: Sequence[Column]) -> tuple[sql.Composable, sql.Composable]:
    """The JSON text of rows aliased `a` as an expression, and what it needs behind their FROM item.

    `row_to_json(r.*)`, not `row_to_json(r)`: the latter would mean a column named r.
    """
    if not table_columns:
        return sql.SQL("'{}'::text"), sql.SQL("")
    lateral = sql.SQL(" cross join lateral (select {}) as r").format(row_fields(table_columns))
    return sql.SQL("row_to_json(r.*)::text"), lateral


def row_fields(table_columns: Sequence[Column]) -> sql.Composed:
    """The select list of a row's exact JSON form; the row is aliased `a`."""
    return sql.SQL(", ").join(
        sql.SQL("{} as {}").format(encoded(c, sql.Identifier("a", c.name)), sql.Identifier(c.name))
        for c in table_columns
    )


def _encoding(column: Column) -> str:
    if column.holds_json_cast or column.kind in VECTORS:
        return "to_json({v}::text)"
    if column.kind == "jsonb":
        return "case when {v} = 'null' or {v} ? {wrapper} then jsonb_build_object({wrapper}, {v}::text) else {v} end"
    if column.kind == "json":
        return _JSON
    if column.unbounded:
        return "case when abs({v}) >= 1e308 then to_json({v}::text) else to_json({v}) end"
    if column.kind == "array":
        return _array_encoding(column)
    fragile = column.holds_array or bool({"json", "jsonb"} & set(column.element_types))
    return "to_json({v}::text)" if column.kind == "composite" and fragile else "{v}"


# One WHEN after the other: a value with `\\u0000` must never reach the operator that would parse it.
_JSON = (
    "case when json_typeof({v}) = 'null' or {v}::text ~ '^\\s|\\s$' or {v}::text ~ '\\\\u(0000|[dD][89a-fA-F])'"
    " then json_build_object({wrapper}, {v}::text)"
    " when json_typeof({v}) <> 'object' then {v}"
    " when {v} -> {wrapper} is not null then json_build_object({wrapper}, {v}::text)"
    " else {v} end"
)
_SHIFTED = "array_lower({v}, 1) <> 1 or array_ndims({v}) > 1 and {v}::text like '[%'"

_AMBIGUOUS = "exists (select from unnest({v}) as e (x) where jsonb_typeof(e.x) in ('null', 'array'))"


def _array_encoding(column: Column) -> str:
    if (
        "json" in column.element_types
        or column.holds_array
        or (column.holds_composite and "jsonb" in column.element_types)
    ):
        return "to_json({v}::text)"
    fragile = f"{_SHIFTED} or {_AMBIGUOUS}" if "jsonb" in column.element_types else _SHIFTED
    return f"case when {fragile} then to_json({{v}}::text) else to_json({{v}}) end"
