"""Every type in every shape comes back exactly, through staging, into rows that were damaged or lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from psycopg import sql

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import RestoreFailed
from tests.integration.test_exact_types import SHAPES, by_build, create
from tests.support.rig import Rig
from tests.support.scenario import Scenario, changes, scenario_of
from tests.support.type_values import OWN_TYPES, OWN_VALUES, VALUES


@pytest.fixture(scope="session")
def postgres_18(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(folder=tmp_path_factory.mktemp("postgres18"), flavour="18", durable=False) as server:
        yield server


@pytest.mark.parametrize("version", ["17", "18"])
def test_every_type_in_every_shape(request: pytest.FixtureRequest, s3_server: S3Server, version: str):
    server = request.getfixturevalue("postgres_server" if version == "17" else "postgres_18")
    with scenario_of(server, s3_server, "create table public.t (id int)") as empty:
        with empty.rig.connect() as connection:
            connection.execute("set search_path = pg_catalog, public")
            if version == "18":
                connection.execute("create extension hstore schema public")
            connection.execute(OWN_TYPES)
            connection.execute("create schema types; create schema copy")
            for shape in SHAPES:
                connection.execute(
                    sql.SQL("create table public.{} (id int4 primary key)").format(sql.Identifier(shape))
                )
            create(connection, {**VALUES, **OWN_VALUES, **by_build(server)})
            connection.execute("create table public.keyless as table public.array")
        scenario = Scenario(empty.rig, "select 1")
        scenario.run("delete from public.keyless where id = 2")
        for shape in SHAPES:
            names = scenario.ask(
                f"select quote_ident(attname) from pg_attribute where attrelid = 'public.{shape}'::regclass and attnum > 1 and not attisdropped"
            )
            changed = ", ".join(f"{name} = b.{name}" for (name,) in names)
            scenario.run(
                f"delete from public.{shape} where id < 1; update public.{shape} as a set {changed} from public.{shape} as b where (a.id, b.id) in ((1, 2), (2, 0))"
            )
        done = scenario.restore(mode="replace")
        assert scenario.rows() == scenario.before
        assert changes(done).keys() == {*SHAPES, "keyless"}


TEMPORAL = """
    create extension btree_gist schema public;
    create table public.room (id int, at daterange, v int, primary key (id, at without overlaps));
    create table public.booking (id int primary key, room int, during daterange, foreign key (room, period during) references public.room (id, period at));
    create table public.loose (id int primary key, room int references public.booking not enforced, v int generated always as (room * 2) virtual);
    insert into public.room values (1, '[2024-01-01,2024-02-01)', 1), (1, '[2024-02-01,2024-03-01)', 2), (2, '[2024-01-01,2024-12-31)', 3);
    insert into public.booking values (1, 1, '[2024-01-15,2024-02-15)'), (2, 2, '[2024-05-01,2024-05-02)'), (3, null, '[2000-01-01,2000-01-02)');
    insert into public.loose values (1, 999)"""
TEMPORAL_CHANGED = """
    update public.loose set room = 5;
    delete from public.booking; update public.room set at = '[2023-12-01,2024-01-15)', v = 0 where v = 1;
    update public.room set at = '[2024-01-20,2024-03-01)' where v = 2; delete from public.room where id = 2"""


def test_temporal_and_unenforced_keys(postgres_18: PostgresServer, s3_server: S3Server):
    with scenario_of(postgres_18, s3_server, TEMPORAL) as scenario:
        done = scenario.comes_back(TEMPORAL_CHANGED, mode="replace")
        assert changes(done) == {"room": (3, 0, 2), "booking": (3, 0, 0), "loose": (0, 1, 0)}
        assert [column.name for table in done.plan.tables if table.name == "room" for column in table.key] == [
            "id",
            "at",
        ]
        scenario.comes_back(
            "update public.room set v = -v; insert into public.booking values (9, 2, '[2024-06-01,2024-06-02)'); delete from public.booking where id = 9",
            mode="upsert",
        )
        scenario.run("delete from public.booking; delete from public.room where v = 2")
        before = scenario.rows()
        with pytest.raises(
            RestoreFailed, match=r"1 rows of booking break booking_room_during_fkey \(no such row in room\)"
        ):
            scenario.restore(tables=["booking"], mode="upsert")
        assert scenario.rows() == before
        scenario.run("update public.room set at = '[2024-01-10,2024-02-10)' where v = 1")
        with pytest.raises(
            RestoreFailed, match="table room cannot be restored: ExclusionViolation by room_pkey of table room"
        ):
            scenario.restore(tables=["room"], mode="upsert")


def test_extension_types_as_keys(bare_rig: Rig):
    scenario = Scenario(
        bare_rig,
        """create extension citext schema public; create extension hstore schema public; create extension ltree schema public;
        create table public.t (c public.citext, h public.hstore, l public.ltree, v int, primary key (c, h, l));
        insert into public.t values ('Äb', 'a=>1', 'a.b', 1), ('x', '', '', 2)""",
    )
    assert changes(
        scenario.comes_back("delete from public.t where v = 2; update public.t set c = upper(c), v = 0", mode="replace")
    ) == {"t": (1, 1, 0)}
