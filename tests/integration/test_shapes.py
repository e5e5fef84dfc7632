"""Tables of every kind and shape, and which of them a backup covers."""

from __future__ import annotations

import random

import pytest

from include.disaster_recovery.errors import PreflightFailed
from include.disaster_recovery.postgres.extract import read_rows
from include.disaster_recovery.postgres.row_json import columns
from include.disaster_recovery.postgres.snapshot import reading
from tests.support.read_back import compare, digest_in_manifest, digest_of, manifest_of, restore
from tests.support.rig import Outcome, Rig

MIB = 1024**2


def execute(rig: Rig, statements: str) -> None:
    with rig.connect() as connection:
        connection.execute(statements.encode())


def assert_restored_exactly(rig: Rig, outcome: Outcome, *tables: str) -> None:
    with rig.connect() as connection:
        for table in tables:
            restore(connection, outcome, table)
            assert compare(connection, table) == {}, table
            assert digest_of(connection, table) == digest_in_manifest(outcome, table), table


def test_a_partitioned_table_is_read_whole_through_its_parent(bare_rig: Rig) -> None:
    execute(
        bare_rig,
        """
        create table public.events (at date, n int) partition by range (at);
        create table public.events_2023 partition of public.events for values from ('2023-01-01') to ('2024-01-01');
        create table public.events_2024 partition of public.events for values from ('2024-01-01') to ('2025-01-01')
            partition by list (n);
        create table public.events_2024_odd partition of public.events_2024 for values in (1, 3);
        create table public.events_2024_rest partition of public.events_2024 default;
        create table public.events_rest (n int, gone text, at date);
        alter table public.events_rest drop gone;
        alter table public.events attach partition public.events_rest default;
        insert into public.events select '2022-06-01'::date + i, i % 5 from generate_series(1, 1500) as i;
        create table public.no_partitions (i int) partition by hash (i)""",
    )
    outcome = bare_rig.backup()
    assert outcome.document.row_counts == {"events": 1500, "no_partitions": 0}
    assert {tuple(row) for row in outcome.backup["tables"]["events"]["rows"]} == {("at", "n")}
    assert_restored_exactly(bare_rig, outcome, "events", "no_partitions")


def test_inheritance_children_are_tables_of_their_own(bare_rig: Rig) -> None:
    execute(
        bare_rig,
        """
        create table public.parent (i int);
        create table public.child (extra text) inherits (public.parent);
        insert into public.parent select generate_series(1, 3);
        insert into public.child values (10, 'x'), (11, 'y')""",
    )
    outcome = bare_rig.backup()
    assert outcome.backup["tables"]["parent"]["rows"] == [{"i": 1}, {"i": 2}, {"i": 3}]
    assert outcome.backup["tables"]["child"]["rows"] == [{"i": 10, "extra": "x"}, {"i": 11, "extra": "y"}]


def test_an_unlogged_table_is_backed_up(bare_rig: Rig) -> None:
    execute(bare_rig, "create unlogged table public.t as select i from generate_series(1, 5) as i")
    assert bare_rig.backup().document.row_counts == {"t": 5}


def test_cells_of_three_megabytes(bare_rig: Rig) -> None:
    execute(
        bare_rig,
        """
        create table public.t (i int, words text, bytes bytea, document jsonb, list text[]);
        insert into public.t select i, repeat('3 MB of "text" \\ ', 190000), decode(repeat('00ff', 1500000), 'hex'),
            (select jsonb_object_agg(k, md5(k::text)) from generate_series(1, 70000) as k),
            array_fill(repeat('x', 1000), array[3000]) from generate_series(1, 2) as i""",
    )
    outcome = bare_rig.backup()
    assert all(len(row["words"]) > 3_000_000 for row in outcome.backup["tables"]["t"]["rows"])
    assert_restored_exactly(bare_rig, outcome, "t")


@pytest.mark.parametrize(
    "cell",
    [
        "repeat('x', 1000000)",  # 11 kB on disk
        "repeat('compressed in place ', 5000)",  # 1 kB on disk, 100 kB when read
        "(select string_agg(md5((i * 4000 + k)::text), '') from generate_series(1, 3200) as k)",  # 100 kB both ways
    ],
)
def test_batches_stay_bounded_when_cells_are_much_larger_than_their_rows_look(bare_rig: Rig, cell: str) -> None:
    """All the rows stand in one range of heap blocks, and together in a batch they would fill the server's memory."""
    execute(bare_rig, f"create table public.t as select i, {cell} as cell from generate_series(1, 150) as i")
    sizes, rows = [], 0
    with bare_rig.held() as snapshot, bare_rig.connect() as connection:
        (unit,) = bare_rig.plan(snapshot)
        with reading(connection, snapshot.snapshot_id):
            for batch in read_rows(connection, unit, columns(connection, unit.table)):
                sizes.append(len(batch.data))
                rows += batch.rows
    assert rows == 150
    assert max(sizes) < 4 * MIB
    assert sum(sizes) > 14_000_000


