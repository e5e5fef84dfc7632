"""Tables, columns and schemas may have any name Postgres allows."""

from __future__ import annotations

import pytest
from psycopg import sql

from include.disaster_recovery.errors import PreflightFailed
from include.disaster_recovery.postgres.session import Connection
from tests.support.read_back import compare, digest_in_manifest, digest_of, restore
from tests.support.rig import Rig

NAMES = [
    'quo"te',
    '"',
    "it's",
    "with space",
    " ",
    "\u00fcn\u00ef\u8868 \U0001f600 e\u0301",
    "dots.in.it",
    ".",
    "100% %s %(relation)s %%",
    "{braces} {0} {{}} {v}",
    "back\\slash \\n",
    "new\nline\t\x01",
    "-- no comment; drop",
    "\\restrict",
    "Mixed Case",
    "mixed case",
    "select",
    "user",
    "$json",
    "\u2028",
    "n" * 63,
    *("a", "b", "c", "d", "e", "g", "i", "j", "k", "m", "n", "p", "q", "r", "s", "t", "v", "x", "y"),
    *(
        "row",
        "rows",
        "row_to_json",
        "to_json",
        "count",
        "sum",
        "string_agg",
        "hashtextextended",
        "json",
        "text",
        "ctid_",
    ),
    *("tables", "manifest", "row_count", "pg_catalog", "public", "backup"),
]


def create_named(connection: Connection, schema: str, name: str) -> None:
    """A table with a column of every name, hence also one of its own; json and arrays need more than `row_to_json`."""
    kinds = ["int4", "text", "json", "jsonb", "int4[]", "numeric"]
    values = ["7", "'%s {0}'", "'null'", "'null'", "'[0:1]={1,2}'", "1e400"]
    identifiers = [sql.Identifier(each) for each in NAMES]
    fields = sql.SQL(", ").join(sql.SQL("{} " + kinds[i % 6]).format(each) for i, each in enumerate(identifiers))
    row = sql.SQL(", ".join(values[i % 6] for i in range(len(NAMES))))  # type: ignore[arg-type]
    table = sql.Identifier(schema, name)
    connection.execute(sql.SQL("create table {} ({})").format(table, fields))
    connection.execute(
        sql.SQL("insert into {} values ({}), ({})").format(table, row, sql.SQL(", ").join([sql.NULL] * len(NAMES)))
    )


