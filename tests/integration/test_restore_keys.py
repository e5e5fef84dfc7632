"""Rows are told apart by the key the target has: any columns, any type, any collation, any name, or none at all."""

from __future__ import annotations

import pytest
from psycopg import sql

from include.disaster_recovery.errors import StagingDiffers
from tests.support.rig import Rig
from tests.support.scenario import Scenario, changes

KEYS = """
    create extension citext schema public;
    create collation public.plain (provider = builtin, locale = 'C.UTF-8');
    create type public.mood as enum ('low', 'high', 'mid');
    create type public.pair as (a int, b text);
    create domain public.feeling as public.mood not null;
    create domain public.slug as text collate "C";
    create domain public.slugs as text[];
    create table public.composite (a int, b text collate "POSIX", c timestamptz, v text, primary key (c, b, a));
    create table public.unique_only (u text not null unique, v int);
    create table public.two_uniques (wide_a int not null, wide_b int not null, narrow int not null unique, v text, unique (wide_a, wide_b));
    create table public.by_index (a int not null, v int); create unique index on public.by_index (a desc) include (v);
    create table public.pattern (a text not null, v int); create unique index on public.pattern (a text_pattern_ops);
    create table public.deferred (id int primary key deferrable initially deferred, v int);
    create table public.collated (k text collate public.plain primary key, v int);
    create table public.extended (k public.citext primary key, v int);
    create table public.of_domains (f public.feeling, s public.slug collate "POSIX", l public.slugs, v int, primary key (f, s, l));
    create table public.of_types (m public.mood, p public.pair, r int4range, j jsonb, i interval, n numeric, f float8,
        x inet, b bytea, g bit(3), y "char", z name, w tid, v int, primary key (m, p, r, j, i, n, f, x, b, g, y, z, w));
    create table public.arrays (a int[], m public.mood[], v int, primary key (a, m));
    create table public.one_column (id uuid primary key);
    insert into public.composite select i % 3, 'b' || i % 7, '2024-01-01'::timestamptz + i * interval '1 hour', 'v' || i from generate_series(1, 50) as i;
    insert into public.unique_only select 'u' || i, i from generate_series(1, 9) as i;
    insert into public.two_uniques select i, i + 1, -i, 'v' || i from generate_series(1, 9) as i;
    insert into public.by_index select i, i from generate_series(1, 9) as i;
    insert into public.pattern select 'p' || i, i from generate_series(1, 9) as i;
    insert into public.deferred select i, i from generate_series(1, 9) as i;
    insert into public.collated values ('Äpfel', 1), ('birne', 2), ('Straße', 3);
    insert into public.extended values ('Äpfel', 1), ('birne', 2), ('Straße', 3);
    insert into public.of_domains values ('low', 'a', '{x}', 1), ('mid', 'B', '{}', 2), ('mid', 'b', '{NULL}', 3);
    insert into public.of_types values ('low', '(1,a)', '[1,2)', '{"a": 1}', '1 day', 1.50, '-0', '::1', '\\x00', '101', '\\377', 'n', '(0,1)', 1),
        ('mid', '(,)', 'empty', '[]', '24:00:00', 'NaN', 'NaN', '10.1.2.3/8', '', '000', '', '', '(4294967295,0)', 2);
    insert into public.arrays values ('{1,2}', '{low}', 1), ('[0:1]={1,2}', '{}', 2), ('{NULL}', '{NULL,high}', 3);
    insert into public.one_column select gen_random_uuid() from generate_series(1, 9)"""
CHANGED = """
    update public.composite set v = v || '!' where a = 1; delete from public.composite where a = 2;
    update public.unique_only set v = -v where v < 4; delete from public.unique_only where v = 9;
    update public.two_uniques set v = 'changed', wide_a = wide_a + 100; delete from public.two_uniques where narrow = -9;
    update public.by_index set v = 0 where a = 3; delete from public.by_index where a > 6;
    update public.pattern set v = 0 where v = 3; delete from public.pattern where v = 7;
    update public.deferred set v = 0 where id < 3; delete from public.deferred where id = 9;
    update public.collated set v = v + 10 where v < 3; delete from public.collated where v = 3;
    update public.extended set k = upper(k), v = v + 10 where v < 3; delete from public.extended where v = 3;
    update public.of_domains set v = 0 where v < 3; delete from public.of_domains where v = 3;
    update public.of_types set n = 1.5, f = 0, v = 0 where v = 1; delete from public.of_types where v = 2;
    update public.arrays set v = 0 where v < 3; delete from public.arrays where v = 3;
    delete from public.one_column where id in (select id from public.one_column limit 3)"""
