"""The roles of `include/supabase/roles/`, made by psql: they suffice for what they are for, and for nothing else.

What happens without one of their grants is told before anything is written, and by its name.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

import psycopg
import pytest
from psycopg import sql

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import (
    DrillFailed,
    PreflightFailed,
    RestoreFailed,
    RestoreRefused,
)
from include.disaster_recovery.postgres.restore import ledger, staging
from include.disaster_recovery.restore_model import RestoreReport
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import load_settings
from include.disaster_recovery.steps.restore.comparing import compare
from tests.conftest import source_parameters
from tests.support.drill_rig import DrillRig, failed
from tests.support.psql import ROLES, Refused, psql
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig

PASSWORD = "role-" + secrets.token_hex(8)
PRIVILEGES = """
    select n.nspname || '.' || c.relname, array(
        select p from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN']) as p
        where has_table_privilege(%s, c.oid, p))
    from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm') and n.nspname not in ('pg_catalog', 'information_schema') order by 1"""


@dataclass
class Operator:
    """Whoever makes roles: psql and a superuser, on one database."""

    server: PostgresServer
    database: str
    made: set[str] = field(default_factory=set)

    @property
    def parameters(self) -> dict[str, str]:
        server = self.server
        where = {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}
        return {**where, "dbname": self.database}

    def run(self, *statements: str) -> None:
        with psycopg.connect(**self.parameters, autocommit=True) as connection:  # type: ignore[arg-type]
            for each in statements:
                connection.execute(each.encode())

    def script(self, name: str, **variables: str) -> None:
        psql(self.server.bin_dir, self.parameters, ROLES / f"{name}_role.sql", **variables)

    def role(self, name: str, **variables: str) -> dict[str, str]:
        """A role made by its script; how to log in as it."""
        role = f"sql_{name}_{secrets.token_hex(4)}"
        self.script(name, role=role, **variables)
        self.made.add(role)
        self.run(f"alter role {role} password '{PASSWORD}'")
        return {"user": role, "password": PASSWORD}

    def privileges(self, role: str) -> dict[str, set[str]]:
        """What a role may do with every relation that it may do anything with."""
        with psycopg.connect(**self.parameters) as connection:  # type: ignore[arg-type]
            rows = connection.execute(PRIVILEGES, (role,)).fetchall()
        return {str(name): set(found) for name, found in rows if found}

    def drop_roles(self) -> None:
        for role in self.made:
            self.run(
                f"reassign owned by {role} to {self.server.superuser}", f"drop owned by {role}", f"drop role {role}"
            )


@dataclass
class Stage:
    """A CollabHunts of its own with one backup of it, and what its operator makes; shared by the tests of this file."""

    rig: Rig
    operator: Operator


@pytest.fixture(scope="module")
def stage(postgres_server: PostgresServer, s3_server: S3Server, collabhunts_template: str) -> Iterator[Stage]:
    name, bucket = f"stage_{secrets.token_hex(6)}", f"stage-{secrets.token_hex(6)}"
    with psycopg.connect(postgres_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f'create database "{name}" template "{collabhunts_template}"'.encode())
        connection.execute(f'grant connect, create, temporary on database "{name}" to postgres'.encode())
    s3_server.create_bucket(bucket)
    store = Store(client=s3_server.client("admin"), bucket=bucket, encryption=Encryption(algorithm="AES256"))
    made = Stage(Rig(source_parameters(postgres_server, name), store, load_settings()), Operator(postgres_server, name))
    made.rig.backup()
    yield made
    made.operator.drop_roles()
    postgres_server.drop_database(name)


@pytest.fixture(scope="module")
def backup_login(stage: Stage) -> dict[str, str]:
    return stage.operator.role("backup")


@pytest.fixture(scope="module")
def restore_login(stage: Stage) -> dict[str, str]:
    return stage.operator.role("restore")


