"""The schema rebuilt on a bare Postgres that has never heard of Supabase: one superuser, or a role that may do little."""

from __future__ import annotations

import copy
import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from include.demo.stack.postgres_binaries import Flavour
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import (
    DatabaseUnavailable,
    DocumentError,
    RebuildFailed,
    RestoreInProgress,
    RestoreRefused,
)
from include.disaster_recovery.postgres.restore import ledger, staging
from include.disaster_recovery.postgres.schema import SECTIONS
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import TableDiff
from include.disaster_recovery.settings import load_settings
from include.disaster_recovery.steps.restore.rebuilding import Rebuilt, finish_schema, rebuild_schema, rehearse_schema
from tests.support.rebuild_rig import (
    Backup,
    Schema,
    Target,
    backed_up,
    comparable,
    plan_for,
    put_document,
    with_ddl,
)
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Rig


@pytest.fixture(scope="module")
def backup(postgres_server: PostgresServer, s3_server: S3Server, collabhunts_template: str) -> Iterator[Backup]:
    with backed_up(postgres_server, s3_server, collabhunts_template) as backup:
        yield backup


@pytest.fixture(scope="module", params=["17", "18"])
def bare_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    flavour: Flavour = request.param
    folder: Path = tmp_path_factory.mktemp(f"bare{flavour}")
    server = PostgresServer(folder=folder, durable=False, flavour=flavour, superuser="root_of_this")
    try:
        yield server.start()
    finally:
        server.destroy()


@pytest.fixture
def bare(bare_server: PostgresServer) -> Iterator[Target]:
    target = Target(bare_server, f"bare_{secrets.token_hex(4)}")
    bare_server.create_database(target.name)
    yield target
    bare_server.drop_database(target.name)
    with psycopg.connect(bare_server.superuser_dsn("postgres"), autocommit=True) as connection:
        rows = connection.execute(
            "select quote_ident(rolname) from pg_roles where rolname !~ '^(pg_|root_)'"
        ).fetchall()
        for (role,) in rows:
            connection.execute(f"drop owned by {role}")
            connection.execute(f"drop role {role}")


def session_settings(connection: Connection) -> list[tuple[object, ...]]:
    rows = connection.execute("select name, setting from pg_settings where name !~ '^plpgsql' order by 1").fetchall()
    return [*rows, *connection.execute("select current_user, session_user").fetchall()]


def test_everything_comes_back_on_a_bare_server(bare: Target, backup: Backup) -> None:
    with bare.opened(backup.plan) as connection:
        rebuilt = rebuild_schema(connection, backup.store, backup.plan)
        with connection.transaction():
            finished = finish_schema(connection, backup.store, backup.plan)
    found, wanted = comparable(bare.described()), comparable(backup.schema)
    found["roles"] = {name: role for name, role in found["roles"].items() if name in wanted["roles"]}
    for section in SECTIONS:
        if section != "extensions":
            assert found[section] == wanted[section], section
    assert rebuilt.created["table"] == 18
    assert {name: rebuilt.created[name] for name in ("role", "schema", "function")} == {
        "role": len(backup.schema["roles"]),
        "schema": 3,
        "function": 11,
    }
    assert finished == []
    missing = [] if bare.server.flavour == "17" else ["extension pgcrypto: not available on this server"]
    assert rebuilt.skipped[2:] == missing, rebuilt.skipped
    json.dumps(rebuilt.to_json())


def test_what_was_rebuilt_is_undone_without_a_trace(bare: Target, backup: Backup) -> None:
    with bare.connect() as connection:
        connection.execute("create extension citext schema public")
        connection.execute("alter default privileges in schema public grant all on tables to public")
        connection.execute("alter default privileges grant select on sequences to public")
        connection.execute("alter default privileges revoke execute on functions from public")
        connection.execute("grant create on schema public to public")
        connection.execute("comment on schema public is 'mine'")
    before = bare.dumped()
    with bare.opened(backup.plan) as connection:
        rebuild_schema(connection, backup.store, backup.plan)
        assert bare.dumped() != before
        assert ledger.undo(connection, backup.plan.run.staging_schema) > 30
        staging.drop(connection, backup.plan.run.staging_schema)
    assert bare.dumped() == before


