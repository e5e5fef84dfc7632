"""What a role without superuser rights can restore, and what it is told where it cannot."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from include.disaster_recovery.errors import RestoreFailed, RestoreRefused
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Rig
from tests.support.scenario import Scenario, changes

OWNED = """
    create schema auth; create schema kept;
    create table public.log (id int generated always as identity primary key, what text);
    create function public.tell() returns trigger language plpgsql as $$ begin insert into public.log (what) values (tg_name); return null; end $$;
    create table auth.users (id int primary key, email text unique);
    create table auth.identities (id int primary key, user_id int not null references auth.users on delete cascade);
    create table public.profiles (id int primary key references auth.users on delete cascade, boss int references public.profiles, v int);
    create table public.egg (id int primary key, hen int not null);
    create table public.hen (id int primary key, egg int not null references public.egg deferrable initially deferred);
    alter table public.egg add constraint "hen's" foreign key (hen) references public.hen on delete set null (hen) on update cascade deferrable;
    comment on constraint "hen's" on public.egg is 'it''s %s';
    create table public.swapped (id int primary key, u int unique, n int generated always as identity, at timestamptz);
    create table public.parted (id int primary key, v int references public.swapped (u)) partition by range (id);
    create table public.parted_1 partition of public.parted for values from (0) to (100);
    create table public.loose (id int);
    create table kept.audit (profile int);
    insert into auth.users select i, i || '@x' from generate_series(1, 9) as i;
    insert into auth.identities select i, i from generate_series(1, 9) as i;
    insert into public.profiles select i, 10 - i, i from generate_series(1, 9) as i;
    alter table public.egg disable trigger all; insert into public.egg select i, i % 5 + 1 from generate_series(1, 5) as i;
    alter table public.egg enable trigger all; insert into public.hen select i, (i + 1) % 5 + 1 from generate_series(1, 5) as i;
    insert into public.swapped (id, u, at) select i, i, '2020-01-01' from generate_series(1, 6) as i;
    insert into public.parted select i, i from generate_series(1, 6) as i;
    insert into public.loose values (1), (1), (2);
    alter table public.loose add foreign key (id) references public.profiles not valid;
    create trigger tell after insert or update or delete on public.profiles for each row execute function public.tell();
    create trigger always after insert or update or delete on public.swapped for each row execute function public.tell();
    create trigger replica after insert or update or delete on public.swapped for each row execute function public.tell();
    create trigger sleeping after insert or update or delete on public.swapped for each row execute function public.tell();
    create trigger of_parent after insert or update or delete on public.parted for each row execute function public.tell();
    create rule also as on insert to public.loose do also insert into public.log (what) values ('rule');
    alter table public.swapped enable always trigger always, enable replica trigger replica, disable trigger sleeping;
    alter table only public.parted_1 disable trigger of_parent"""
CHANGED = """
    set session_replication_role = replica; alter table public.swapped disable trigger always, disable trigger replica;
    update public.profiles set boss = null, v = 0 where id < 4; delete from public.profiles where id = 9;
    update auth.users set email = 'z' || email where id < 4; delete from auth.users where id = 9; delete from auth.identities where id = 9;
    update public.egg set hen = 1; delete from public.hen where id > 3; delete from public.egg where id = 2;
    update public.swapped set u = -u; update public.swapped set u = u + 7, n = default, at = now();
    update public.parted set v = 1; delete from public.parted where id = 6;
    insert into public.loose values (3);
    alter table public.swapped enable always trigger always, enable replica trigger replica"""
MINE = ("log", "profiles", "egg", "hen", "swapped", "parted", "parted_1", "loose")


@pytest.fixture
def role(bare_rig: Rig) -> Iterator[str]:
    name = f"role_{secrets.token_hex(4)}"
    with bare_rig.connect() as connection:
        connection.execute(f"create role {name} login password 'secret'")
    yield name
    with bare_rig.connect() as connection:
        connection.execute(f"reassign owned by {name} to supabase_admin; drop owned by {name}; drop role {name}")


@pytest.fixture
def scenario(bare_rig: Rig, role: str) -> Scenario:
    """A project: the role owns what is in public, and may write the auth tables of another."""
    made = Scenario(bare_rig, OWNED)
    made.run(";".join(f"alter table public.{table} owner to {role}" for table in MINE))
    made.run(f"""grant create on database "{bare_rig.parameters["dbname"]}" to {role}; grant usage on schema auth, kept to {role};
        grant all on schema public to {role}; alter default privileges grant all on tables to {role};
        grant select, insert, update, delete, references on all tables in schema auth to {role};
        alter role {role} in database "{bare_rig.parameters["dbname"]}" set statement_timeout = '2min'""")
    return made


def as_role(scenario: Scenario, role: str) -> RestoreRig:
    return scenario.target.with_parameters(user=role, password="secret")


@pytest.mark.parametrize("may_set", [True, False])
def test_a_role_that_is_no_superuser(scenario: Scenario, role: str, may_set: bool):
    if may_set:
        scenario.run(f"grant set on parameter session_replication_role to {role}")
    schema, target = scenario.schema(), as_role(scenario, role)
    with target.connect() as connection:
        assert connection.execute("show statement_timeout").fetchone() == ("0",)
    for mode in ("upsert", "replace"):
        scenario.run(CHANGED)
        if mode == "replace":
            scenario.run("""set session_replication_role = replica; insert into auth.users values (50, 'new'); insert into auth.identities values (50, 50);
                insert into public.profiles values (50, 50, 0)""")
        done = target.restore(mode=mode)
        assert done.plan.quiet == ("replica" if may_set else "tables")
        assert len(changes(done)) == 8
        assert scenario.rows() == scenario.before
        assert scenario.schema() == schema
    if may_set:
        scenario.run(f"revoke set on parameter session_replication_role from {role}")


def test_keys_are_checked_without_that_right_too(scenario: Scenario, role: str):
    scenario.run(
        "set session_replication_role = replica; delete from auth.users where id = 9; delete from public.profiles where id = 9"
    )
    rows, schema = scenario.rows(), scenario.schema()
    with pytest.raises(
        RestoreFailed,
        match="foreign keys do not hold after the restore: ForeignKeyViolation by profiles_id_fkey of table profiles",
    ):
        as_role(scenario, role).restore(tables=["profiles"], mode="upsert")
    with pytest.raises(
        RestoreFailed, match=r"1 rows of profiles break profiles_id_fkey \(no such row in auth\.users\)"
    ):
        scenario.restore(tables=["profiles"], mode="upsert")
    assert (scenario.rows(), scenario.schema()) == (rows, schema)
    assert changes(as_role(scenario, role).restore(tables=["profiles", "auth.users"], mode="upsert")) == {
        "auth.users": (1, 0, 0),
        "profiles": (1, 0, 0),
    }


def test_what_a_role_may_not_do_is_listed_before_anything_happens(scenario: Scenario, role: str):
    scenario.run(f"""
        create trigger "on_auth_user_created" after insert on auth.users for each row execute function public.tell();
        create trigger replica after insert on auth.users for each row execute function public.tell();
        alter table auth.users enable replica trigger replica;
        revoke update, delete on auth.identities from {role};
        alter table kept.audit add constraint theirs foreign key (profile) references public.profiles on delete cascade;
        alter table public.loose enable row level security, force row level security;
        alter table public.hen owner to supabase_admin; grant select on public.hen to {role};
        create schema other authorization {role}; revoke references on auth.users from {role}""")
    with pytest.raises(RestoreRefused) as refused:
        as_role(scenario, role).restore()
    lines = refused.value.fact.splitlines()[1:]
    assert sorted(line.strip() for line in lines) == [
        "foreign key hen's of table egg: the role lacks REFERENCES on hen to add it again",
        "foreign key profiles_id_fkey of table profiles: the role lacks REFERENCES on auth.users to add it again",
        "foreign key theirs of table kept.audit: the role cannot keep it from changing rows there",
        "table auth.identities: the role lacks UPDATE, DELETE",
        "table auth.users: the role cannot keep on_auth_user_created from firing, as the table is not its own",
        "table hen: the role lacks INSERT, UPDATE, DELETE",
        "table loose: row-level security hides rows from the role, which needs BYPASSRLS",
    ]
    scenario.run(
        f"grant set on parameter session_replication_role to {role}; alter table auth.users enable always trigger on_auth_user_created"
    )
    with pytest.raises(RestoreRefused) as refused:
        as_role(scenario, role).restore(tables=["profiles", "auth.users"])
    assert [line.strip() for line in refused.value.fact.splitlines()[1:]] == [
        "table auth.users: the role cannot keep on_auth_user_created, replica from firing, as the table is not its own",
        "foreign key theirs of table kept.audit: the role cannot read all of kept.audit and profiles to check it",
    ]
    scenario.run(f"revoke set on parameter session_replication_role from {role}")


def test_an_identity_column_that_only_its_owner_can_write(scenario: Scenario, role: str):
    scenario.run(f"""alter table public.swapped owner to supabase_admin; grant all on public.swapped to {role};
        grant select, update on sequence public.swapped_n_seq to {role}""")
    with pytest.raises(RestoreRefused) as refused:
        as_role(scenario, role).restore(tables=["swapped"])
    assert [line.strip() for line in refused.value.fact.splitlines()[1:]] == [
        "table swapped: the role cannot keep always from firing, as the table is not its own",
        "table swapped: the role cannot write identity columns that are no key: n",
    ]


def test_the_owner_of_collabhunts_restores_it(rig: Rig):
    """`postgres` is no superuser, may set session_replication_role, and does not own auth."""
    scenario = Scenario(rig, "select 1")
    assert rig.parameters["user"] == "postgres"
    done = scenario.comes_back(
        "set session_replication_role = replica; delete from auth.users; delete from auth.identities; truncate public.profiles cascade",
        mode="replace",
    )
    assert done.plan.quiet == "replica"
    assert next(iter(changes(done))) == "auth.users"