@contextmanager
def changed(stage: Stage, script: str, login: dict[str, str], change: str, undo: str | None) -> Iterator[None]:
    """A grant taken away; running the script again gives it back."""
    operator, role = stage.operator, login["user"]
    place = {"role": role, "database": f'"{operator.database}"'}
    operator.run(change.format(**place))
    try:
        yield
    finally:
        operator.run(*([undo.format(**place)] if undo else []))
        operator.script(script, role=role)


@pytest.fixture
def operator(rig: Rig, postgres_server: PostgresServer) -> Iterator[Operator]:
    made = Operator(postgres_server, rig.parameters["dbname"])
    yield made
    made.drop_roles()


@pytest.fixture
def empty(postgres_server: PostgresServer, empty_database: str) -> Iterator[Operator]:
    made = Operator(postgres_server, empty_database)
    yield made
    made.drop_roles()


def as_role(rig: Rig, login: dict[str, str]) -> Rig:
    return replace(rig, parameters={**rig.parameters, **login})


def denied(rig: Rig | RestoreRig, statement: str) -> None:
    with rig.connect() as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(sql.SQL(statement))  # type: ignore[arg-type]


# --- the backup role


def test_the_backup_role_takes_the_same_backup_as_the_owner(rig: Rig, operator: Operator):
    login = operator.role("backup")
    operator.script("backup", role=login["user"])  # may be run again
    done, owners = as_role(rig, login).backup(), rig.backup()
    assert done.verdict.valid
    mine, theirs = ({**each.document.row_counts, "backup_history": 0} for each in (done, owners))
    assert mine == theirs
    described, expected = done.backup["schema"], owners.backup["schema"]
    assert {status["status"] for status in described.pop("rls_probes")["roles"].values()} == {
        "not a member of the role"
    }
    del expected["rls_probes"]
    assert described == expected
    with rig.connect() as connection:
        row = connection.execute("select status from public.backup_history order by created_at limit 1").fetchone()
    assert row == ("success",)


def test_the_backup_role_may_read_what_it_needs_and_write_the_history(stage: Stage, backup_login: dict[str, str]):
    role = as_role(stage.rig, backup_login)
    found = stage.operator.privileges(role.parameters["user"])
    assert found.pop("public.backup_history") == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert {name for name in found if not name.startswith("public.")} == {
        "auth.users",
        "auth.identities",
        "supabase_migrations.schema_migrations",
    }
    assert {privilege for each in found.values() for privilege in each} == {"SELECT"}
    for statement in (
        "delete from public.messages",
        "update auth.users set email = null",
        "truncate public.messages",
        "drop table public.messages",
        "alter table public.messages disable row level security",
        "select * from auth.sessions",
        "select * from storage.objects",
        "select nextval('public.invoice_number_seq')",
        "create table public.mine (i int)",
        "create schema mine",
        "create role mine",
        "create database mine",
        "set role service_role",
        "set role postgres",
        "set session_replication_role = replica",
        "select pg_read_file('/etc/passwd')",
        "copy public.messages to program 'cat'",
    ):
        denied(role, statement)


def test_the_backup_role_asks_row_level_security_where_it_is_allowed_to(stage: Stage):
    role = as_role(stage.rig, stage.operator.role("backup", probes="on"))
    roles = role.backup().backup["schema"]["rls_probes"]["roles"]
    assert {answers["status"] for answers in roles.values()} == {"probed"}
    assert roles["anon"]["tables"]["messages"] == "denied"
    denied(role, "delete from public.messages")  # it inherits nothing


def test_a_history_that_is_missing_is_made_with_the_role(rig: Rig, operator: Operator):
    operator.run("drop table public.backup_history")
    rig = rig.with_settings(tables={"include": ["profiles"], "exclude": []})
    assert as_role(rig, operator.role("backup")).backup().verdict.valid