def test_a_rehearsal_changes_nothing(bare: Target, backup: Backup) -> None:
    before = bare.dumped()
    with bare.connect() as connection:
        settings = session_settings(connection)
        rehearsed = rehearse_schema(connection, backup.store, backup.plan)
        assert session_settings(connection) == settings
    assert bare.dumped() == before
    assert rehearsed.created["table"] == 18


GREEDY = (
    "alter default privileges in schema public grant all on tables to public",
    "alter default privileges in schema public grant all on functions to public",
    "alter default privileges grant all on sequences to public",
    "alter default privileges grant all on tables to public",
)


def test_default_privileges_of_the_target_do_not_leak_into_what_is_rebuilt(bare: Target, backup: Backup) -> None:
    with bare.opened(backup.plan) as connection:
        for each in GREEDY:
            connection.execute(each.encode())
        rebuild_schema(connection, backup.store, backup.plan)
        finish_in_transaction(connection, backup)
    found, wanted = bare.described(), backup.schema
    for section in ("tables", "sequences", "views"):
        for name, item in wanted[section].items():
            assert found[section][name]["grants"] == item["grants"], name
    assert [each["grants"] for each in found["functions"]] == [each["grants"] for each in wanted["functions"]]
    assert found["default_privileges"] == wanted["default_privileges"]


def finish_in_transaction(connection: Connection, backup: Backup) -> list[str]:
    with connection.transaction():
        return finish_schema(connection, backup.store, backup.plan)


@pytest.mark.parametrize(
    "statement",
    [
        "create table public.left_over (i serial)",
        "create view public.left_over as select 1 as one",
        "create sequence public.left_over",
        "create function public.left_over() returns int language sql as 'select 1'",
        "create type public.left_over as enum ('a')",
        "create domain public.left_over as int",
        "create type public.left_over as (a int)",
        "create aggregate public.left_over(int) (sfunc = int4pl, stype = int)",
        "create collation public.left_over (locale = 'C')",
    ],
)
def test_a_target_that_is_not_empty_is_refused_by_name(bare: Target, backup: Backup, statement: str) -> None:
    with bare.opened(backup.plan) as connection:
        connection.execute(statement.encode())
        before = bare.dumped()
        for step in (rebuild_schema, rehearse_schema):
            with pytest.raises(RestoreRefused, match=r"not empty.*public\.left_over"):
                step(connection, backup.store, backup.plan)
    assert bare.dumped() == before


def test_extensions_in_public_are_no_application(bare: Target, backup: Backup) -> None:
    with bare.opened(backup.plan) as connection:
        connection.execute("create extension citext schema public")
        connection.execute("create extension hstore schema public")
        rebuild_schema(connection, backup.store, backup.plan)


def refused(bare: Target, backup: Backup, schema: Schema, why: str) -> None:
    """The rebuild of a changed section fails and leaves nothing."""
    plan = put_document(backup.store, schema)
    with bare.opened(plan) as connection:
        before = bare.dumped()
        settings = session_settings(connection)
        with pytest.raises(RebuildFailed, match=why):
            rebuild_schema(connection, backup.store, plan)
        assert session_settings(connection) == settings
    assert bare.dumped() == before


def test_a_failure_in_the_middle_leaves_nothing(bare: Target, backup: Backup) -> None:
    schema = with_ddl(backup.schema, pre_data="\nCREATE TABLE public.t (e missing.type);")
    refused(bare, backup, schema, r'CREATE TABLE public\.t \(e missing\.type\): schema "missing" does not exist')


def test_a_quote_left_open_is_refused_before_anything_runs(bare: Target, backup: Backup) -> None:
    refused(bare, backup, with_ddl(backup.schema, pre_data="\nSELECT 'a;"), "is not closed")