ADDED = """
    insert into public.composite values (9, 'new', 'infinity', '');
    insert into public.unique_only values ('U1', 1);
    insert into public.extended values ('new', 1);
    insert into public.of_domains values ('mid', 'A', '{}', 2);
    insert into public.one_column values (gen_random_uuid())"""


def test_every_kind_of_key(bare_rig: Rig):
    scenario = Scenario(bare_rig, KEYS)
    done = scenario.comes_back(CHANGED, mode="upsert")
    keys = {table.name: [column.name for column in table.key] for table in done.plan.tables}
    assert keys["composite"] == ["c", "b", "a"]
    assert keys["two_uniques"] == ["narrow"]
    assert all(keys.values())
    assert changes(done) == expected(added=0)
    assert changes(scenario.restore(mode="upsert")) == {}
    assert changes(scenario.comes_back(f"{CHANGED};{ADDED}", mode="replace")) == expected(added=1)


def expected(added: int) -> dict[str, tuple[int, int, int]]:
    return {
        "composite": (17, 17, added),
        "unique_only": (1, 3, added),
        "two_uniques": (1, 8, 0),
        "by_index": (3, 1, 0),
        "pattern": (1, 1, 0),
        "deferred": (1, 2, 0),
        "collated": (1, 2, 0),
        "extended": (1, 2, added),
        "of_domains": (1, 2, added),
        "of_types": (1, 1, 0),
        "arrays": (1, 2, 0),
        "one_column": (3, 0, added),
    }


KEYLESS = """
    create table public.nothing (a int, b json);
    create table public.nullable (u text unique, v int);
    create table public.not_distinct (u text unique nulls not distinct, v int);
    create table public.partial (a int not null, v int); create unique index on public.partial (a) where v > 0;
    create table public.expression (a text not null, v int); create unique index on public.expression (lower(a));
    create table public.generated (a int not null, b int generated always as (a + 1) stored unique not null);
    create table public.excluded (a int4range not null, exclude using gist (a with &&));
    create table public.no_columns ();
    create table public.only_generated (b int generated always as (7) stored);
    create table public.equal (a int);
    insert into public.nothing values (1, '{}'), (1, '{}'), (1, '{ }'), (null, null), (null, null), (2, 'null');
    insert into public.nullable values (null, 1), (null, 1), ('a', 2);
    insert into public.not_distinct values (null, 1), ('a', 2);
    insert into public.partial values (1, 1), (1, 0), (1, 0);
    insert into public.expression values ('A', 1), ('b', 2);
    insert into public.generated (a) values (1), (2);
    insert into public.excluded values ('[1,3)'), ('[3,5)');
    insert into public.no_columns default values; insert into public.no_columns default values;
    insert into public.only_generated default values; insert into public.only_generated default values;
    insert into public.equal select generate_series(1, 9)"""
KEYLESS_CHANGED = """
    delete from public.nothing where ctid in (select min(ctid) from public.nothing group by a);
    insert into public.nothing values (3, '3');
    update public.nullable set v = 3 where u is null; insert into public.nullable values ('new', 2);
    update public.not_distinct set u = case when u is null then 'b' end;
    delete from public.partial where v = 0;
    update public.expression set a = case a when 'A' then 'b' else 'a' end where a = 'A' and false; delete from public.expression where a = 'A';
    update public.generated set a = 7 where a = 1;
    update public.excluded set a = '[1,5)' where a = '[1,3)' and false; delete from public.excluded where a = '[1,3)';
    insert into public.excluded values ('[0,2)');
    insert into public.no_columns default values;
    delete from public.only_generated"""


def test_a_table_without_a_key_is_replaced_as_a_whole(bare_rig: Rig):
    scenario = Scenario(bare_rig, KEYLESS)
    written = scenario.value("select xmin from public.equal limit 1")
    done = scenario.comes_back(KEYLESS_CHANGED, mode="upsert")
    assert not any(table.key for table in done.plan.tables)
    assert changes(done) == {
        "nothing": (3, 0, 1),
        "nullable": (2, 0, 3),
        "not_distinct": (2, 0, 2),
        "partial": (2, 0, 0),
        "expression": (1, 0, 0),
        "generated": (1, 0, 1),
        "excluded": (1, 0, 1),
        "no_columns": (0, 0, 1),
        "only_generated": (2, 0, 0),
    }
    assert changes(scenario.comes_back(KEYLESS_CHANGED, mode="replace")) == changes(done)
    assert scenario.value("select min(xmin::text) || max(xmin::text) from public.equal") == f"{written}{written}"
    assert "table nothing has no key: in either mode it is replaced as a whole" in done.plan.notes