NEEDS = "include/supabase/roles/backup_role.sql grants all that a backup needs"
PUBLIC = "revoke usage on schema public from public, {role}", "grant usage on schema public to public"
CONNECT = "revoke connect on database {database} from public, {role}", "grant connect on database {database} to public"
OTHERS = "create table public.of_somebody_else (i int)", "drop table public.of_somebody_else"
# change, how it is undone unless the script does that, fact, hint
MISSING = [
    ("alter role {role} nobypassrls", None, "affected by row-level security policy", "BYPASSRLS"),
    (
        "revoke select on public.messages from {role}",
        None,
        "table messages cannot be read: permission denied",
        "SELECT",
    ),
    (
        "revoke select on auth.identities from {role}",
        None,
        "table auth.identities cannot be read: permission",
        "SELECT",
    ),
    ("revoke usage on schema auth from {role}", None, "permission denied for schema auth", "grant the backup role"),
    (*PUBLIC, "lacks USAGE on schema public", NEEDS),
    (
        "revoke usage on schema supabase_migrations from {role}",
        None,
        "lacks USAGE on schema supabase_migrations",
        NEEDS,
    ),
    (
        "revoke select on supabase_migrations.schema_migrations from {role}",
        None,
        "lacks SELECT on supabase_migrations.schema_migrations",
        NEEDS,
    ),
    (
        "revoke select on sequence public.invoice_number_seq from {role}",
        None,
        "lacks SELECT on sequence public.invoice_number_seq",
        NEEDS,
    ),
    ("revoke insert on public.backup_history from {role}", None, "lacks INSERT on public.backup_history", NEEDS),
    ("revoke update on public.backup_history from {role}", None, "lacks UPDATE on public.backup_history", NEEDS),
    (*OTHERS, "lacks SELECT on public.of_somebody_else", NEEDS),
    (
        "alter table public.backup_history rename to kept",
        "alter table public.kept rename to backup_history",
        "lacks CREATE on schema public, to make the missing public.backup_history",
        NEEDS,
    ),
    (*CONNECT, "permission denied for database", "grant CONNECT"),
]


@pytest.mark.parametrize("change, undo, fact, hint", MISSING, ids=[each[0] for each in MISSING])
def test_a_grant_that_the_backup_lacks_is_named_before_anything_is_written(
    stage: Stage, backup_login: dict[str, str], change: str, undo: str | None, fact: str, hint: str
):
    others = [name for name in stage.rig.settings.tables.include if name != "backup_history"]
    role = as_role(stage.rig, backup_login).with_settings(tables={"include": others})
    role.preflight()
    before = role.store.keys("")
    with changed(stage, "backup", backup_login, change, undo), pytest.raises(PreflightFailed) as caught:
        role.preflight()
    assert fact in caught.value.fact
    assert hint in caught.value.hint
    assert role.store.keys("") == before


# --- the restore role


def restored(target: RestoreRig, **wanted: object) -> RestoreReport:
    """All steps of the DAG, the proof included."""
    plan, units = target.plan(**wanted)
    try:
        if plan.run.request.restore_schema:
            target.rebuild(plan)
        target.load_all(plan, units)
        staged = target.check(plan)
        applied = target.apply(plan, target.diff(plan))
        with target.connect() as connection:
            return compare(
                connection,
                target.store,
                plan,
                staged,
                applied,
                approved_by=None,
                skipped_objects=ledger.skipped(connection, plan.run.staging_schema),
                started_at=plan.run.opened_at,
                now=lambda: datetime.now(timezone.utc),
            )
    finally:
        target.clean_up(plan)


def into(rig: Rig, operator: Operator, login: dict[str, str]) -> RestoreRig:
    return RestoreRig({**operator.parameters, **login}, rig.store, rig.settings)


def test_the_restore_role_rebuilds_an_empty_database_and_proves_it(stage: Stage, empty: Operator):
    login = empty.role("restore", rebuild="on")
    report = restored(into(stage.rig, empty, login), restore_schema=True)
    assert [check for check in report.checks if check.outcome == "failed"] == []
    said = {check.subject: check.detail for check in report.checks if check.outcome == "skipped"}
    assert said["schema grants"] == f"the right of the role that restored: extra: public to {login['user']}"
    assert sum(diff.insert for diff in report.applied) > 1000


