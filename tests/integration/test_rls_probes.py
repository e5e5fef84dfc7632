"""What row-level security answers is asked within the backup's own snapshot, and leaves nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.errors import DatabaseUnavailable
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.probes import (
    AT_BACKUP,
    Patience,
    choose_bounds,
    choose_claims,
    probe,
    probe_rls,
)
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.rls_proof import Claims, RlsProbes
from include.disaster_recovery.table_selection import table_name
from tests.support.rig import Rig

NOBODY = Claims(sub=None, role="authenticated")
SETTINGS = ("role", "row_security", "search_path", "statement_timeout")
CLAIMS = ("request.jwt.claims", "request.jwt.claim.sub", "request.jwt.claim.role")


@contextmanager
def reading(rig: Rig, **parameters: str) -> Iterator[Connection]:
    with rig.connect(**parameters) as connection:
        connection.execute("begin isolation level repeatable read read only")
        yield connection
        connection.execute("rollback")


@pytest.fixture
def superuser(rig: Rig, postgres_server: PostgresServer) -> Iterator[Connection]:
    with rig.connect(user=postgres_server.superuser, password=postgres_server.password) as connection:
        yield connection


def one(connection: Connection, query: str) -> object:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def asked(
    rig: Rig, *tables: TableName, patience: Patience = AT_BACKUP, role: str = "authenticated"
) -> dict[str, object]:
    with reading(rig) as connection:
        return dict(probe(connection, tables, NOBODY, patience, bounds={}, roles=[role]).roles[role].tables)


def readable(superuser: Connection, name: str, policy: str) -> TableName:
    """A table of five rows that everybody may select from, as far as the policy goes."""
    quoted = '"' + name.replace('"', '""') + '"'
    superuser.execute(f"create table public.{quoted} as select i from generate_series(1, 5) as i".encode())
    superuser.execute(f"alter table public.{quoted} enable row level security".encode())
    superuser.execute(f"create policy p on public.{quoted} for select using ({policy})".encode())
    superuser.execute(f"grant select on public.{quoted} to anon, authenticated, service_role, postgres".encode())
    return table_name("public", name)


def test_the_document_holds_what_each_role_sees(rig: Rig, superuser: Connection):
    outcome = rig.backup()
    section = outcome.backup["schema"]["rls_probes"]
    probes = RlsProbes.model_validate(section)
    assert section["claims"]["role"] == "authenticated"
    assert list(section["roles"]) == ["anon", "authenticated", "service_role"]
    covered = [each.name_in_document for each in outcome.snapshot.tables if each.schema_name != "auth"]
    superuser.execute("select set_config('request.jwt.claim.sub', %s, false)", [probes.claims.sub])
    superuser.execute("set row_security = on")
    for role, answers in probes.roles.items():
        assert answers.status == "probed"
        assert list(answers.tables) == covered
        for name, answer in answers.tables.items():
            superuser.execute(f"set role {role}".encode())
            try:
                seen = one(superuser, f"select least(count(*), 1001) from public.{name}")
            except psycopg.errors.InsufficientPrivilege:
                seen = "denied"
            assert (role, name, answer) == (role, name, seen)
    assert probes.roles["anon"].tables["profiles"] == 120
    assert probes.roles["anon"].tables["messages"] == "denied"
    assert 0 < int(probes.roles["authenticated"].tables["messages"]) < 1001
    assert probes.roles["service_role"].tables["messages"] == 1001


def test_the_test_account_is_the_first_that_can_sign_in(rig: Rig, superuser: Connection):
    first, second = (
        str(row[0]) for row in superuser.execute("select id from auth.users order by id limit 2").fetchall()
    )
    with reading(rig) as connection:
        assert choose_claims(connection) == Claims(sub=first, role="authenticated")
    superuser.execute("delete from auth.identities where user_id = %s", [first])
    with reading(rig) as connection:
        assert choose_claims(connection).sub == second
    superuser.execute("delete from auth.identities")
    with reading(rig) as connection:
        assert choose_claims(connection).sub == first
    superuser.execute("drop table auth.identities")
    with reading(rig) as connection:
        assert choose_claims(connection).sub == first
    superuser.execute("truncate auth.users cascade")
    with reading(rig) as connection:
        assert choose_claims(connection) == NOBODY


def test_a_database_without_accounts_and_roles_is_no_error(tables: Rig):
    with reading(tables) as connection:
        found = probe(
            connection,
            [table_name("public", "first")],
            choose_claims(connection),
            AT_BACKUP,
            bounds={},
            roles=["no_such"],
        )
        assert one(connection, "select count(*) from public.first") == 50
    assert found.claims == NOBODY
    assert (found.roles["no_such"].status, found.roles["no_such"].tables) == ("no such role", {})


def test_a_role_that_may_not_be_taken_on_is_said(tables: Rig, rig: Rig, reader_role: dict[str, str]):
    with reading(tables, **reader_role) as connection:
        found = probe_rls(connection, [table_name("public", "first")])
        assert one(connection, "select 1") == 1
    assert {each.status for each in found.roles.values()} == {"not a member of the role"}


@pytest.mark.parametrize(
    "policy, answer",
    [
        ("true", 5),
        ("i > 3", 2),
        ("1 / (i - i) = 1", "error:22012"),
        ("i in (select 1 from auth.identities)", "denied"),
        ("pg_catalog.pg_sleep(5) is not null", "timeout"),
        ("current_setting('request.jwt.claims')::json ->> 'role' = current_user", 5),
        ("current_setting('row_security') = 'on'", 5),
    ],
)
def test_the_answer_is_a_number_or_a_reason(rig: Rig, superuser: Connection, policy: str, answer: object):
    patience = Patience(table_seconds=0.3, role_seconds=5)
    table = readable(superuser, "asked", policy)
    assert asked(rig, table, table_name("public", "profiles"), patience=patience) == {"asked": answer, "profiles": 120}


def test_a_policy_that_writes_cannot(rig: Rig, superuser: Connection):
    superuser.execute("create table public.noted (i int); grant all on public.noted to authenticated")
    superuser.execute(
        "create function public.note() returns boolean language sql as 'insert into public.noted values (1) returning true'"
    )
    assert asked(rig, readable(superuser, "asked", "public.note()")) == {"asked": "error:25006"}
    assert one(superuser, "select count(*) from public.noted") == 0


def test_names_are_quoted_and_never_read_as_placeholders(rig: Rig, superuser: Connection):
    names = ["100%", "%s", "%(timeout)s", 'quo"ted', "a.b", "Ünï {x}", "select"]
    assert asked(rig, *(readable(superuser, name, "true") for name in names)) == dict.fromkeys(names, 5)


def test_rows_are_counted_up_to_a_thousand_and_one(rig: Rig, superuser: Connection):
    table = readable(superuser, "many", "true")
    superuser.execute("insert into public.many select generate_series(6, 1000)")
    assert asked(rig, table) == {"many": 1000}
    superuser.execute("insert into public.many select generate_series(1001, 3000)")
    assert asked(rig, table) == {"many": 1001}


def test_of_a_large_table_the_first_rows_by_its_key_are_asked(rig: Rig, superuser: Connection):
    table = readable(superuser, "many", "i % 10 = 0")
    superuser.execute("insert into public.many select generate_series(6, 8000)")
    superuser.execute("alter table public.many add primary key (i)")
    with reading(rig) as connection:
        found = probe_rls(connection, [table, table_name("public", "profiles")])
    assert {name: bound.to_json() for name, bound in found.bounds.items()} == {"many": {"column": "i", "value": "5000"}}
    assert found.roles["authenticated"].tables["many"] == 500


def test_a_policy_is_not_asked_for_rows_beyond_the_bound(rig: Rig, superuser: Connection):
    table = readable(superuser, "many", "1 / (i - 7000) < 1")
    superuser.execute("insert into public.many select generate_series(6, 8000)")
    assert asked(rig, table) == {"many": 1001}
    superuser.execute("delete from public.many where i < 6999; update public.many set i = i where i > 7000")
    assert asked(rig, table) == {"many": "error:22012"}
    superuser.execute("insert into public.many select generate_series(1, 6000)")
    superuser.execute("alter table public.many add primary key (i)")
    with reading(rig) as connection:
        bounds = choose_bounds(connection, [table])
        found = probe(connection, [table], NOBODY, AT_BACKUP, bounds=bounds, roles=["anon"])
    assert found.roles["anon"].tables == {"many": 1001}


@pytest.mark.parametrize(
    "key, column",
    [("uuid", "id"), ("bigint", "id"), ("timestamptz", "id"), ("text", None), ("numeric", None)],
)
def test_only_a_key_that_orders_alike_everywhere_bounds_the_rows(
    rig: Rig, superuser: Connection, key: str, column: str | None
):
    table = readable(superuser, "keyed", "true")
    values = {
        "uuid": "md5(n::text)::uuid",
        "timestamptz": "now() + n * interval '1 s'",
        "text": "n::text",
    }.get(key, "n")
    superuser.execute(f"alter table public.keyed add id {key}; delete from public.keyed".encode())
    superuser.execute(f"insert into public.keyed select 1, {values} from generate_series(1, 5001) as n".encode())
    superuser.execute("alter table public.keyed add primary key (id, i)")
    with reading(rig) as connection:
        bounds = choose_bounds(connection, [table])
        found = probe(connection, [table], NOBODY, AT_BACKUP, bounds=bounds, roles=["anon"])
    assert [bound.column for bound in bounds.values()] == ([column] if column else [])
    assert found.roles["anon"].tables == {"keyed": 1001}


def test_nothing_is_left_behind(rig: Rig, superuser: Connection):
    table = readable(superuser, "asked", "set_config('search_path', 'evil', false) is not null")
    broken = readable(superuser, "broken", "1 / (i - i) = 1")
    with reading(rig) as connection:
        before = [one(connection, f"select current_setting('{name}')") for name in SETTINGS]
        found = probe_rls(connection, [table, broken])
        assert found.roles["anon"].tables == {"asked": 5, "broken": "error:22012"}
        assert [one(connection, f"select current_setting('{name}')") for name in SETTINGS] == before
        assert {one(connection, f"select current_setting('{name}', true)") for name in CLAIMS} <= {None, ""}
        assert one(connection, "select current_user::text") == "postgres"
        assert one(connection, "select count(*) from public.asked") == 5
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("create table public.nothing ()")


def test_the_probes_see_the_snapshot(rig: Rig, superuser: Connection):
    table = readable(superuser, "asked", "true")
    with reading(rig) as connection:
        assert one(connection, "select 1") == 1
        superuser.execute("delete from public.asked")
        assert probe_rls(connection, [table]).roles["service_role"].tables == {"asked": 5}


def test_one_role_takes_no_longer_than_it_may(rig: Rig, superuser: Connection):
    tables = [readable(superuser, f"slow_{n}", "pg_catalog.pg_sleep(9) is not null") for n in range(9)]
    started = time.monotonic()
    with reading(rig) as connection:
        patience = Patience(table_seconds=0.2, role_seconds=0.5)
        found = probe(connection, tables, NOBODY, patience, bounds={}, roles=["anon"]).roles["anon"]
    assert found.status == "stopped after 0.5 s"
    assert list(found.tables.values()) == ["timeout"] * 3
    assert time.monotonic() - started < 3


def test_a_table_behind_a_lock_does_not_hold_up_the_backup(rig: Rig, superuser: Connection):
    table = readable(superuser, "asked", "true")
    superuser.execute("begin; lock table public.asked")
    assert asked(rig, table, patience=Patience(table_seconds=0.2, role_seconds=5)) == {"asked": "timeout"}
    superuser.execute("rollback")


def test_a_lost_connection_is_an_error_of_its_own(rig: Rig, superuser: Connection):
    table = readable(superuser, "asked", "pg_catalog.pg_sleep(20) is not null")
    with rig.connect() as connection:
        connection.execute("begin isolation level repeatable read read only")
        pid = connection.info.backend_pid
        threading.Timer(0.5, lambda: superuser.execute("select pg_terminate_backend(%s)", [pid])).start()
        with pytest.raises(DatabaseUnavailable, match="probe of row-level security as anon"):
            probe(connection, [table], NOBODY, Patience(table_seconds=30, role_seconds=30), bounds={})