NAMES = ["change", "here", "k1", "k2", "a", "c", "j", "q", "r", "s", "t", "x", "y", "h0", "v", "row", "user", "select"]
NAMES += [
    "%s",
    "%",
    "{}",
    "{0}",
    'quo"te',
    "it's",
    "Upper",
    "dots.in.it",
    " ",
    "-- x",
    "\\",
    "ü" * 31,
    "n" * 63,
    "rows",
]


def named(rig: Rig, name: str) -> tuple[str, str]:
    """Tables of a name: with all names in the key; written again with a column the backup lacks; and without a key."""
    columns = [sql.Identifier(each) for each in NAMES]
    parts = {
        "t": sql.Identifier(name),
        "columns": sql.SQL(", ").join(sql.SQL("{} text").format(each) for each in columns),
        "key": sql.SQL(", ").join(columns),
        "values": sql.SQL(", ").join([sql.SQL("i")] * len(NAMES)),
    }
    setup = """create table public.{t} ({columns}, "Value" int, primary key ({key}));
        create table names.{t} ({t} int primary key, twice int unique, "Value" text);
        create table "my.names".{t} ({t} int, "%d" text);
        insert into public.{t} select {values}, i from generate_series(1, 5) as i;
        insert into names.{t} select i, i, i from generate_series(1, 5) as i;
        insert into "my.names".{t} select i, i from generate_series(1, 5) as i;"""
    damage = """update public.{t} set "Value" = 0 where {t} < '3'; delete from public.{t} where {t} = '5';
        delete from names.{t} where {t} = 5; alter table names.{t} add "%s {{}}" int default 7;
        update names.{t} set twice = -twice; update names.{t} set twice = 5 + twice, "%s {{}}" = {t};
        delete from "my.names".{t} where {t} = 5;"""
    with rig.connect() as connection:
        return tuple(sql.SQL(each).format(**parts).as_string(connection) for each in (setup, damage))  # type: ignore[return-value]


@pytest.mark.parametrize(
    "mode, names", [("upsert", ["%s", 'quo"te', "change"]), ("replace", ["here", "dots.in.it", "n" * 63])]
)
def test_tables_and_columns_of_every_name(bare_rig: Rig, mode: str, names: list[str]):
    rig = bare_rig.with_settings(tables={"schemas": ["public", "names", "my.names"]})
    scripts = [named(rig, each) for each in names]
    scenario = Scenario(rig, 'create schema names; create schema "my.names";' + "".join(setup for setup, _ in scripts))
    scenario.run("".join(damage for _, damage in scripts))
    done = scenario.restore(mode=mode)
    assert sorted(changes(done).values()) == sorted([(1, 2, 0), (1, 4, 0), (1, 0, 0)] * 3)
    for name in names:
        quoted = name.replace('"', '""')
        assert scenario.ask(f"""select twice, "%s {{}}" from names."{quoted}" order by twice""") == [
            (1, 1),
            (2, 2),
            (3, 3),
            (4, 4),
            (5, 7),
        ]
        scenario.run(f"""alter table names."{quoted}" drop "%s {{}}" """)
    assert scenario.rows() == scenario.before


def test_tables_of_many_columns(bare_rig: Rig):
    wide = ", ".join(f"c{n} int" for n in range(400))
    values = ", ".join(str(n) for n in range(400))
    done = Scenario(
        bare_rig,
        f"create table public.wide ({wide}, primary key (c0)); create table public.keyless ({wide});"
        f"insert into public.wide values ({values}); insert into public.keyless values ({values})",
    ).comes_back("update public.wide set c399 = 0, c7 = null; update public.keyless set c399 = 0", mode="upsert")
    assert changes(done) == {"wide": (0, 1, 0), "keyless": (1, 0, 1)}


@pytest.mark.parametrize(
    "columns, change, said",
    [
        ("a int, b int, primary key (a, b)", "drop constraint t_pkey, add primary key (a)",
         "table t: 2 rows of the backup share key t_pkey of the target with another"),
        ("a int unique, b int unique", "alter a set not null",
         "table t: 1 rows of the backup have no value in key t_a_key of the target"),
    ],
)  # fmt: skip
def test_a_key_that_the_rows_of_the_backup_do_not_have(bare_rig: Rig, columns: str, change: str, said: str):
    second = "(1, 2)" if "primary" in columns else "(null, 2)"
    scenario = Scenario(
        bare_rig, f"create table public.t ({columns}); insert into public.t values (1, 1), {second}, (2, 3)"
    )
    scenario.run(f"delete from public.t where b = 2; alter table public.t {change}")
    before = scenario.rows()
    with pytest.raises(StagingDiffers) as refused:
        scenario.restore(mode="upsert")
    assert said in str(refused.value)
    assert scenario.rows() == before