def test_every_name_serves_for_tables_and_columns(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        for name in NAMES:
            create_named(connection, "public", name)
    outcome = bare_rig.backup()
    assert sorted(outcome.backup["tables"]) == sorted(NAMES)
    assert all(list(table["rows"][0]) == NAMES for table in outcome.backup["tables"].values())
    with bare_rig.connect() as connection:
        for name in NAMES:
            restore(connection, outcome, name)
            assert compare(connection, name) == {}, name
            assert digest_of(connection, name) == digest_in_manifest(outcome, name), name


@pytest.mark.parametrize("schema", ["quo\"te's", "dots.in.it", "Mixed {0} %s", "\u8868\\ \n-- x", "pga_x", "copy.cat"])
def test_every_name_serves_for_schemas(bare_rig: Rig, schema: str) -> None:
    rig = bare_rig.with_settings(tables={"schemas": [schema, "public"]})
    with rig.connect() as connection:
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
        for name in ("r", 'a "b".c', schema):
            create_named(connection, schema, name)
    outcome = rig.backup()
    assert sorted(outcome.backup["tables"]) == sorted(f"{schema}.{name}" for name in ("r", 'a "b".c', schema))
    assert set(outcome.backup["schema"]["tables"]) >= set(outcome.backup["tables"])
    with rig.connect() as connection:
        for name in ("r", 'a "b".c', schema):
            restore(connection, outcome, name, schema)
            assert compare(connection, name, schema) == {}


def test_settings_name_tables_bare_or_qualified_dots_and_all(bare_rig: Rig) -> None:
    wanted = [
        "plain",
        "public.qualified",
        "my.schema.t",
        "my.schema.t.u",
        "other.plain",
        "a.b.c",
        "Mixed",
        "second_only",
    ]
    rig = bare_rig.with_settings(tables={"include": wanted, "schemas": ["public", "second"]})
    with rig.connect() as connection:
        connection.execute("""create schema "my.schema"; create schema other; create schema second;
            create table public.plain (); create table other.plain (); create table second.plain ();
            create table public.qualified (); create table "my.schema".t (); create table "my.schema"."t.u" ();
            create table public."a.b.c" (); create table public."Mixed" (); create table public.mixed ();
            create table second.second_only ()""")
    outcome = rig.backup()
    assert sorted(outcome.backup["tables"]) == sorted(
        ["plain", "qualified", "my.schema.t", "my.schema.t.u", "other.plain", "a.b.c", "Mixed", "second.second_only"]
    )
    assert outcome.uncovered == ["mixed", "second.plain"]


def test_two_tables_of_one_name_in_the_document_are_refused(bare_rig: Rig) -> None:
    """Else the document would hold but one of them."""
    with bare_rig.connect() as connection:
        connection.execute("""create schema auth; create table auth.users (); create table auth.identities ();
            create table public."auth.users" (); create table public.fine ()""")
    with pytest.raises(PreflightFailed, match=r"two tables would have the same name in the document: auth\.users"):
        bare_rig.backup()


def test_every_wrong_name_is_listed(bare_rig: Rig) -> None:
    rig = bare_rig.with_settings(tables={"include": ["there", "gone", "public.gone", "There", "no.such.one"]})
    with rig.connect() as connection:
        connection.execute("create table public.there ()")
    with pytest.raises(
        PreflightFailed,
        match=r"4 of 5 tables to back up are not there: gone \(no such table\), public\.gone .*There .*no\.such\.one",
    ):
        rig.preflight()


def test_a_table_of_1600_columns(bare_rig: Rig) -> None:
    fields = ", ".join(f'"column {number} of it" int2' for number in range(1600))
    with bare_rig.connect() as connection:
        connection.execute(f"create table public.wide ({fields})")  # type: ignore[arg-type]
        connection.execute("insert into public.wide values (" + ", ".join(map(str, range(1600))) + ")")  # type: ignore[arg-type]
    outcome = bare_rig.backup()
    assert list(outcome.backup["tables"]["wide"]["rows"][0].values()) == list(range(1600))
    with bare_rig.connect() as connection:
        restore(connection, outcome, "wide")
        assert compare(connection, "wide") == {}


def test_a_table_without_columns_keeps_its_rows(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute(
            "create table public.none (); insert into public.none default values; insert into public.none default values"
        )
    outcome = bare_rig.backup()
    assert outcome.backup["tables"]["none"] == {"rows": [{}, {}], "row_count": 2}
    with bare_rig.connect() as connection:
        restore(connection, outcome, "none")
        assert compare(connection, "none") == {}
        assert digest_of(connection, "none") == digest_in_manifest(outcome, "none")


def test_a_table_whose_columns_were_dropped(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute(
            "create table public.t (gone int, kept text, also_gone json); insert into public.t values (1, 'x', '{}')"
        )
        connection.execute("alter table public.t drop gone, drop also_gone, add late int default 5")
    assert bare_rig.backup().backup["tables"]["t"]["rows"] == [{"kept": "x", "late": 5}]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_empty_tables_stand_in_the_document(bare_rig: Rig, compression: str) -> None:
    rig = bare_rig.with_settings(compression=compression)
    with rig.connect() as connection:
        connection.execute(
            "create table public.one (i int); create table public.two (i int); create table public.three ()"
        )
    outcome = rig.backup()
    empty = {"rows": [], "row_count": 0}
    assert outcome.backup["tables"] == {"one": empty, "three": empty, "two": empty}
    assert outcome.verdict.rows == 0


def test_a_database_without_tables_is_refused(bare_rig: Rig) -> None:
    with pytest.raises(PreflightFailed, match="there is no table to back up in the schemas public"):
        bare_rig.backup()
