"""Foreign keys never act on other rows, are never in the way, and all hold when a restore commits."""

from __future__ import annotations

import pytest

from include.disaster_recovery.errors import RestoreFailed
from tests.support.rig import Rig
from tests.support.scenario import Scenario, changes

CYCLES = """
    create table public.tree (id int primary key, parent int references public.tree, v int);
    create table public.strict_tree (id int primary key, parent int not null references public.strict_tree deferrable, v int);
    create table public.team (id int primary key, leader int, v int);
    create table public.member (id int primary key, team int not null references public.team on delete cascade, v int);
    alter table public.team add foreign key (leader) references public.member;
    create table public.egg (id int primary key, hen int not null, v int);
    create table public.hen (id int primary key, egg int not null references public.egg deferrable initially deferred, v int);
    alter table public.egg add foreign key (hen) references public.hen deferrable initially deferred;
    create table public.one (id int primary key, next int not null); create table public.two (like public.one including all);
    create table public.three (like public.one including all);
    set session_replication_role = replica;
    alter table public.one add foreign key (next) references public.two;
    alter table public.two add foreign key (next) references public.three;
    alter table public.three add foreign key (next) references public.one;
    insert into public.tree select i, nullif(10 - i, 0), i from generate_series(1, 9) as i;
    insert into public.strict_tree select i, i % 9 + 1, i from generate_series(1, 9) as i;
    insert into public.team select i, i, i from generate_series(1, 5) as i;
    insert into public.member select i, i, i from generate_series(1, 5) as i;
    insert into public.egg select i, i % 5 + 1, i from generate_series(1, 5) as i;
    insert into public.hen select i, (i + 1) % 5 + 1, i from generate_series(1, 5) as i;
    insert into public.one select i, i % 3 + 1 from generate_series(1, 3) as i;
    insert into public.two table public.one; insert into public.three table public.one;
    reset session_replication_role"""
CYCLES_CHANGED = """
    set session_replication_role = replica;
    update public.tree set parent = null, v = 0 where id < 4; delete from public.tree where id > 7;
    update public.strict_tree set parent = id where id < 4; delete from public.strict_tree where id > 7;
    update public.team set leader = null; delete from public.team where id = 5; delete from public.member where id < 3;
    delete from public.egg where id < 3; update public.hen set v = 0;
    delete from public.one; update public.two set next = 1; delete from public.three where id = 2;
    reset session_replication_role"""
CYCLES_ADDED = """
    insert into public.tree values (50, 1, 0); insert into public.tree values (51, 50, 0);
    insert into public.team values (50, null, 0); insert into public.member values (50, 50, 0);
    update public.team set leader = 50 where id = 50"""


def test_self_references_and_cycles(bare_rig: Rig):
    scenario = Scenario(bare_rig, CYCLES)
    done = scenario.comes_back(CYCLES_CHANGED, mode="upsert")
    assert len(changes(done)) == 9
    scenario.comes_back(f"{CYCLES_CHANGED};{CYCLES_ADDED}", mode="replace")
    scenario.comes_back(
        "truncate public.tree, public.strict_tree, public.team, public.member, public.egg, public.hen, public.one, public.two, public.three",
        mode="upsert",
    )
    assert [note for note in done.plan.notes if "reference" in note] == [
        "tables egg -> hen -> egg reference each other: their keys are unchecked while rows are written, and validated before the commit",
        "tables member -> team -> member reference each other: their keys are unchecked while rows are written, and validated before the commit",
        "tables one -> two -> three -> one reference each other: their keys are unchecked while rows are written, and validated before the commit",
        "tables that reference themselves, validated before the commit: strict_tree, tree",
    ]


ACTIONS = """
    create schema other;
    create table public.parent (id int primary key, code text unique, v int);
    create table other.cascading (id int primary key, parent int references public.parent on delete cascade);
    create table other.renamed (code text references public.parent (code) on update cascade on delete set null);
    create table other.nulled (parent int references public.parent on delete set null, d int default 1 references public.parent on delete set default);
    insert into public.parent select i, 'c' || i, i from generate_series(1, 9) as i;
    insert into other.cascading select i, i from generate_series(1, 9) as i;
    insert into other.renamed select 'c' || i from generate_series(1, 9) as i;
    insert into other.nulled select i, i from generate_series(1, 9) as i"""


