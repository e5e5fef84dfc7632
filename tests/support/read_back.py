"""The rows of a document fed back to Postgres, as bytes cut by the manifest's ranges, and compared with the originals."""

from __future__ import annotations

from psycopg import sql

from include.disaster_recovery.document import DIGEST_ALGORITHM, ROW_SEPARATOR, Manifest
from include.disaster_recovery.postgres.extract import DIGEST_MODULUS
from include.disaster_recovery.postgres.row_json import columns, decoded, row_expression
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.table_selection import name_in_document, table_name
from tests.support.rig import Outcome

COPY = "copy"
COLUMNS_AT_ONCE = 400  # a query has at most 1664


def manifest_of(outcome: Outcome) -> Manifest:
    found = outcome.backup["manifest"]
    del found["locator"]
    return Manifest.model_validate(found)


def rows_text(outcome: Outcome, name: str) -> bytes:
    """The rows of a table as one JSON array, cut out of an uncompressed document by the manifest alone."""
    fragments = manifest_of(outcome).tables[name].fragments
    cut = [outcome.stored[each.offset : each.offset + each.length] for each in fragments if each.rows]
    return b"[" + ROW_SEPARATOR.join(part.removeprefix(ROW_SEPARATOR) for part in cut) + b"]"


def restore(connection: Connection, outcome: Outcome, name: str, schema: str = "public") -> None:
    """Populate the table of the same name in the schema `copy`, which is made anew, without constraints."""
    source, target = sql.Identifier(schema, name), sql.Identifier(COPY, name)
    connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(COPY)))
    connection.execute(sql.SQL("drop table if exists {t}; create table {t} (like {s})").format(t=target, s=source))
    found = columns(connection, table_name(schema, name))
    values = sql.SQL(", ").join(decoded(c, sql.Identifier("r", c.name)) for c in found)
    statement = "insert into {t} select {values} from json_populate_recordset(null::{t}, {text}::pg_catalog.json) as r"
    text = sql.Literal(rows_text(outcome, name_in_document(schema, name)).decode())  # no placeholder: names may hold %
    connection.execute(sql.SQL(statement).format(t=target, values=values, text=text))


def compare(connection: Connection, name: str, schema: str = "public") -> dict[str, list[tuple[object, ...]]]:
    """What differs between a table and its copy, by column; both ways, duplicates counted."""
    names = [c.name for c in columns(connection, table_name(schema, name))]
    groups = [names[at : at + COLUMNS_AT_ONCE] for at in range(0, len(names), COLUMNS_AT_ONCE)] or [[]]
    differing = [group for group in groups if _differences(connection, schema, name, group)]
    found = {each: _differences(connection, schema, name, [each]) for group in differing for each in group}
    return {each: rows for each, rows in found.items() if rows} or (
        {"*": [("whole rows differ",)]} if differing else {}
    )


def _differences(connection: Connection, schema: str, name: str, names: list[str]) -> list[tuple[object, ...]]:
    pairs = (sql.SQL("format('%s', {c}), {c} is null").format(c=sql.Identifier("a", each)) for each in names)
    values = sql.SQL(", ").join([sql.SQL("1"), *pairs])
    sides = {
        side: sql.SQL("select {} from {} as a").format(values, sql.Identifier(where, name))
        for side, where in (("lost", schema), ("new", COPY))
    }
    both = "(select 'lost', * from ({lost} except all {new}) as x) union all (select 'new', * from ({new} except all {lost}) as y)"
    return connection.execute(sql.SQL(both).format(**sides)).fetchall()


def digest_of(connection: Connection, name: str) -> str:
    """The content digest of the copy, computed by Postgres over the document's own row expression."""
    found = columns(connection, table_name(COPY, name))
    rows = row_expression(found, source=sql.SQL("{} as a").format(sql.Identifier(COPY, name)))
    query = sql.SQL('select coalesce(sum(hashtextextended(j collate "C", 0)), 0) from ({}) as q').format(rows)
    row = connection.execute(query).fetchone()
    assert row is not None
    return f"{int(str(row[0])) % DIGEST_MODULUS:016x}"


def digest_in_manifest(outcome: Outcome, name: str) -> str:
    manifest = manifest_of(outcome)
    assert manifest.digest_algorithm == DIGEST_ALGORITHM
    return f"{sum(int(each.digest, 16) for each in manifest.tables[name].fragments) % DIGEST_MODULUS:016x}"
