"""Partitioned and inherited tables."""

from __future__ import annotations

from tests.support.rig import Rig
from tests.support.scenario import Scenario, changes

PARTITIONED = """
    create table public.events (id int, at date, kind text, v int, primary key (id, at)) partition by range (at);
    create table public.events_2023 partition of public.events for values from ('2023-01-01') to ('2024-01-01');
    create table public.events_2024 (kind text, gone int, v int, at date not null, id int not null);
    alter table public.events_2024 drop gone;
    create table public.events_rest partition of public.events default;
    create table public.later (id int, at date, kind text, v int) partition by range (id);
    alter table public.later alter id set not null, alter at set not null;
    create table public.later_a partition of public.later for values from (0) to (12);
    create table public.later_rest partition of public.later default;
    alter table public.events attach partition public.events_2024 for values from ('2024-01-01') to ('2025-01-01');
    alter table public.events attach partition public.later for values from ('2025-01-01') to ('2026-01-01');
    create table public.moving (id int, region text, v int) partition by list (region);
    create table public.moving_x partition of public.moving for values in ('x');
    create table public.moving_y partition of public.moving for values in ('y', null);
    alter table public.moving add generated_v int generated always as (id * 2) stored;
    create table public.referring (id int primary key, event int, at date, foreign key (event, at) references public.events on delete cascade);
    insert into public.events select i, '2022-06-01'::date + i * 100, chr(97 + i % 3), i from generate_series(1, 14) as i;
    insert into public.moving select i, case i % 3 when 0 then 'x' when 1 then 'y' end, i from generate_series(1, 9) as i;
    insert into public.referring select id, id, at from public.events"""
PARTITIONS_CHANGED = """
    set session_replication_role = replica;
    update public.events set v = 0 where id < 4; delete from public.events where id = 9;
    update public.events set kind = 'a' where id > 10;
    update public.events set at = at + 365 where id in (5, 6);
    update public.moving set region = case region when 'x' then 'y' else 'x' end;
    delete from public.referring where id < 3;
    reset session_replication_role"""


def test_rows_find_their_partitions_again(bare_rig: Rig):
    scenario = Scenario(bare_rig, PARTITIONED)
    done = scenario.restore(mode="upsert")
    assert [(table.name, table.is_partitioned) for table in done.plan.tables] == [
        ("events", True), ("moving", True), ("referring", False),
    ]  # fmt: skip
    for mode in ("replace", "replace"):
        assert set(changes(scenario.comes_back(PARTITIONS_CHANGED, mode=mode))) == {"events", "moving", "referring"}
    scenario.run(
        "set session_replication_role = replica; update public.events set v = 0; update public.events set kind = 'a'"
    )
    assert changes(scenario.restore(mode="upsert")) == {"events": (0, 14, 0)}
    assert scenario.rows() == scenario.before
    scenario.run("""truncate public.referring; alter table public.events detach partition public.events_rest; delete from public.events_rest;
        create table public.events_2022 partition of public.events for values from ('2022-01-01') to ('2023-01-01');
        create table public.events_2026 partition of public.events default""")
    scenario.restore(mode="replace")
    assert scenario.value("select count(*) from public.events") == 14


def test_a_table_partitioned_since_and_one_that_no_longer_is(bare_rig: Rig):
    scenario = Scenario(
        bare_rig,
        """create table public.a (id int primary key, v int); insert into public.a select i, i from generate_series(1, 9) as i;
        create table public.b (id int primary key, v int) partition by hash (id);
        create table public.b1 partition of public.b for values with (modulus 1, remainder 0); insert into public.b table public.a""",
    )
    scenario.run("""drop table public.a, public.b; create table public.b (v int, id int primary key);
        create table public.a (v int, id int primary key) partition by range (id);
        create table public.a1 partition of public.a for values from (0) to (5); create table public.a2 partition of public.a default;
        insert into public.a values (0, 3), (1, 99)""")
    assert changes(scenario.restore(mode="replace")) == {"a": (8, 1, 1), "b": (9, 0, 0)}
    for table in "ab":
        assert scenario.value(f"select bool_and(v = id) and count(*) = 9 from public.{table}") is True


INHERITED = """
    create table public.city (id int primary key, name text, people int);
    create table public.capital (country text, primary key (id)) inherits (public.city);
    create table public.flag (capital int references public.city on delete cascade);
    insert into public.city select i, 'city ' || i, i from generate_series(1, 5) as i;
    insert into public.capital select i, 'capital ' || i, i, 'c' || i from generate_series(3, 8) as i;
    insert into public.flag values (1), (5)"""


def test_inherited_rows_belong_to_their_own_table(bare_rig: Rig):
    scenario = Scenario(bare_rig, INHERITED)
    changed = """update only public.city set people = 0 where id in (1, 4); delete from only public.city where id = 2;
        update public.capital set people = 7, country = null where id < 5; delete from public.capital where id = 8;"""
    assert changes(scenario.comes_back(changed, mode="upsert")) == {"city": (1, 2, 0), "capital": (1, 2, 0)}
    added = (
        "insert into public.city values (2, 'x', 0), (99, 'y', 0); insert into public.capital values (77, 'z', 0, 'z')"
    )
    assert changes(scenario.comes_back(changed + added, mode="replace")) == {"city": (0, 3, 1), "capital": (1, 2, 1)}
    scenario.run(
        "update only public.city set people = -1 where id = 3; update public.capital set people = -1 where id = 3"
    )
    assert changes(scenario.restore(mode="replace", tables=["city"])) == {"city": (0, 1, 0)}
    assert scenario.ask("select people from public.city where id = 3 order by 1") == [(-1,), (3,)]