DAMAGE = """set session_replication_role = replica; set search_path = public;
    update profiles set full_name = 'somebody else' where id in (select id from profiles order by id limit 5);
    delete from messages where id in (select id from messages order by id limit 7);
    delete from auth.identities where id in (select id from auth.identities order by id limit 2);
    reset session_replication_role; reset search_path"""


def test_the_restore_role_brings_rows_back_quietly_and_proves_it(rig: Rig, operator: Operator):
    rig.backup()
    with rig.connect() as connection:
        before = everything(connection)
    target = into(rig, operator, operator.role("restore"))
    operator.run(DAMAGE)
    report = restored(target, mode="upsert")
    assert [check for check in report.checks if check.outcome == "failed"] == []
    changed = {diff.table: (diff.insert, diff.update) for diff in report.applied if diff.insert or diff.update}
    assert changed == {"profiles": (0, 5), "messages": (7, 0), "auth.identities": (2, 0)}
    with rig.connect() as connection:
        assert everything(connection) == before


def test_the_restore_role_may_not_touch_what_it_does_not_restore(stage: Stage, restore_login: dict[str, str]):
    role = into(stage.rig, stage.operator, restore_login)
    found = stage.operator.privileges(role.parameters["user"])
    assert found.pop("public.backup_history") == {"SELECT"}
    assert {name for name in found if not name.startswith("public.")} == {"auth.users", "auth.identities"}
    assert {privilege for each in found.values() for privilege in each} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    for statement in (
        "update public.backup_history set status = 'success'",
        "select * from auth.sessions",
        "select * from supabase_migrations.schema_migrations",
        "truncate public.messages",
        "drop table public.messages",
        "alter table public.messages disable trigger all",
        "create table public.mine (i int)",
        "create role mine",
        "create database mine",
        "set role postgres",
        "set role service_role",
        "select pg_read_file('/etc/passwd')",
    ):
        denied(role, statement)


REFUSED: list[tuple[str, str | None, str]] = [
    ("revoke create on database {database} from {role}", None, "cannot be created: permission denied for database"),
    ("revoke update on public.messages from {role}", None, "table messages: the role lacks UPDATE"),
    ("revoke select on auth.users from {role}", None, "table auth.users: the role lacks SELECT"),
    ("revoke usage on schema auth from {role}", None, "table auth.users: the role lacks USAGE on schema auth"),
    (*PUBLIC, "table profiles: the role lacks USAGE on schema public"),
    (
        "revoke update on sequence public.messages_sequence_number_seq from {role}",
        None,
        "table messages: the role lacks UPDATE and SELECT on sequence messages_sequence_number_seq",
    ),
    (
        "revoke select (user_id) on auth.sessions from {role}",
        None,
        "foreign key sessions_user_id_fkey of table auth.sessions: the role cannot read all of auth.sessions",
    ),
    (
        "revoke set on parameter session_replication_role from {role}",
        None,
        "table profiles: the role cannot keep update_profiles_updated_at from firing, as the table is not its own",
    ),
    ("alter role {role} nobypassrls", None, "row-level security hides rows from the role, which needs BYPASSRLS"),
]


@pytest.mark.parametrize("change, undo, fact", REFUSED, ids=[each[0] for each in REFUSED])
def test_a_grant_that_the_restore_lacks_is_named_before_the_target_is_touched(
    stage: Stage, restore_login: dict[str, str], change: str, undo: str | None, fact: str
):
    target = into(stage.rig, stage.operator, restore_login)
    refusals = (RestoreRefused, RestoreFailed)
    with changed(stage, "restore", restore_login, change, undo), pytest.raises(refusals) as caught:
        target.plan(mode="upsert")
    assert fact in caught.value.fact
    assert caught.value.hint
    with stage.rig.connect() as connection:
        assert staging.marked(connection, anybodys=True) == []
    assert stage.rig.store.keys("backups/in-use/") == []