def test_a_document_replaced_since_the_plan_is_not_run(bare: Target, backup: Backup) -> None:
    plan = put_document(backup.store, with_ddl(backup.schema, pre_data="\nCREATE TABLE public.a ();"))
    put_document(backup.store, with_ddl(backup.schema, pre_data="\nCREATE TABLE public.b ();"))
    with bare.opened(plan) as connection, pytest.raises(DocumentError, match="not the document that was planned"):
        rebuild_schema(connection, backup.store, plan)


def test_settings_of_the_ddl_end_with_the_step(bare: Target, backup: Backup) -> None:
    settings = "\nSET search_path = public; SET LOCAL work_mem = '1MB'; SET ROLE anon; SET SESSION AUTHORIZATION anon;"
    schema = with_ddl(
        backup.schema, pre_data=settings, post_data="\nSET search_path = public; SET default_tablespace = x;"
    )
    plan = put_document(backup.store, schema)
    with bare.opened(plan) as connection:
        before = session_settings(connection)
        rebuild_schema(connection, backup.store, plan)
        assert session_settings(connection) == before
        with connection.transaction():
            skipped = finish_schema(connection, backup.store, plan)
            assert session_settings(connection) == before
        assert session_settings(connection) == before
    assert [each.partition(":")[0] for each in skipped] == ["SET default_tablespace = x"]


def test_a_second_try_begins_anew(bare: Target, backup: Backup) -> None:
    with bare.opened(backup.plan) as connection:
        first = rebuild_schema(connection, backup.store, backup.plan)
        connection.execute("insert into public.platform_settings (key, value) values ('k', '1')")
        assert rebuild_schema(connection, backup.store, backup.plan) == first
        assert ledger.skipped(connection, backup.plan.run.staging_schema) == first.skipped
        assert connection.execute("select count(*) from public.platform_settings").fetchone() == (0,)
        ledger.undo(connection, backup.plan.run.staging_schema)
        rows = connection.execute("select nspname from pg_namespace where nspname in ('auth', 'storage')").fetchall()
    assert rows == []


def test_what_is_applied_is_never_undone_by_a_task_run_again(bare: Target, backup: Backup) -> None:
    done = TableDiff(table="profiles", insert=0, update=0, delete=0, unchanged=0)
    with bare.opened(backup.plan) as connection:
        rebuild_schema(connection, backup.store, backup.plan)
        ledger.record_applied(connection, backup.plan.run, [done])
        before = bare.dumped()
        assert rebuild_schema(connection, backup.store, backup.plan) == Rebuilt(created={}, skipped=[])
    assert bare.dumped() == before


def test_a_second_restore_into_the_target_waits(bare: Target, backup: Backup) -> None:
    with bare.opened(backup.plan) as connection, bare.connect() as other, staging.locked(other):
        for step in (rebuild_schema, rehearse_schema):
            with pytest.raises(RestoreInProgress):
                step(connection, backup.store, backup.plan)


def test_a_connection_lost_in_the_middle_leaves_nothing_and_is_worth_another_try(bare: Target, backup: Backup) -> None:
    schema = with_ddl(backup.schema, pre_data="\nSELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid());")
    plan = put_document(backup.store, schema)
    with bare.opened(plan) as connection:
        before = bare.dumped()
        with pytest.raises(DatabaseUnavailable, match=r"SELECT pg_catalog\.pg_terminate_backend"):
            rebuild_schema(connection, backup.store, plan)
    assert bare.dumped() == before


def test_foreign_keys_are_checked_as_they_are_added(bare: Target, backup: Backup) -> None:
    with bare.opened(backup.plan) as connection:
        rebuild_schema(connection, backup.store, backup.plan)
        connection.execute(
            "insert into public.user_roles (user_id, role) values ('00000000-0000-0000-0000-000000000001', 'admin')"
        )
        for role in ("origin", "replica"):
            connection.execute(f"set session_replication_role = {role}")  # type: ignore[arg-type]
            with pytest.raises(RebuildFailed, match="ForeignKeyViolation by user_roles_user_id_fkey"):
                finish_in_transaction(connection, backup)


def changed_column(schema: Schema, table: str, column: str, **changes: object) -> Schema:
    changed = copy.deepcopy(schema)
    next(each for each in changed["tables"][table]["columns"] if each["name"] == column).update(changes)
    return changed


