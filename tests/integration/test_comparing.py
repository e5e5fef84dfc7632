"""The recovery proof: a copy that is the backup passes whole; each kind of damage is found, and called by its name."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import psycopg
import pytest
from psycopg import sql

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import ComparisonFailed, StoreRefused
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.recovery_proof import MANAGED, NOT_RESTORED, OTHER_OWNER, require_equal
from include.disaster_recovery.restore_model import RestoreMode, RestoreReport
from include.disaster_recovery.s3.reports import write_report
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import load_settings
from tests.conftest import source_parameters
from tests.support.restored import Restored, check, copied, restored, subjects
from tests.support.rig import Outcome, Rig


@dataclass
class Backed:
    """One backup, and a copy of its source in which both plans are staged; tests work on copies of that copy."""

    server: PostgresServer
    rig: Rig
    outcome: Outcome
    base: str
    plans: dict[tuple[RestoreMode, bool], Restored]

    @contextmanager
    def copy(self, damage: str = "", mode: RestoreMode = "replace", restore_schema: bool = True) -> Iterator[Restored]:
        """A restored target, damaged by a superuser."""
        with copied(self.server, self.base) as name:
            with psycopg.connect(self.server.superuser_dsn(name), autocommit=True) as connection:
                connection.execute(damage.encode())
            with connect(source_parameters(self.server, name), name="test", application="test") as target:
                yield replace(self.plans[mode, restore_schema], target=target)

    def report(self, damage: str = "", mode: RestoreMode = "replace", restore_schema: bool = True) -> RestoreReport:
        with self.copy(damage, mode, restore_schema) as done:
            return done.report()


@pytest.fixture(scope="module")
def backed(postgres_server: PostgresServer, s3_server: S3Server, collabhunts_template: str) -> Iterator[Backed]:
    bucket = f"compared-{secrets.token_hex(4)}"
    s3_server.create_bucket(bucket)
    store = Store(client=s3_server.client("admin"), bucket=bucket, encryption=Encryption(algorithm="AES256"))
    with copied(postgres_server, collabhunts_template) as source, copied(postgres_server, collabhunts_template) as base:
        rig = Rig(source_parameters(postgres_server, source), store, load_settings())
        outcome = rig.backup()
        with connect(source_parameters(postgres_server, base), name="test", application="test") as target:
            staged = restored(rig, outcome, target)
        yield Backed(postgres_server, rig, outcome, base, _plans(staged))


def _plans(staged: Restored) -> dict[tuple[RestoreMode, bool], Restored]:
    found: dict[tuple[RestoreMode, bool], Restored] = {}
    modes: tuple[RestoreMode, ...] = ("replace", "upsert")
    for mode in modes:
        for restore_schema in (True, False):
            request = staged.plan.run.request.model_copy(update={"mode": mode, "restore_schema": restore_schema})
            run = staged.plan.run.model_copy(update={"request": request})
            tables = [table.model_copy(update={"direct": restore_schema}) for table in staged.plan.tables]
            plan = staged.plan.model_copy(update={"run": run, "tables": tables})
            found[mode, restore_schema] = replace(staged, plan=plan)
    return found


@pytest.mark.parametrize("mode", ["replace", "upsert"])
@pytest.mark.parametrize("restore_schema", [True, False])
def test_a_copy_of_the_source_passes(backed: Backed, caplog, mode: RestoreMode, restore_schema: bool):
    with caplog.at_level(logging.INFO):
        report = backed.report(mode=mode, restore_schema=restore_schema)
    assert subjects(report) == []
    assert subjects(report, "skipped") == ["RLS as anon", "RLS as authenticated", "RLS as service_role"]
    assert all(each.detail.endswith("backup_history") for each in report.checks if each.outcome == "skipped")
    assert len(subjects(report, "passed")) == 2 * 19 + 1 + 23 + 1 + 3 * 17
    assert check(report, "sign-in", "passed").detail == "120 accounts can sign in; 0 of 120 accounts have no identity"
    assert caplog.messages[-1] == f"comparison: {len(subjects(report, 'passed'))} passed, 0 failed, 3 skipped"
    require_equal(report)


# Damage that the platform's users would notice at once: the probes find it too.
EXPOSURE = [
    ('drop policy "Anyone can view profiles" on public.profiles', ["policies", "RLS of profiles as anon", "RLS of profiles as authenticated"]),
    ('alter policy "Visitors read the fee" on public.platform_settings using (true)', ["policies", "RLS of platform_settings as anon", "RLS of platform_settings as authenticated"]),
    ("alter table public.campaign_applications disable row level security", ["RLS flags", "RLS of campaign_applications as authenticated"]),
    ("grant select on public.payments to anon", ["table grants", "RLS of payments as anon"]),
    ("revoke select on public.reviews from anon", ["table grants", "RLS of reviews as anon"]),
    ("create or replace function public.is_participant(_conversation_id uuid, _user_id uuid) returns boolean language sql stable security definer set search_path = public as 'select true'", ["functions", "RLS of messages as authenticated"]),
]  # fmt: skip


@pytest.mark.parametrize("damage, expected", EXPOSURE, ids=[each[0][:60] for each in EXPOSURE])
def test_what_exposes_or_hides_rows_is_found_twice(backed: Backed, damage: str, expected: list[str]):
    with backed.copy(damage) as done:
        assert subjects(done.report()) == expected
        with_rows_only = replace(done, plan=backed.plans["replace", False].plan).report()
    assert subjects(with_rows_only) == expected[1:]
    excused = [each for each in with_rows_only.checks if each.detail.startswith(NOT_RESTORED)]
    assert [each.subject for each in excused] == expected[:1]


# Statements by the failed check, and what its detail then says: each set is done to one copy.
CHANGED = {
    "extensions": ("alter extension pgcrypto set schema public", "changed: pgcrypto"),
    "enums": ("alter type public.app_role add value 'moderator'; alter type public.application_status rename value 'on waiting list' to 'waiting'", "changed: app_role, application_status"),
    "types": ("alter domain public.cents drop default", "changed: cents"),
    "functions": ("create or replace function public.update_updated_at_column() returns trigger language plpgsql set search_path = public as 'begin return new; end'; alter function public.handle_new_user() security invoker", "changed: handle_new_user(), update_updated_at_column()"),
    "tables": ("alter table public.messages replica identity default", "changed: messages"),
    "columns": ("alter table public.profiles alter column is_suspended drop default; alter table public.profiles alter column created_at drop not null", "changed: created_at of profiles, is_suspended of profiles"),
    "constraints": ("alter table public.conversations alter constraint conversations_last_message_id_fkey not deferrable", "changed: conversations_last_message_id_fkey of conversations"),
    "indexes": ("drop index public.bookings_unpaid_idx; create index bookings_unpaid_idx on public.bookings (id)", "changed: bookings_unpaid_idx of bookings"),
    "views": ("alter view public.creator_directory set (security_invoker = false)", "changed: creator_directory"),
    "sequences": ("alter sequence public.invoice_number_seq increment 2", "changed: invoice_number_seq"),
    "RLS flags": ("alter table public.payments no force row level security", "changed: payments"),
    "policies": ('alter policy "Reviewers write reviews" on public.reviews with check (true); alter policy "Users mark own notifications" on public.notifications to service_role', "changed: Reviewers write reviews of reviews, Users mark own notifications of notifications"),
    "triggers": ("alter table public.profiles disable trigger update_profiles_updated_at; alter table public.profiles enable trigger legacy_touch", "changed: legacy_touch of profiles, update_profiles_updated_at of profiles"),
    "publications": ("alter publication supabase_realtime set (publish = 'insert'); alter publication supabase_realtime set table public.messages, public.conversations, public.notifications (id, user_id, kind, title, is_read, created_at)", "changed: messages of supabase_realtime, supabase_realtime"),
    "table grants": ("grant update on public.bookings to authenticated with grant option", "changed: bookings to authenticated"),
    "column grants": ("grant insert (bio) on public.profiles to authenticated", "changed: profiles.bio to authenticated"),
    "sequence grants": ("revoke select on sequence public.invoice_number_seq from authenticated", "changed: invoice_number_seq to authenticated"),
    "schema grants": ("grant create on schema public to anon", "changed: public to anon"),
    "default privileges": ("alter default privileges for role postgres in schema public grant select on tables to anon", "changed: tables of postgres in schema public"),
    "comments": ("comment on table public.profiles is 'other'", "changed: profiles"),
}  # fmt: skip
MISSING = {
    "extensions": ("drop extension pgcrypto", "missing: pgcrypto"),
    "functions": ("drop function public.booked_cents(uuid, public.booking_status)", "missing: booked_cents(_campaign uuid, _status public.booking_status)"),
    "constraints": ("alter table public.conversations drop constraint conversations_last_message_id_fkey", "missing: conversations_last_message_id_fkey of conversations"),
    "indexes": ("drop index public.bookings_unpaid_idx", "missing: bookings_unpaid_idx of bookings"),
    "policies": ('drop policy "Admins see all files" on storage.objects', "missing: Admins see all files of storage.objects"),
    "triggers": ("drop trigger on_auth_user_created on auth.users", "missing: on_auth_user_created of auth.users"),
    "publications": ("alter publication supabase_realtime drop table public.notifications", "missing: notifications of supabase_realtime"),
    "table grants": ("revoke all on public.disputes from service_role", "missing: disputes to service_role"),
    "column grants": ("revoke update (bio) on public.profiles from authenticated", "missing: profiles.bio to authenticated"),
    "sequence grants": ("revoke all on sequence public.invoice_number_seq from authenticated", "missing: invoice_number_seq to authenticated"),
    "function grants": ("revoke execute on function public.handle_new_user() from service_role", "handle_new_user() to service_role"),
    "default privileges": ("alter default privileges for role postgres in schema public revoke all on sequences from authenticated, service_role", "missing: sequences of postgres in schema public"),
    "comments": ("comment on table public.profiles is null", "missing: profiles"),
}  # fmt: skip
EXTRA = {
    "enums": ("create type public.mood as enum ('good')", "extra: mood"),
    "types": ("create domain public.tiny as smallint", "extra: tiny"),
    "functions": ("create function public.more(int) returns int language sql as 'select 1'; revoke all on function public.more(int) from public", "extra: more(integer)"),
    "tables": ("create table public.intruder (i int)", "extra: intruder"),
    "columns": ("alter table public.profiles add column note text", "extra: i of intruder, note of profiles"),
    "constraints": ("alter table public.reviews add constraint fine check (true)", "extra: fine of reviews"),
    "indexes": ("create index more on public.reviews (id)", "extra: more of reviews"),
    "views": ("create view public.seen as select 1", "extra: seen"),
    "sequences": ("create sequence public.more_seq", "extra: more_seq"),
    "RLS flags": ("", "extra: intruder"),
    "policies": ("create policy more on public.disputes as restrictive for delete using (true)", "extra: more of disputes"),
    "triggers": ("create trigger more before insert on public.reviews for each row execute function public.update_updated_at_column()", "extra: more of reviews"),
    "publications": ("alter publication supabase_realtime add table public.reviews", "extra: reviews of supabase_realtime"),
    "table grants": ("grant select on public.reviews to public", "extra: reviews to public"),
    "column grants": ("grant select (email) on public.profiles to anon", "extra: profiles.email to anon"),
    "sequence grants": ("grant usage on sequence public.invoice_number_seq to anon", "extra: invoice_number_seq to anon"),
    "function grants": ("grant execute on function public.handle_new_user() to public", "extra: handle_new_user() to public"),
    "comments": ("comment on column public.reviews.id is 'new'", "extra: reviews.id"),
}  # fmt: skip
KIND_DAMAGE = {"changed": CHANGED, "missing": MISSING, "extra": EXTRA}


@pytest.mark.parametrize("how", list(KIND_DAMAGE))
def test_every_kind_of_object_is_compared_and_what_differs_is_named(backed: Backed, how: str):
    damage = KIND_DAMAGE[how]
    with backed.copy("; ".join(statement for statement, _ in damage.values() if statement)) as done:
        report = done.report()
        rows_only = replace(done, plan=backed.plans["replace", False].plan).report()
    found = {
        each.subject: each.detail for each in report.checks if each.outcome == "failed" and " of " not in each.subject
    }
    assert set(found) == set(damage)
    for kind, (_, said) in damage.items():
        assert said in found[kind], kind
        assert how in said or how in found[kind]
    excused = {each.subject: each.detail for each in rows_only.checks if each.detail.startswith(NOT_RESTORED)}
    assert set(excused) >= set(damage)


DATA_DAMAGE = [
    ("update public.campaigns set updated_at = updated_at + interval '1 microsecond' where id = (select min(id::text)::uuid from public.campaigns)", ["content of campaigns"]),
    ("alter table public.disputes disable trigger all; delete from public.disputes where case_number = (select max(case_number) from public.disputes)", ["rows of disputes", "content of disputes"]),
    ("delete from public.reviews where id = (select id from public.reviews where is_public limit 1)", ["rows of reviews", "content of reviews"]),
    ("delete from auth.identities where id = (select id from auth.identities limit 1)", ["rows of auth.identities", "content of auth.identities", "sign-in"]),
    ("update auth.users set encrypted_password = 'x' where id = (select id from auth.users limit 1)", ["content of auth.users"]),
]  # fmt: skip


@pytest.mark.parametrize("damage, expected", DATA_DAMAGE, ids=[each[0][:60] for each in DATA_DAMAGE])
@pytest.mark.parametrize("mode", ["replace", "upsert"])
def test_damage_to_rows_is_found_in_both_modes(backed: Backed, mode: RestoreMode, damage: str, expected: list[str]):
    report = backed.report(f"set session_replication_role = replica; {damage}", mode, restore_schema=False)
    assert [each for each in subjects(report) if not each.startswith("RLS of")] == expected
    with pytest.raises(ComparisonFailed, match=expected[0]):
        require_equal(report)


def test_rows_that_only_the_target_has_are_damage_in_replace(backed: Backed):
    report = backed.report("insert into public.platform_settings (key, value) values ('new', 'null')")
    assert subjects(report)[:2] == ["rows of platform_settings", "content of platform_settings"]


def test_rows_that_only_the_target_has_stay_in_upsert(backed: Backed):
    damage = "delete from auth.identities where user_id = (select max(id::text)::uuid from auth.users); insert into auth.users (id) values (gen_random_uuid())"
    report = backed.report(f"set session_replication_role = replica; {damage}", "upsert", restore_schema=False)
    assert "content of auth.users" not in subjects(report)
    assert check(report, "rows of auth.users", "passed").detail == "120 rows, beside 1 that only the target has"


def test_an_extra_identity_in_upsert_lets_more_sign_in(backed: Backed):
    damage = "insert into auth.identities (provider_id, user_id, identity_data, provider) select id, id, '{}', 'github' from auth.users"
    report = backed.report(damage, "upsert", restore_schema=False)
    assert subjects(report) == []


def test_row_level_security_is_not_compared_over_rows_of_the_target_alone(backed: Backed):
    damage = "insert into public.platform_settings (key, value) values ('new', 'null')"
    report = backed.report(f"set session_replication_role = replica; {damage}", "upsert", restore_schema=False)
    assert subjects(report) == []
    reasons = [each.detail for each in report.checks if each.outcome == "skipped" and each.subject == "RLS as anon"]
    assert reasons == [
        "the target has rows beside the backup's: platform_settings",
        "not part of this restore: backup_history",
    ]


@pytest.mark.parametrize("restore_schema", [True, False])
@pytest.mark.parametrize(
    "damage, detail",
    [
        ("select setval('public.invoice_number_seq', 5)", "invoice_number_seq (gives 12 next, the backup's had given 1063)"),
        ("select setval('public.invoice_number_seq', 1063, false)", "invoice_number_seq (gives 1063 next, the backup's had given 1063)"),
        ("alter sequence public.payments_receipt_number_seq restart", "payments_receipt_number_seq (gives"),
    ],
)  # fmt: skip
def test_a_sequence_that_would_give_values_again_is_found(
    backed: Backed, damage: str, detail: str, restore_schema: bool
):
    report = backed.report(damage, restore_schema=restore_schema)
    assert subjects(report) == ["sequence positions"]
    assert check(report, "sequence positions").detail.startswith(detail)


def test_a_sequence_ahead_is_no_damage(backed: Backed):
    assert subjects(backed.report("select setval('public.invoice_number_seq', 5000)")) == []


def test_a_table_that_is_gone_is_damage_and_the_rest_is_still_compared(backed: Backed):
    report = backed.report("drop table public.messages cascade")
    assert {"content of messages", "tables", "columns", "policies", "publications"} <= set(subjects(report))
    assert "content of reviews" in subjects(report, "passed")
    assert "RLS of messages as service_role" in subjects(report)


def test_what_supabase_has_more_is_its_own_affair(backed: Backed):
    report = backed.report(
        """create policy "Supabase's own" on storage.objects for select using (true);
        create publication supabase_realtime_messages;
        grant select on public.profiles to supabase_auth_admin;
        alter default privileges for role supabase_admin in schema public grant all on tables to anon"""
    )
    assert subjects(report) == []
    managed = [each.subject for each in report.checks if each.detail.startswith(MANAGED)]
    assert managed == ["policies", "publications", "table grants", "default privileges"]


def test_another_owner_is_said_but_no_failure(backed: Backed):
    report = backed.report(
        "alter table public.reviews owner to supabase_admin; alter function public.has_role owner to supabase_admin"
    )
    assert [each for each in subjects(report) if not each.startswith("RLS of")] == []
    assert check(report, "owners", "skipped").detail.startswith(f"{OTHER_OWNER}: changed: has_role(")


def test_what_the_rebuild_left_out_is_skipped_with_its_reason(backed: Backed):
    left_out = [
        "CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION …: must be owner of relation users",
        "extension pgcrypto: not available on this server",
        "GRANT SELECT ON TABLE public.reviews TO anon: permission denied",
    ]
    damage = 'drop trigger on_auth_user_created on auth.users; drop extension pgcrypto; drop policy "Users view own notifications" on public.notifications'
    with backed.copy(damage) as done:
        report = done.report(left_out)
    assert [each for each in subjects(report) if not each.startswith("RLS of")] == ["policies"]
    assert check(report, "triggers", "skipped").detail.startswith(
        "left out by the rebuild (CREATE TRIGGER on_auth_user"
    )
    assert check(report, "extensions", "skipped").detail.endswith("missing: pgcrypto")


def test_a_role_that_cannot_ask_as_others_skips_the_probes(backed: Backed, postgres_server: PostgresServer):
    name = f"reader_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"create role {name} login password 'secret' bypassrls".encode())
        connection.execute(f"grant pg_read_all_data to {name}".encode())
    try:
        with backed.copy(restore_schema=False) as done:
            parameters = {
                **source_parameters(postgres_server, done.target.info.dbname),
                "user": name,
                "password": "secret",
            }
            with connect(parameters, name="test", application="test") as target:
                report = replace(done, target=target).report()
    finally:
        postgres_server_execute(postgres_server, f"drop role {name}")
    assert subjects(report) == []
    assert (
        check(report, "RLS as anon", "skipped").detail
        == "the target could not be asked as this role: not a member of the role"
    )


def postgres_server_execute(server: PostgresServer, statement: str) -> None:
    with psycopg.connect(server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL(statement))  # type: ignore[arg-type]


def test_the_comparison_writes_nothing_and_leaves_the_session_as_it_was(backed: Backed):
    with backed.copy() as done:
        before = _state(done.target)
        done.report()
        assert _state(done.target) == before
        assert done.target.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def _state(connection: Connection) -> object:
    query = "select current_user, current_setting('row_security'), current_setting('search_path'), (select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables), pg_current_xact_id_if_assigned()"
    return connection.execute(query).fetchone()


def test_one_table_restored_alone(backed: Backed):
    with backed.copy("delete from public.reviews; drop table public.disputes", restore_schema=False) as done:
        tables = [table for table in done.plan.tables if table.name == "campaigns"]
        plan = done.plan.model_copy(update={"tables": tables})
        report = replace(done, plan=plan).report()
    assert subjects(report) == []
    assert (
        check(report, "sign-in", "skipped").detail
        == "auth.users and auth.identities were not both part of this restore"
    )
    assert [each for each in subjects(report, "passed") if "campaigns" in each] == [
        "rows of campaigns",
        "content of campaigns",
        *(f"RLS of campaigns as {role}" for role in ("anon", "authenticated", "service_role")),
    ]


def test_the_report_is_kept_beside_the_backup(backed: Backed):
    report = backed.report("drop index public.bookings_unpaid_idx")
    key = write_report(backed.rig.store, "backups/", report)
    name = backed.outcome.run.key.removeprefix("backups/")
    assert key == f"backups/restores/2025-12-07T18-33-07-123Z-of-{name.removesuffix('.json')}.json"
    stored = backed.rig.store.head(key)
    assert stored is not None
    kept = json.loads(backed.rig.store.read(key, 0, stored.size))
    assert RestoreReport.model_validate(kept) == report
    assert [each["subject"] for each in kept["checks"] if each["outcome"] == "failed"] == ["indexes"]
    run = report.run.model_copy(update={"key": "backups/../../elsewhere.json"})
    with pytest.raises(StoreRefused, match="no backup key below backups/"):
        write_report(backed.rig.store, "backups/", report.model_copy(update={"run": run}))


SHAPES = """
create table public."100%" ("%s" int, "%(x)s" text collate "C", "it's" json, primary key ("%s", "%(x)s"));
insert into public."100%" select i, 'k' || i, '{"a": 1}' from generate_series(1, 9) as i;
create table public.keyless as select i % 3 as i from generate_series(1, 9) as i;
create table public.parent (i int primary key);
create table public.child (j int) inherits (public.parent);
insert into public.parent values (1); insert into public.child values (2, 2);
create table public.parted (i int primary key) partition by range (i);
create table public.parted_1 partition of public.parted for values from (0) to (10);
insert into public.parted values (1), (2);
create table public.bare ();
insert into public.bare default values;
create table public.altered (i int primary key, n int, gone text, double int generated always as (n * 2) stored);
insert into public.altered values (1, 5, 'x'), (2, null, 'y')
"""
ALTERED = "alter table public.altered drop column gone, add column fresh text default 'f', drop column double, alter n type bigint"


@pytest.fixture
def shapes(bare_rig: Rig) -> tuple[Rig, Outcome]:
    with bare_rig.connect() as connection:
        connection.execute(SHAPES)
    return bare_rig, bare_rig.backup()


@pytest.mark.parametrize("mode", ["replace", "upsert"])
def test_tables_of_every_shape(shapes: tuple[Rig, Outcome], mode: RestoreMode):
    rig, outcome = shapes
    names = ["100%", "altered", "bare", "child", "keyless", "parent", "parted"]
    with rig.connect() as target:
        target.execute(ALTERED)
        done = restored(rig, outcome, target, mode=mode)
        report = done.report()
        assert subjects(report) == []
        assert [name for name in names if f"content of {name}" in subjects(report, "passed")] == names
        gone = "columns that the target does not have: gone, double"
        assert check(report, "content of altered", "skipped").detail == gone
        target.execute('update public."100%" set "it\'s" = \'{"a":1}\' where "%s" = 3')
        target.execute("delete from public.keyless where ctid = '(0,1)'; insert into public.child values (3, 3)")
        target.execute("update public.altered set n = 6 where i = 1; insert into public.parted values (3)")
        report = done.report()
    found = {"content of 100%", "rows of keyless", "content of keyless", "content of altered"}
    more = {f"{what} of {name}" for what in ("rows", "content") for name in ("child", "parted")}
    keyed = {"rows of child", "content of child"}  # without a key the whole table counts in both modes
    assert {each for each in subjects(report) if not each.startswith("RLS")} == found | (
        more if mode == "replace" else keyed
    )


def test_an_older_backup_has_no_probes(shapes: tuple[Rig, Outcome], monkeypatch: pytest.MonkeyPatch):
    from include.disaster_recovery.steps.restore import comparing

    rig, outcome = shapes
    read = comparing.read_section
    monkeypatch.setattr(
        comparing, "read_section", lambda *of: {k: v for k, v in read(*of).items() if k != "rls_probes"}
    )
    with rig.connect() as target:
        report = restored(rig, outcome, target, tables=["parent"]).report()
    assert subjects(report) == []
    assert check(report, "RLS", "skipped").detail == "the backup holds no probes: it was made by an older version"


def test_a_name_cannot_write_a_line_of_the_log(bare_rig: Rig, caplog):
    name = "t\nfailed: everything"
    with bare_rig.connect() as target:
        target.execute(sql.SQL("create table public.{} (i int primary key)").format(sql.Identifier(name)))
        outcome = bare_rig.backup()
        done = restored(bare_rig, outcome, target)
        target.execute(sql.SQL("insert into public.{} values (1)").format(sql.Identifier(name)))
        report = done.report()
    assert f"rows of {name}" in subjects(report)
    said = [record.getMessage() for record in caplog.records if record.name.endswith(".comparing")]
    assert said
    assert all("\n" not in message for message in said)
