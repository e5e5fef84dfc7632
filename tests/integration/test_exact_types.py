"""Every type Postgres has comes back exactly as it was, or the backup fails naming table and column."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from psycopg import sql

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import PreflightFailed, TableUnreadable
from include.disaster_recovery.postgres.row_json import NOT_RESTORABLE, columns
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.table_selection import table_name
from tests.support.read_back import compare, digest_in_manifest, digest_of, restore
from tests.support.rig import Outcome, Rig

JSON_TEXTS = [
    "null",
    '"null"',
    "true",
    "[]",
    "{}",
    "[1,[2,[3]]]",
    "[null]",
    '{"a":1,"a":2,"a":{"b":null,"b":1}}',
    '{"a" :\n\t1 ,\r\n  "b":[ ] }',
    ' \n {"leading": 1}',
    '{"trailing": 1} \t\n',
    "  null ",
    ' "a string" ',
    r'{"nul": "\u0000"}',
    r'{"\u0000": 1}',
    r'"\\u0000"',
    r'["\ud800", "\uDFFF"]',
    r'"\ud83d\ude00 \u00e9 \/ \b\f\n\r\t"',
    '{"$json": "text"}',
    '{"$json": null}',
    '{"$json": {"$json": 1}}',
    '{"$json": "{\\"$json\\": 1}", "other": 1}',
    '{"other": 1, "$json": 2, "$json": 3}',
    '["$json"]',
    '"$json"',
    "1e400",
    "1E-400",
    "-0",
    "1.0",
    "12345678901234567890123456789012345678901234567890.123456789012345678901234567890",
    '"},{"',
    '"\\\\"',
    '"{\\"a\\":\\"\\\\\\"\\"}"',
    '"' + "long \u00e9\u4e2d\U0001f600 " * 800 + '"',
]
JSONB_TEXTS = [
    text for text in JSON_TEXTS if r"\u0000\"" not in text and r'"\u0000"' not in text and "ud800" not in text
]
TEXTS = [
    "",
    " ",
    "null",
    "NULL",
    "{}",
    "[1]",
    '{"a": 1}',
    "\\",
    '"',
    "'",
    "a,b\n,\nc\r\n\t\x01\x1f\x7f\x85\u2028\u2029\ufeff\ufffe\U0010ffff",
    "\\u0000 %s {} $1",
    "e\u0301 \u0627\u0644\u0633\u0644\u0627\u0645 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "x" * 20000,
]
DATES = [
    "infinity",
    "-infinity",
    "4713-01-01 BC",
    "0001-12-31 BC",
    "0001-01-01",
    "1970-01-01",
    "2024-02-29",
    "5874897-12-31",
]
TIMES = [
    "infinity",
    "-infinity",
    "4713-01-01 00:00:00 BC",
    "0044-03-15 12:00:00.000001 BC",
    "1969-12-31 23:59:59.999999",
]
TIMES += ["2024-06-30 23:59:60", "294276-12-31 23:59:59.999999"]
NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-0.000",
    "1e400",
    "-1e400",
    "1e-400",
    "1e308",
    "9.99e307",
    "0.1",
    "100.00",
]
NUMBERS += ["1234567890123456789012345678901234567890", "-0.1234567890123456789012345678901234567890", "9" * 1000]
FLOATS = ["NaN", "Infinity", "-Infinity", "-0", "0.1", "1e-37", "3.4028235e38", "16777217"]
SNAPSHOTS = ["1:1:", "10:20:10,14,15", "9223372036854775806:9223372036854775807:9223372036854775806"]

# Literals of every base, range and multirange type of pg_catalog that a table may have.
VALUES: dict[str, list[str]] = {
    "bool": ["t", "f"],
    "bytea": [r"\x", r"\x00", r"\x5c22270a00ff", r"\x" + "00ff" * 5000],
    "char": ["a", '"', "\\", "1"],
    '"char"': ["", "a", "\\", r"\377", r"\001"],
    "name": ["", "a b", 'q"u\\o', "n" * 63],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807", "9007199254740993"],
    "numeric": NUMBERS,
    "numeric(6,2)": ["NaN", "-9999.99", "0.10"],
    "numeric(1000,500)": ["NaN", "9" * 500 + "." + "9" * 500],
    "float4": FLOATS,
    "float8": [*FLOATS, "5e-324", "1.7976931348623157e308", "0.1234567890123456789", "9007199254740993"],
    "money": ["-92233720368547758.08", "92233720368547758.07", "0.01"],
    "text": TEXTS,
    "varchar": TEXTS,
    "varchar(3)": ["", "   ", "\u4e2d\u4e2d\u4e2d"],
    "bpchar": ["", "a  ", " b"],
    "char(5)": ["", "a", " b"],
    "date": DATES,
    "time": ["00:00:00", "23:59:59.999999", "24:00:00"],
    "timetz": ["00:00:00+15:59:59", "24:00:00-15:59:59", "12:34:56.789+05:30"],
    "timestamp": TIMES,
    "timestamptz": [*TIMES, "2024-01-01 00:00:00+13:45"],
    "timestamptz(0)": ["2024-01-01 00:00:00.5"],
    "interval": [
        "-178000000 years",
        "1 mon -1 day 00:00:00.000001",
        "-00:00:00.1",
        "178956970 years 7 mons",
        "25:01:59.5",
    ],
    "bit": ["0", "1"],
    "bit(3)": ["000", "101"],
    "varbit": ["", "0", "1" * 65],
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "inet": ["0.0.0.0/0", "127.0.0.1", "10.1.2.3/8", "::", "::ffff:1.2.3.4/96", "fe80::1/64"],
    "cidr": ["0.0.0.0/0", "10.0.0.0/8", "2001:db8::/32"],
    "macaddr": ["08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"],
    "macaddr8": ["08:00:2b:01:02:03:04:05"],
    "json": JSON_TEXTS,
    "jsonb": JSONB_TEXTS,
    "jsonpath": ["$", 'strict $."a b"[*] ? (@ > 1 && @ like_regex "x\\\\y")', "$.*.keyvalue()"],
    "xml": ["", "text", " <a b='\"'>x &lt; y<![CDATA[ ]]&gt; ]]></a>\n", '<?xml version="1.0"?><a/>', "<a/><b/>"],
    "point": ["(0,-0)", "(NaN,Infinity)", "(1e-300,0.1)"],
    "line": ["{1,-1,0.1}", "{0,1,0}"],
    "lseg": ["[(0,0),(1,0.1)]"],
    "box": ["(2,2),(0,0)", "(Infinity,1),(-Infinity,0)"],
    "path": ["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"],
    "polygon": ["((0,0),(1,1),(2,0.1))"],
    "circle": ["<(0,0),0>", "<(1,2),Infinity>"],
    "tsvector": ["", "'a':1A,2B 'it''s':3 'b\\\\c':16383C '{,}'"],
    "tsquery": ["", "'a' & !'b':*AB <-> 'it''s' | ( 'c' <2> 'd' )"],
    "pg_lsn": ["0/0", "FFFFFFFF/FFFFFFFF"],
    "txid_snapshot": SNAPSHOTS,
    "pg_snapshot": SNAPSHOTS,
    "oid": ["0", "4294967295"],
    "xid": ["0", "4294967295"],
    "xid8": ["0", "18446744073709551615"],
    "cid": ["0", "4294967295"],
    "tid": ["(0,0)", "(4294967294,65535)"],
    "int2vector": ["", "1", "1 -2 32767"],
    "oidvector": ["", "0", "1 4294967295"],
    "refcursor": ["", 'a "b"'],
    "aclitem": ["=r/supabase_admin", "supabase_admin=r*w/supabase_admin"],
    "regclass": ["-", "pg_class", 'public."we ird".', "4294967295"],
    "regtype": ["-", "int4", "timestamp with time zone", "pg_class", "4294967295"],
    "regproc": ["-", "int4in", "4294967295"],
    "regprocedure": ["-", "abs(int4)", "4294967295"],
    "regoper": ["0", "pg_catalog.||/", "4294967295"],
    "regoperator": ["0", "+(int4,int4)", "!!(none,tsquery)", "4294967295"],
    "regrole": ["-", "supabase_admin", "4294967295"],
    "regnamespace": ["-", "public", "pg_catalog", "4294967295"],
    "regcollation": ["-", '"C"', "4294967295"],
    "regconfig": ["-", "simple", "4294967295"],
    "regdictionary": ["-", "simple", "4294967295"],
    "int4range": ["empty", "(,)", "[1,10)", "[,5)"],
    "int8range": ["empty", "[1,9223372036854775807)"],
    "numrange": ["empty", "[NaN,NaN]", "(-Infinity,1e400]", "(0.10,0.2)"],
    "daterange": ["empty", "[-infinity,infinity]", "[4713-01-01 BC,)"],
    "tsrange": ["empty", '["2024-01-01 00:00:00","infinity"]', '(,"0044-03-15 00:00:00 BC")'],
    "tstzrange": ["empty", '["2024-01-01 00:00:00+00","infinity")'],
    "int4multirange": ["{}", "{[1,2),[5,)}"],
    "int8multirange": ["{}", "{(,)}"],
    "nummultirange": ["{}", "{[0.1,0.2),[1e400,Infinity]}"],
    "datemultirange": ["{}", "{[-infinity,2024-01-01)}"],
    "tsmultirange": ["{}", '{["2024-01-01 00:00:00","2024-01-02 00:00:00")}'],
    "tstzmultirange": ["{}", '{["2024-01-01 00:00:00+00",infinity)}'],
}
VALUES["regclass"][2] = 'public."we ird."'

# Types of the application's own, made before the tables.
OWN_TYPES = """
create table public."we ird." ();
create type public.mood as enum ('', 'sad', 'a,b', 'q"uo''te', '\\', 'null', '{}', '(x)');
create type public.json as enum ('null', '{}');
create type public.numeric as enum ('NaN');
create type public.pg_node_tree as enum ('harmless');
create type public.floats as range (subtype = float8, subtype_diff = float8mi);
create type public.texts as range (subtype = text, collation = "C");
create type public.told as enum ('tell', 'null');
create function public.told(public.told) returns pg_catalog.json language sql immutable as $$ select '{"a": 1}'::pg_catalog.json $$;
create cast (public.told as pg_catalog.json) with function public.told(public.told);
create type public.fraction as (part pg_catalog.int4, whole pg_catalog."numeric");
create type public.nested as (name text, inner_one public.fraction, many public.fraction[], note pg_catalog.json);
create domain public.positive as pg_catalog.int4 check (value > 0);
create domain public.more_positive as public.positive check (value > 1);
create domain public.event as pg_catalog.json;
create domain public.event_b as pg_catalog.jsonb;
create domain public.some_fractions as public.fraction[];
create domain public.a_fraction as public.fraction;
"""
OWN_VALUES: dict[str, list[str]] = {
    "public.mood": ["", "sad", "a,b", "q\"uo'te", "\\", "null", "{}", "(x)"],
    "public.json": ["null", "{}"],
    'public."numeric"': ["NaN"],
    "public.pg_node_tree": ["harmless"],
    "public.floats": ["empty", "[NaN,NaN]", "(-Infinity,0.1]"],
    "public.texts": ["empty", '["a,b","q""u\\\\o")', "(,)"],
    "public.floats_multirange": ["{}", "{[0.1,0.2)}"],
    "public.told": ["tell", "null"],
    "public.fraction": ["(1,2)", "(,)", "(,NaN)", "(-1,1e400)"],
    "public.nested": [
        '("x ""y"" (,)","(1,2)","{""(1,2)"",""(,)"",NULL}"," null ")',
        "(,,,)",
        '("","(,)","[5:5]={""(1,2)""}","{""$json"":1}")',
    ],
    "public.more_positive": ["2"],
    "public.event": JSON_TEXTS,
    "public.event_b": JSONB_TEXTS,
    "public.some_fractions": ["{}", '{"(1,2)",NULL}', '[0:0]={"(1,2)"}'],
    "public.a_fraction": ["(1,2)", "(,)"],
}
# How each type is used: the SQL that makes the type of the column, and the values it takes.
SHAPES = (
    "plain",
    "array",
    "domain",
    "array_domain",
    "domain_array",
    "record",
    "record_with_array",
    "record_array",
    "deep",
)


def by_build(server: PostgresServer) -> dict[str, list[str]]:
    """Where the wheels differ: 18 has hstore, a type with a cast to json; it lacks libxml, and has no value of xml."""
    hstore = ["", '"a"=>NULL, "b"=>"NULL"', '"q\\"u"=>"b\\\\s", "1"=>"2"', '""=>""']
    return {"public.hstore": hstore, "xml": []} if server.flavour == "18" else {}


def create(connection: Connection, values: dict[str, list[str]]) -> None:
    """One table a shape, one column a type; a shape's rows are all that can be made of the type's values."""
    for number, (name, literals) in enumerate(values.items()):
        t, c = sql.SQL(name), f"c{number}"  # type: ignore[arg-type]
        statements = """create domain types.{d} as {t};
            create domain types.{da} as {t}[];
            create type types.{r} as (f {t}, n int4);
            create type types.{ra} as (f {t}[], x {t});
            create type types.{deep} as (g types.{da}, h types.{r}[], i types.{ra})"""
        names = {key: sql.Identifier(f"{c}_{key}") for key in ("d", "da", "r", "ra", "deep")}
        connection.execute(sql.SQL(statements).format(t=t, **names))
        for shape, kind in zip(SHAPES, _kinds(t, names), strict=True):
            if name == "aclitem" and shape in ("domain", "domain_array"):
                continue  # refused: see test_types_that_cannot_be_read_back_fail_the_backup
            connection.execute(
                sql.SQL("alter table public.{} add {} {}").format(sql.Identifier(shape), sql.Identifier(c), kind)
            )
            _fill(connection, shape, c, kind, _expressions(shape, t, names, literals))


def _kinds(t: sql.SQL, n: dict[str, sql.Identifier]) -> list[sql.Composable]:
    patterns = (
        "{t}",
        "{t}[]",
        "types.{d}",
        "types.{da}",
        "types.{d}[]",
        "types.{r}",
        "types.{ra}",
        "types.{r}[]",
        "types.{deep}",
    )
    return [sql.SQL(pattern).format(t=t, **n) for pattern in patterns]


def _expressions(shape: str, t: sql.SQL, n: dict[str, sql.Identifier], literals: list[str]) -> list[sql.Composable]:
    one = [sql.SQL("{}::{}").format(sql.Literal(text), t) for text in literals] or [sql.SQL("null::{}").format(t)]
    every = sql.SQL(", ").join(one)
    last = one[-1]
    if shape in ("plain", "domain"):
        return [*one, sql.SQL("null")]
    arrays = [
        "null",
        "'{{}}'",
        "array[null]::{t}[]",
        "array[{every}, null]::{t}[]",
        "array[array[{last}, null], array[null, {last}]]::{t}[]",
    ]
    # An array with lower bounds is made by assignment to an element: no literal of its own is needed.
    arrays += ["(select array_fill({last}, array[2], array[-3]))", "array_fill({last}, array[1, 2], array[1, 0])"]
    if shape in ("array", "array_domain", "domain_array"):
        return [sql.SQL(each).format(t=t, every=every, last=last) for each in arrays]
    records = {
        "record": ["null", "row(null, null)", "row({x}, 1)"],
        "record_with_array": [
            "null",
            "row(null, {x})",
            "row(array[{every}, null]::{t}[], null)",
            "row(array_fill({x}, array[1], array[7]), null)",
        ],
        "record_array": [
            "null",
            "'{{}}'",
            "array[null, row(null, null)::types.{r}, row({x}, 1)::types.{r}]",
            "array_fill(row({x}, 1)::types.{r}, array[1], array[0])",
        ],
        "deep": [
            "row(array[{every}]::types.{da}, array[row({x}, 1)::types.{r}, null], row('{{}}', {x})::types.{ra})",
            "row(array_fill({x}, array[1], array[7]), null, null)",
        ],
    }
    return [
        sql.SQL(each).format(t=t, x=value, every=every, **n)
        for each in records[shape]
        for value in (one if "{x}" in each else one[:1])
    ]


def _fill(connection: Connection, shape: str, column: str, kind: sql.Composable, values: list[sql.Composable]) -> None:
    rows = sql.SQL(", ").join(
        sql.SQL("({}, ({})::{})").format(sql.Literal(i), value, kind) for i, value in enumerate(values)
    )
    statement = "insert into public.{shape} (id, {c}) values {rows} on conflict (id) do update set {c} = excluded.{c}"
    connection.execute(sql.SQL(statement).format(shape=sql.Identifier(shape), c=sql.Identifier(column), rows=rows))


@dataclass
class Restored:
    """A backup whose rows were populated again by Postgres into tables of the same name in the schema `copy`."""

    connection: Connection
    outcome: Outcome
    values: dict[str, list[str]]


def rig_on(server: PostgresServer, s3_server: S3Server, database: str) -> Rig:
    bucket = f"types-{secrets.token_hex(6)}"
    s3_server.create_bucket(bucket)
    store = Store(client=s3_server.client("admin"), bucket=bucket, encryption=Encryption(algorithm="AES256"))
    parameters = {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}
    settings = Settings.model_validate({"tables": {"include": "all", "exclude": ["backup_history", "we ird."]}})
    return Rig({**parameters, "dbname": database}, store, settings)


@pytest.fixture(scope="session")
def postgres_18(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(folder=tmp_path_factory.mktemp("postgres18"), flavour="18", durable=False) as server:
        yield server


@pytest.fixture(scope="module", params=["17", "18"])
def server(request: pytest.FixtureRequest) -> PostgresServer:
    return request.getfixturevalue("postgres_server" if request.param == "17" else "postgres_18")


@pytest.fixture(scope="module")
def restored(server: PostgresServer, s3_server: S3Server) -> Iterator[Restored]:
    database = f"types_{secrets.token_hex(6)}"
    server.create_database(database)
    rig = rig_on(server, s3_server, database)
    values = {**VALUES, **OWN_VALUES, **by_build(server)}
    with rig.connect() as connection:
        connection.execute("set search_path = pg_catalog, public")
        if server.flavour == "18":
            connection.execute("create extension hstore schema public")
        connection.execute(OWN_TYPES)
        connection.execute("create schema types; create schema copy")
        for shape in SHAPES:
            connection.execute(sql.SQL("create table public.{} (id int4 primary key)").format(sql.Identifier(shape)))
        create(connection, values)
    outcome = rig.backup()
    with rig.connect() as connection:
        yield Restored(connection, outcome, values)
    server.drop_database(database)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_type_comes_back_exactly(restored: Restored, shape: str) -> None:
    restore(restored.connection, restored.outcome, shape)
    assert compare(restored.connection, shape) == {}


@pytest.mark.parametrize("shape", SHAPES)
def test_content_digest_is_that_of_the_restored_rows(restored: Restored, shape: str) -> None:
    restore(restored.connection, restored.outcome, shape)
    assert digest_of(restored.connection, shape) == digest_in_manifest(restored.outcome, shape)


def test_no_type_of_the_server_is_forgotten(restored: Restored) -> None:
    rows = restored.connection.execute(
        """select typname from pg_type where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'd', 'e', 'r', 'm')
        and not (typcategory = 'A' and typname like '\\_%')"""
    ).fetchall()
    oids = sql.SQL(", ").join(sql.Literal(name) for name in VALUES)
    covered = restored.connection.execute(
        sql.SQL("select typname from unnest(array[{}]) as name join pg_type on oid = name::regtype").format(oids)
    ).fetchall()
    assert {name for (name,) in rows} - {name for (name,) in covered} == NOT_RESTORABLE
    assert len(rows) > 80


def test_types_that_cannot_be_read_back_fail_the_backup(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute(
            "create domain public.rights as aclitem; create type public.holder as (a int4, b public.rights[])"
        )
        kinds = [*sorted(NOT_RESTORABLE), "public.rights", "public.rights[]", "public.holder"]
        kinds += [f"pg_catalog.{kind}[]" for kind in sorted(NOT_RESTORABLE) if _has_array(connection, kind)]
        for number, kind in enumerate(kinds):
            connection.execute(f'create table public."t {number}" (id int4, "bad {number}" {kind})')  # type: ignore[arg-type]
    with pytest.raises(PreflightFailed) as failed:
        bare_rig.preflight()
    for number, _ in enumerate(kinds):
        assert f"table t {number}, column bad {number}: " in str(failed.value)


def _has_array(connection: Connection, kind: str) -> bool:
    row = connection.execute("select typarray <> 0 from pg_type where oid = %s::regtype", (kind,)).fetchone()
    return bool(row and row[0])


def test_a_composite_type_that_holds_what_cannot_be_read_back_fails_the_extract(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute("create type public.holder as (a int4, b pg_catalog.pg_node_tree)")
        connection.execute("create table public.t (id int4, bad public.holder)")
        with pytest.raises(TableUnreadable, match="table t, column bad: type pg_node_tree cannot be read back"):
            columns(connection, table_name("public", "t"))


def test_json_arrays_inside_a_jsonb_array_do_not_become_dimensions(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute("create table public.t (id int4, j jsonb[])")
        connection.execute("""insert into public.t values (1, array['[1,2]', '[3,4]']::jsonb[]), (2, array['[1]', '[]']::jsonb[]),
            (3, array['{}', '[[]]']::jsonb[]), (4, array[array['[1]', '2']]::jsonb[]), (5, array['{"a":[1]}', null]::jsonb[])""")
    outcome = bare_rig.backup()
    with bare_rig.connect() as connection:
        restore(connection, outcome, "t")
        assert compare(connection, "t") == {}
    assert outcome.backup["tables"]["t"]["rows"][4]["j"] == [{"a": [1]}, None]


def test_generated_and_identity_columns_are_in_the_document(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute("""create table public.t (a int4 generated always as identity (start 9223 increment 5), b int8 generated by default as identity,
            c int4 generated always as (a * 2) stored, d json, e jsonb generated always as ('[1]'::jsonb || '5') stored)""")
        connection.execute("insert into public.t (d) select 'null' from generate_series(1, 5)")
    outcome = bare_rig.backup()
    with bare_rig.connect() as connection:
        restore(connection, outcome, "t")
        assert compare(connection, "t") == {}
    assert {"a": 9243, "b": 5, "c": 18486, "d": {"$json": "null"}, "e": [1, 5]} in outcome.backup["tables"]["t"]["rows"]


def test_a_deeply_nested_json_value_is_verified(bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute("create table public.t (id int4, j jsonb, k json)")
        connection.execute(
            "insert into public.t select 1, x::jsonb, x::json from (select repeat('[', 900) || repeat(']', 900) as x) as y"
        )
    outcome = bare_rig.backup()
    with bare_rig.connect() as connection:
        restore(connection, outcome, "t")
        assert compare(connection, "t") == {}