INJECTION = "0); create table public.injected (); --"


@pytest.mark.parametrize(
    "column, change",
    [
        ("confirmed_at", {"generated": INJECTION}),
        ("email", {"type": f"text default ({INJECTION}"}),
        ("email", {"type": "missing.type"}),
        ("email", {"type": "text, injected text"}),
    ],
)
def test_a_hostile_column_is_refused(bare: Target, backup: Backup, column: str, change: dict[str, str]) -> None:
    schema = changed_column(backup.schema, "auth.users", column, **change)
    refused(bare, backup, schema, f"column auth.users.{column}")


def test_hostile_names_are_names(bare: Target, backup: Backup) -> None:
    hostile = "a\" b'; create table public.injected (); -- %s %(x)s {} {0}"
    schema = changed_column(
        backup.schema, "auth.users", "email_change", name=hostile, comment=hostile, default=INJECTION
    )
    schema["roles"][hostile[:50]] = {**schema["roles"]["anon"], "member_of": ["authenticated"]}
    schema["extensions"].append({"name": hostile, "schema": hostile, "version": hostile})
    users = schema["tables"]["auth.users"]
    users["grants"] = [
        *users["grants"],
        f'"{hostile[:50].replace(chr(34), chr(34) * 2)}"=r/postgres',
        f"x{hostile}=r/y",
    ]
    users["constraints"].append(
        {"name": "hostile check", "kind": "check", "columns": [], "definition": f"CHECK ({INJECTION})"}
    )
    users["indexes"].append({"name": hostile[:60], "definition": f"CREATE INDEX x ON y USING btree (id); {INJECTION}"})
    plan = put_document(backup.store, schema)
    with bare.opened(plan) as connection:
        rebuilt = rebuild_schema(connection, backup.store, plan)
        query = "select to_regclass('public.injected'), obj_description(0), count(*) from pg_roles where rolname = %s"
        assert connection.execute(query, (hostile[:50],)).fetchone() == (None, None, 1)
        query = "select count(*) from pg_attribute where attrelid = 'auth.users'::regclass and attname = %s"
        assert connection.execute(query, (hostile[:63],)).fetchone() == (1,)
        ledger.undo(connection, plan.run.staging_schema)
        assert connection.execute("select count(*) from pg_roles where rolname = %s", (hostile[:50],)).fetchone() == (
            0,
        )
    assert "check hostile check of auth.users: its text is more than one plain expression" in rebuilt.skipped
    assert f"extension {hostile}: not available on this server" in rebuilt.skipped


NASTY = r"""
create table public."T;'1" (i int primary key, "a;b" text default E'\';--');
create table public.b (i int);
create function public.nasty() returns text language sql as $body$ select $t$; ' " $$ \
-- no comment
/* ; $t$ $body$;
create function public.atomic(x int) returns int language sql begin atomic;
  insert into public.b values (x);
  select case when x > 0 then 1 else case x when 0 then 2 end end as "end";
end;
create rule two as on insert to public."T;'1" do also (insert into public.b values (1); insert into public.b values (2));
create aggregate public.agg(int) (sfunc = int4pl, stype = int);
create operator public.=== (leftarg = int, rightarg = int, function = int4eq);
create statistics public.st on i, "a;b" from public."T;'1";
create text search dictionary public.dict (template = simple);
create collation public.coll (locale = 'C');
create table public.parts (i int generated always as identity, d date) partition by range (d);
create table public.part_1 partition of public.parts for values from ('2020-01-01') to ('2021-01-01');
create materialized view public.mv as select 1 as i;
create type public.rng as range (subtype = int);
create procedure public.p(inout x int) language sql as 'select 1';
create schema "other; schema";
create table "other; schema".t (i serial, r public.rng);
create view public.v as select r from "other; schema".t;
comment on view public.v is 'a; ''b'' -- c';
"""