@pytest.mark.parametrize("mode", ["upsert", "replace"])
def test_referential_actions_never_reach_other_tables(bare_rig: Rig, mode: str):
    scenario = Scenario(bare_rig, ACTIONS)
    scenario.run("""set session_replication_role = replica;
        update public.parent set v = 0 where id < 4; update public.parent set code = 'x' where id = 5;
        delete from public.parent where id = 6; insert into public.parent values (77, 'c77', 0)""")
    before = scenario.rows()
    done = scenario.restore(mode=mode)
    assert changes(done) == {"parent": (1, 4, int(mode == "replace"))}
    assert {**scenario.rows(), "public.parent": ""} == {**before, "public.parent": ""}
    if mode == "upsert":
        return
    scenario.run("insert into public.parent values (78, 'c78', 0); insert into other.cascading values (78, 78)")
    before = scenario.rows()
    with pytest.raises(
        RestoreFailed, match=r"1 rows of other\.cascading break cascading_parent_fkey \(no such row in parent\)"
    ):
        scenario.restore(mode="replace")
    assert scenario.rows() == before
    assert changes(scenario.restore(mode="upsert")) == {}


BROKEN = """
    create extension citext schema public;
    create domain public.name as public.citext;
    create table public.target (a int, b text collate "POSIX", c public.citext unique, f public.name unique, primary key (a, b));
    create table public.alone (c public.citext primary key); insert into public.alone values ('three');
    create table public.simple (id int primary key, a int, b text, constraint "it's key" foreign key (a, b) references public.target);
    create table public.match_full (id int primary key, a int, b varchar(9), foreign key (a, b) references public.target match full);
    create table public.wide (id int primary key, c public.citext references public.target (c), f public.name references public.target (f));
    create table public.not_valid (id int primary key, c public.citext);
    create table public.parted (id int, c public.citext references public.target (c), primary key (id)) partition by range (id);
    create table public.parted_1 partition of public.parted for values from (1) to (100);
    create table public.parted_2 (id int not null, c public.citext, f int);
    alter table public.parted_2 drop f, add constraint own_key foreign key (c) references public.alone, add primary key (id);
    alter table public.parted attach partition public.parted_2 for values from (100) to (200);
    create table public.grand (id int primary key, p int references public.parted, q int);
    insert into public.target values (1, 'x', 'One', 'low'), (2, 'y', 'Two', 'HIGH'), (3, 'z', 'Three', null);
    insert into public.simple values (1, 1, 'x'), (2, 3, 'z'), (3, null, 'no'), (4, 7, null);
    insert into public.match_full values (1, 1, 'x'), (2, 3, 'z'), (3, null, null);
    insert into public.wide values (1, 'ONE', 'low'), (2, 'three', 'high'), (3, null, null);
    insert into public.not_valid values (1, 'nowhere');
    alter table public.not_valid add foreign key (c) references public.target (c) not valid;
    insert into public.parted values (1, 'one'), (101, 'THREE');
    insert into public.grand values (1, 101), (2, null)"""
FORGET = "set session_replication_role = replica; delete from public.{}; reset session_replication_role"


def test_rows_of_a_subset_without_what_they_reference_are_refused(bare_rig: Rig):
    scenario = Scenario(bare_rig, BROKEN)
    subset = ["simple", "match_full", "wide", "not_valid", "parted", "grand"]
    scenario.comes_back(FORGET.format("target where a = 1; delete from public.simple"), mode="replace")
    for each in ("target where a = 3", "alone", "simple", "match_full", "wide", "parted", "grand"):
        scenario.run(FORGET.format(each))
    before = scenario.rows()
    with pytest.raises(RestoreFailed) as refused:
        scenario.restore(mode="upsert", tables=subset)
    assert refused.value.fact.removeprefix("foreign keys do not hold after the restore: ").split("; ") == [
        "1 rows of match_full break match_full_a_b_fkey (no such row in target)",
        "1 rows of parted break parted_c_fkey (no such row in target)",
        "1 rows of parted_2 break own_key (no such row in alone)",
        "1 rows of simple break it's key (no such row in target)",
        "1 rows of wide break wide_c_fkey (no such row in target)",
    ]
    assert scenario.rows() == before
    done = scenario.comes_back("select 1", mode="upsert")
    assert "foreign key not_valid_c_fkey of not_valid is NOT VALID in the target" not in done.plan.notes


def test_match_full_refuses_half_a_key(bare_rig: Rig):
    scenario = Scenario(bare_rig, BROKEN)
    scenario.run("""alter table public.match_full drop constraint match_full_a_b_fkey;
        update public.match_full set b = null where id = 1; delete from public.backup_history""")
    scenario.rig.backup()
    scenario.run("""truncate public.match_full;
        alter table public.match_full add foreign key (a, b) references public.target match full""")
    with pytest.raises(RestoreFailed, match="1 rows of match_full break match_full_a_b_fkey"):
        scenario.restore(mode="upsert")