# --- the drill role


def test_a_drill_needs_nothing_but_createdb(tables: Rig, stage: Stage):
    with tables.connect() as connection:
        connection.execute("alter table public.first enable row level security")
    tables.backup()
    drill = DrillRig.of(tables, **stage.operator.role("drill"))
    report = drill.drill()
    assert (report.state, failed(report), drill.databases()) == ("proven", {}, [])


def test_a_backup_that_hides_rows_from_owners_needs_bypassrls_to_be_drilled(stage: Stage):
    operator = stage.operator
    drill = DrillRig.of(stage.rig, **operator.role("drill"))
    with pytest.raises(DrillFailed, match=r"says nothing of the backup: plan: .* it has no BYPASSRLS"):
        drill.drill()
    operator.script("drill", role=drill.parameters["user"], bypassrls="on")
    assert drill.again().drill().state == "proven"


def test_the_drill_role_has_no_right_on_any_other_database(stage: Stage):
    operator = stage.operator
    role = as_role(stage.rig, operator.role("drill"))
    assert operator.privileges(role.parameters["user"]) == {}
    for statement in ("select from public.messages", "create table public.mine (i int)", "create role mine"):
        denied(role, statement)
    denied(role, f'drop database "{operator.database}"')


# --- the scripts


def test_a_script_stops_at_what_it_may_not_do(stage: Stage):
    operator = stage.operator
    weak = operator.role("drill")
    parameters = {**operator.parameters, **weak}
    for name in ("backup", "restore", "drill"):
        with pytest.raises(Refused, match=rf"{name}_role\.sql:.* permission denied to create role"):
            psql(operator.server.bin_dir, parameters, ROLES / f"{name}_role.sql", role="never_made")


def test_a_script_stops_at_what_it_may_not_pass_on_and_leaves_nothing(stage: Stage):
    """The demo's `postgres` may use schema auth, but grant nobody its use: Postgres itself would only warn."""
    name = f"half_{secrets.token_hex(4)}"
    refused = "you may not grant SELECT on auth.identities, SELECT on auth.users, USAGE on schema auth to"
    with pytest.raises(Refused, match=f"{refused} {name}"):
        psql(stage.operator.server.bin_dir, stage.rig.parameters, ROLES / "backup_role.sql", role=name)
    with stage.rig.connect() as connection:
        assert connection.execute("select from pg_roles where rolname = %s", (name,)).fetchall() == []


def test_the_owner_of_the_platform_can_make_the_backup_role_without_the_accounts(rig: Rig, operator: Operator):
    """On Supabase nobody is superuser; what `postgres` may pass on suffices with tables.auth: false."""
    role = f"sql_backup_{secrets.token_hex(4)}"
    psql(operator.server.bin_dir, rig.parameters, ROLES / "backup_role.sql", role=role, auth="off")
    operator.run(f"alter role {role} password '{PASSWORD}'")
    taken = as_role(rig, {"user": role, "password": PASSWORD}).with_settings(tables={"auth": False}).backup()
    assert taken.verdict.valid
    found = {name for name in operator.privileges(role) if not name.startswith("public.")}
    assert found == {"supabase_migrations.schema_migrations"}
    with rig.connect() as connection:  # the undo of the script, by whoever has run it
        connection.execute(f"grant {role} to current_user; drop owned by {role}; drop role {role}".encode())


def test_a_role_of_an_odd_name_is_quoted(stage: Stage):
    operator = stage.operator
    name = f'odd " {secrets.token_hex(4)}'
    try:
        for script in ("backup", "restore", "drill"):
            operator.script(script, role=name)
        assert operator.privileges(name)["public.messages"] == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    finally:
        quoted = '"' + name.replace('"', '""') + '"'
        operator.run(f"drop owned by {quoted}", f"drop role {quoted}")
