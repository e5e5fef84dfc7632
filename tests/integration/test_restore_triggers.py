"""Nothing fires while a restore writes, and everything is armed again afterwards, exactly as it was."""

from __future__ import annotations

import pytest

from include.disaster_recovery.errors import RestoreFailed, RestoreRefused
from tests.support.rig import Rig
from tests.support.scenario import Scenario, changes

ARMED = """
    create table public.log (id int generated always as identity primary key, what text);
    create function public.refuse() returns trigger language plpgsql as $$ begin raise exception 'secret %', new; end $$;
    create function public.swallow() returns trigger language plpgsql as $$ begin return null; end $$;
    create function public.touch() returns trigger language plpgsql as $$ begin new.at = now(); return new; end $$;
    create function public.tell() returns trigger language plpgsql as $$ begin insert into public.log (what) values (tg_name); return null; end $$;
    create table public.t (id int primary key, at timestamptz, v int);
    create table public.parted (id int primary key, at timestamptz, v int) partition by range (id);
    create table public.parted_1 partition of public.parted for values from (0) to (5);
    create table public.parted_2 partition of public.parted default;
    create table public.ruled (id int primary key, v int);
    create table public.ignored (id int primary key, v int);
    insert into public.t select i, '2020-01-01', i from generate_series(1, 9) as i;
    insert into public.parted table public.t;
    insert into public.ruled select i, i from generate_series(1, 9) as i;
    insert into public.ignored table public.ruled;
    insert into public.log (what) values ('first');
    create trigger touch before update on public.t for each row execute function public.touch();
    create trigger swallow_update before update on public.t for each row execute function public.swallow();
    create trigger swallow_insert before insert on public.t for each row execute function public.swallow();
    create trigger swallow_delete before delete on public.t for each row execute function public.swallow();
    create trigger "Tell %s" after insert or update or delete on public.t for each row execute function public.tell();
    create trigger tell_once after insert or update or delete on public.t for each statement execute function public.tell();
    create trigger sleeping after insert on public.t for each row execute function public.refuse();
    create constraint trigger later after insert or update on public.t deferrable initially deferred for each row execute function public.tell();
    create trigger of_parent after insert or update on public.parted for each row execute function public.tell();
    create trigger on_parent after insert or update on public.parted for each statement execute function public.tell();
    create trigger of_child before update on public.parted_2 for each row execute function public.swallow();
    create rule also as on insert to public.ruled do also insert into public.log (what) values ('rule');
    create rule "Also %s" as on update to public.ruled do also insert into public.log (what) values ('rule');
    create rule nothing as on update to public.ignored do instead nothing;
    create rule never as on delete to public.ignored do instead nothing;
    alter table public.t disable trigger sleeping;
    alter table only public.parted_1 disable trigger of_parent"""
STATES = {
    "origin": "",
    "always": """alter table public.t enable always trigger swallow_insert, enable always trigger "Tell %s", enable always trigger later,
        enable replica trigger touch, enable replica trigger tell_once;
        alter table only public.parted enable always trigger of_parent; alter table only public.parted_2 enable replica trigger of_child;
        alter table public.ruled enable always rule also, enable replica rule "Also %s";
        alter table public.ignored enable always rule nothing""",
}
CHANGED = """
    set session_replication_role = replica;
    alter table public.t disable trigger all; alter table public.parted disable trigger all; alter table public.parted_2 disable trigger all;
    alter table public.ruled disable rule also, disable rule "Also %s"; alter table public.ignored disable rule nothing;
    update public.t set v = 0, at = now() where id < 4; delete from public.t where id = 9; insert into public.t values (77, now(), 1);
    update public.parted set v = 0 where id in (1, 8); delete from public.parted where id in (2, 9); insert into public.parted values (77, now(), 1);
    update public.ruled set v = 0 where id < 4; delete from public.ruled where id = 9; insert into public.ruled values (77, 1);
    update public.ignored set v = 0 where id < 4; delete from public.ignored where id = 9; insert into public.ignored values (77, 1);
    reset session_replication_role"""
ARMED_NOW = """
    select tgrelid::regclass::text, tgname::text, tgenabled::text from pg_trigger where not tgisinternal
    union all select ev_class::regclass::text, rulename, ev_enabled::text from pg_rewrite where ev_type <> '1' and rulename <> '_RETURN'
        and ev_class >= 16384 order by 1, 2"""
REARM = """
    select string_agg(format('alter table only %s %s trigger %I', tgrelid::regclass, case tgenabled when 'O' then 'enable'
        when 'A' then 'enable always' when 'R' then 'enable replica' else 'disable' end, tgname), ';') from pg_trigger where not tgisinternal
    union all select string_agg(format('alter table %s %s rule %I', ev_class::regclass, case ev_enabled when 'O' then 'enable'
        when 'A' then 'enable always' when 'R' then 'enable replica' else 'disable' end, rulename), ';') from pg_rewrite
        where ev_type <> '1' and ev_class >= 16384 and rulename <> '_RETURN'"""


@pytest.mark.parametrize("states", STATES)
def test_no_trigger_and_no_rule_fires(bare_rig: Rig, states: str):
    scenario = Scenario(bare_rig, f"{ARMED};{STATES[states]}")
    armed, rearm = scenario.ask(ARMED_NOW), ";".join(str(script) for (script,) in scenario.ask(REARM))
    schema = scenario.schema()
    for mode in ("replace", "upsert"):
        scenario.run(CHANGED + ("; delete from public.t where id = 77" if mode == "upsert" else ""))
        scenario.run(
            "; ".join(f"delete from public.{t} where id = 77" for t in ("parted", "ruled"))
            if mode == "upsert"
            else "select 1"
        )
        scenario.run(
            "alter table public.ignored disable rule never; delete from public.ignored where id = 77"
            if mode == "upsert"
            else "select 1"
        )
        scenario.run(rearm)
        done = scenario.restore(mode=mode)
        added = int(mode == "replace")
        assert changes(done) == {
            "t": (1, 3, added),
            "parted": (2, 2, added),
            "ruled": (1, 3, added),
            "ignored": (1, 3, added),
        }
        assert scenario.rows() == scenario.before
        assert scenario.ask(ARMED_NOW) == armed
    assert scenario.schema() == schema


def test_a_dry_run_leaves_the_target_as_it_is(bare_rig: Rig):
    scenario = Scenario(bare_rig, ARMED)
    scenario.run(CHANGED)
    rows, schema = scenario.rows(), scenario.schema()
    plan, units = scenario.target.plan(dry_run=True)
    scenario.target.load_all(plan, units)
    scenario.target.check(plan)
    assert [each.update for each in scenario.target.diff(plan) if each.table == "t"] == [3]
    with pytest.raises(RestoreRefused, match="a dry run is never applied"):
        scenario.target.apply(plan)
    scenario.target.clean_up(plan)
    assert (scenario.rows(), scenario.schema()) == (rows, schema)


def test_what_was_approved_is_what_is_applied(bare_rig: Rig):
    scenario = Scenario(bare_rig, ARMED)
    scenario.run(CHANGED)
    plan, units = scenario.target.plan()
    scenario.target.load_all(plan, units)
    scenario.target.check(plan)
    approved = scenario.target.diff(plan)
    scenario.run("update public.ruled set v = 5 where id = 6; insert into public.log (what) values ('new')")
    rows = scenario.rows().items()
    with pytest.raises(RestoreFailed, match="the target has changed since the approval in: log, ruled"):
        scenario.target.apply(plan, approved)
    scenario.target.clean_up(plan)
    assert scenario.rows().items() < rows  # but for what is staged