def test_small_and_large_rows_of_one_block_all_arrive(bare_rig: Rig) -> None:
    lengths = [random.Random(3).choice([0, 10, 500, 8000, 8190, 8192, 9000, 60000]) for _ in range(1500)]
    with bare_rig.connect() as connection:
        connection.execute("create table public.t (i int, cell text)")
        connection.cursor().executemany("insert into public.t values (%s, repeat('y', %s))", list(enumerate(lengths)))
    outcome = bare_rig.backup()
    assert sorted(row["i"] for row in outcome.backup["tables"]["t"]["rows"]) == list(range(1500))
    assert_restored_exactly(bare_rig, outcome, "t")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize(
    "kept", ["i <= 2000", "i > 6000", "i <= 2000 or i > 6000", "i between 3000 and 5000", "false", "i = 8000"]
)
def test_fragments_without_rows_at_any_place(bare_rig: Rig, kept: str, compression: str) -> None:
    rig = bare_rig.with_settings(extract={"split_bytes": MIB}, compression=compression)
    execute(
        rig,
        "create table public.t with (autovacuum_enabled = off) as select i, repeat('p', 950) as pad from generate_series(1, 8000) as i",
    )
    execute(rig, f"delete from public.t where not ({kept})")
    outcome = rig.backup()
    rows = outcome.backup["tables"]["t"]["rows"]
    assert all(row["pad"] == "p" * 950 for row in rows)
    fragments = manifest_of(outcome).tables["t"].fragments
    assert len(fragments) >= 8
    assert 0 in [fragment.rows for fragment in fragments]
    with rig.connect() as connection:
        expected = connection.execute(f"select i from generate_series(1, 8000) as i where {kept}").fetchall()  # type: ignore[arg-type]
    assert [row["i"] for row in rows] == [i for (i,) in expected]


def test_dead_rows_at_the_start_of_a_table_kept_whole(bare_rig: Rig) -> None:
    execute(
        bare_rig,
        "create table public.t with (autovacuum_enabled = off) as select i, repeat('p', 950) as pad from generate_series(1, 5000) as i",
    )
    execute(bare_rig, "delete from public.t where i < 4990; update public.t set i = -i where i = 4995")
    outcome = bare_rig.backup()
    assert [row["i"] for row in outcome.backup["tables"]["t"]["rows"]] == [
        4990,
        4991,
        4992,
        4993,
        4994,
        4996,
        4997,
        4998,
        4999,
        5000,
        -4995,
    ]


ZOO = """
    create schema more;
    create table public.one (i int);
    create table public.two (i int);
    create table public.three (i int) partition by hash (i);
    create table more.four (i int);
    create view public.a_view as select 1 as i;
    create materialized view public.a_copy as select 1 as i;
    create sequence public.a_sequence;
    create extension citext schema public;
    create table public.of_extension (i int);
    alter extension citext add table public.of_extension;
    create temporary table temporary (i int)"""


def test_all_means_every_table_of_the_schemas_but_the_excluded(bare_rig: Rig) -> None:
    execute(bare_rig, ZOO)
    rig = bare_rig.with_settings(
        tables={"schemas": ["public", "more"], "exclude": ["two", "backup_history", "long_gone"]}
    )
    outcome = rig.backup()
    assert list(outcome.document.row_counts) == ["more.four", "one", "three"]
    assert outcome.uncovered == []


def test_tables_of_the_schemas_that_nobody_named_are_reported(bare_rig: Rig) -> None:
    execute(bare_rig, ZOO)
    rig = bare_rig.with_settings(tables={"include": ["one"], "schemas": ["public", "more"]})
    outcome = rig.backup()
    assert outcome.uncovered == ["more.four", "three", "two"]
    assert [f"table {name} is in no backup" for name in outcome.uncovered] == outcome.verdict.warnings


@pytest.mark.parametrize("name, kind", [("a_view", "a view"), ("public.a_copy", "a materialized view")])
def test_views_are_refused_by_name(bare_rig: Rig, name: str, kind: str) -> None:
    execute(bare_rig, ZOO)
    with pytest.raises(PreflightFailed, match=rf"1 of 2 tables to back up are not there: {name} \({kind}\)"):
        bare_rig.with_settings(tables={"include": ["one", name]}).preflight()


def test_a_table_of_an_extension_is_backed_up_when_named(bare_rig: Rig) -> None:
    execute(bare_rig, ZOO)
    outcome = bare_rig.with_settings(tables={"include": ["of_extension"]}).backup()
    assert list(outcome.document.row_counts) == ["of_extension"]


AUTH = """
    create schema auth;
    create table auth.users (id int); insert into auth.users values (1);
    create table auth.identities (id int);
    create table auth.sessions (id int);
    create table public.profiles (id int)"""


def test_auth_tables_ride_along(bare_rig: Rig) -> None:
    execute(bare_rig, AUTH)
    outcome = bare_rig.with_settings(tables={"include": ["profiles"]}).backup()
    assert outcome.document.row_counts == {"profiles": 0, "auth.users": 1, "auth.identities": 0}


def test_auth_tables_stay_out_when_the_settings_say_so(bare_rig: Rig) -> None:
    execute(bare_rig, AUTH)
    assert bare_rig.with_settings(tables={"include": ["profiles"], "auth": False}).backup().document.row_counts == {
        "profiles": 0
    }
    excluded = bare_rig.with_settings(
        tables={"include": ["profiles"], "exclude": ["auth.identities", "backup_history"]}
    )
    assert set(excluded.backup().document.row_counts) == {"profiles", "auth.users"}


def test_an_auth_table_named_in_the_settings_stands_in_the_document_once(bare_rig: Rig) -> None:
    execute(bare_rig, AUTH)
    outcome = bare_rig.with_settings(tables={"include": ["auth.users", "profiles", "auth.sessions"]}).backup()
    assert sorted(outcome.document.row_counts) == ["auth.identities", "auth.sessions", "auth.users", "profiles"]