def test_nasty_objects_come_and_go(bare: Target, bare_rig: Rig) -> None:
    with bare_rig.connect() as connection:
        connection.execute(NASTY.replace("begin atomic;", "begin atomic").encode())
    schemas = ("public", "other; schema")
    rig = bare_rig.with_settings(tables={"schemas": list(schemas)})
    outcome = rig.backup()
    schema, plan = (
        outcome.backup["schema"],
        plan_for(outcome.run.key, outcome.document.size, outcome.document.manifest_sha256),
    )
    before = bare.dumped()
    with bare.opened(plan) as connection:
        rebuild_schema(connection, rig.store, plan)
        with connection.transaction(force_rollback=True):
            finish_schema(connection, rig.store, plan)
        ledger.undo(connection, plan.run.staging_schema)
        assert [name for name, _ in staging.marked(connection)] == [plan.run.staging_schema]
        rebuild_schema(connection, rig.store, plan)
        with connection.transaction():
            finish_schema(connection, rig.store, plan)
        found, wanted = comparable(bare.described(schemas, [])), comparable(schema)
        for functions in (found["functions"], wanted["functions"]):  # the owner of a range's own stays who made it
            functions[:] = [each for each in functions if not each["name"].startswith("rng")]
        for section in ("types", "functions", "tables", "views", "sequences", "schemas"):
            assert found[section] == wanted[section], section
        connection.execute("drop publication if exists x")
        ledger.undo(connection, plan.run.staging_schema)
        staging.drop(connection, plan.run.staging_schema)
    assert bare.dumped() == before


@pytest.fixture
def modest(bare: Target) -> Target:
    """The same database, as a role that owns it and may create roles and databases, and nothing else."""
    bare.administer(
        "create role modest login createrole createdb password 'modest-secret'",
        f'alter database "{bare.name}" owner to modest',
    )
    return Target(bare.server, bare.name, "modest", "modest-secret")


def test_a_role_that_may_create_roles_rebuilds_all_but_what_it_may_not_give(modest: Target, backup: Backup) -> None:
    with modest.opened(backup.plan) as connection:
        rebuilt = rebuild_schema(connection, backup.store, backup.plan)
        finished = finish_in_transaction(connection, backup)
    found, wanted = comparable(modest.described()), comparable(backup.schema)
    for section in ("enums", "types", "functions", "triggers", "rls_policies", "tables", "views", "sequences"):
        assert found[section] == wanted[section], section
    assert found["default_privileges"] == wanted["default_privileges"]
    assert finished == []
    allowed = r'ALTER ROLE .* (REPLICATION|BYPASSRLS): |GRANT "pg_\w+" TO |login of roles |SUPERUSER of role |extension pgcrypto: '
    assert [each for each in rebuilt.skipped if not re.match(allowed, each)] == []
    assert any("BYPASSRLS" in each for each in rebuilt.skipped)


def test_what_a_modest_role_has_rebuilt_is_undone(modest: Target, backup: Backup) -> None:
    before = modest.dumped()
    with modest.opened(backup.plan) as connection:
        rebuild_schema(connection, backup.store, backup.plan)
        ledger.undo(connection, backup.plan.run.staging_schema)
        staging.drop(connection, backup.plan.run.staging_schema)
    assert modest.dumped() == before


def test_a_restore_given_up_after_the_load_leaves_nothing(modest: Target, backup: Backup) -> None:
    rig, before = RestoreRig(modest.parameters, backup.store, load_settings()), modest.dumped()
    plan, units = rig.plan(restore_schema=True, backup_key=backup.plan.run.key)
    rig.rebuild(plan)
    assert sum(each.rows for each in rig.load_all(plan, units)) > 1000
    rig.clean_up(plan)
    assert modest.dumped() == before


def test_a_whole_restore_by_a_modest_role(modest: Target, backup: Backup) -> None:
    rig = RestoreRig(modest.parameters, backup.store, load_settings())
    done = rig.restore(restore_schema=True, backup_key=backup.plan.run.key)
    assert {table.name: table.direct for table in done.plan.tables}["auth.users"] is True
    assert sum(each.insert for each in done.applied) == sum(each.rows for each in done.loaded) > 1000
