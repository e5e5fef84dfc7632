"""Preflight of the database: every failure names its cause and the next action, and nothing is written by it.

A server older than Postgres 14 is not tested: no such server can be installed here, and a faked one would prove nothing.
"""

from __future__ import annotations

import os
import secrets

import psycopg
import pytest

from include.demo.stack.ports import lease_port
from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.errors import DatabaseUnavailable, TableLocked
from tests.support.postgres_wire import Forwarder, TransactionPooler
from tests.support.refused_preflight import failure
from tests.support.rig import Rig

# --- the connection


def test_wrong_password_names_the_connection(rig: Rig):
    error = failure(rig, password="wrong-secret")
    assert error.fact.count("password authentication failed") == 1
    assert "mend login and password of the Airflow connection collabhunts_db" in error.hint
    assert "wrong-secret" not in str(error)


def test_unknown_database_names_the_connection(rig: Rig):
    error = failure(rig, dbname="no_such_database")
    assert '"no_such_database" does not exist' in error.fact
    assert "database name (schema) of the Airflow connection collabhunts_db" in error.hint


def test_unreachable_port_may_be_tried_again(rig: Rig):
    lease = lease_port()
    try:
        error = failure(rig, DatabaseUnavailable, port=str(lease.port))
    finally:
        lease.release()
    assert f"127.0.0.1:{lease.port}" in error.fact
    assert "check host and port of the Airflow connection collabhunts_db" in error.hint


def test_unknown_host_is_named(rig: Rig):
    error = failure(rig, DatabaseUnavailable, host="no-such-host.invalid")
    assert "no-such-host.invalid" in error.fact
    assert "check host and port" in error.hint


def test_port_of_the_transaction_pooler_is_refused(rig: Rig):
    with Forwarder(rig.parameters, port=6543) as pooler:
        error = failure(rig, **pooler.address)
    assert "port 6543 is Supabase's transaction pooler" in error.fact
    assert "port 5432" in error.hint


def test_forwarded_port_is_no_pooler(rig: Rig):
    with Forwarder(rig.parameters) as forwarder:
        assert rig.preflight(**forwarder.address) == []


def test_transaction_pooler_on_another_port_is_found_out(bare_rig: Rig):
    with TransactionPooler(bare_rig.parameters) as pooler:
        error = failure(bare_rig, **pooler.address, sslmode="disable")
    assert "a session setting was lost between two transactions: this is a transaction pooler" in error.fact
    assert "port 5432" in error.hint


def test_database_without_known_encoding_is_refused(bare_rig: Rig, postgres_server: PostgresServer):
    name = f"ascii_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"create database {name} template template0 encoding 'SQL_ASCII' locale 'C'")
    try:
        error = failure(bare_rig, dbname=name)
    finally:
        postgres_server.drop_database(name)
    assert "SQL_ASCII" in error.fact
    assert "UTF8" in error.hint


def test_environment_of_the_worker_does_not_redirect_the_connection(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGOPTIONS", "-c row_security=on -c TimeZone=Asia/Tokyo")
    assert os.environ["PGOPTIONS"]
    with rig.connect() as connection:
        found = connection.execute("select current_setting('row_security'), current_setting('TimeZone')").fetchone()
    assert found == ("off", "UTC")


# --- what the role may read


def test_table_that_row_level_security_hides_from_the_role_is_named(bare_rig: Rig, reader_role: dict[str, str]):
    with bare_rig.connect() as connection:
        connection.execute("create table public.hidden (id int); alter table public.hidden enable row level security")
        connection.execute("create table public.open (id int)")
        connection.execute(f"grant select on public.hidden, public.open to {reader_role['user']}")
    error = failure(bare_rig, **reader_role)
    assert "table hidden cannot be read" in error.fact
    assert "row-level security" in error.fact
    assert "BYPASSRLS" in error.hint
    assert "open" not in error.fact


def test_owner_under_forced_row_level_security_is_refused(bare_rig: Rig, reader_role: dict[str, str]):
    with bare_rig.connect() as connection:
        connection.execute("create table public.forced (id int); alter table public.forced enable row level security")
        connection.execute(f"alter table public.forced force row level security, owner to {reader_role['user']}")
    assert "table forced cannot be read" in failure(bare_rig, **reader_role).fact


def test_table_without_select_is_named(bare_rig: Rig, reader_role: dict[str, str]):
    with bare_rig.connect() as connection:
        connection.execute("create table public.private (id int)")
    error = failure(bare_rig, **reader_role)
    assert "table private cannot be read: permission denied" in error.fact
    assert "grant the backup role SELECT" in error.hint


def test_table_of_which_only_some_columns_may_be_read_is_named(bare_rig: Rig, reader_role: dict[str, str]):
    with bare_rig.connect() as connection:
        connection.execute("create table public.partly (shown int, hidden int)")
        connection.execute(f"grant select (shown) on public.partly to {reader_role['user']}")
    assert "table partly cannot be read: permission denied" in failure(bare_rig, **reader_role).fact


def test_table_in_a_schema_the_role_may_not_use_is_named(bare_rig: Rig, reader_role: dict[str, str]):
    with bare_rig.connect() as connection:
        connection.execute("create schema closed; create table closed.t (id int)")
        connection.execute(f"grant select on closed.t to {reader_role['user']}")
    rig = bare_rig.with_settings(tables={"schemas": ["closed"]})
    assert "table closed.t cannot be read: permission denied for schema closed" in failure(rig, **reader_role).fact


def test_every_table_the_settings_name_in_vain_is_listed(bare_rig: Rig):
    with bare_rig.connect() as connection:
        connection.execute("create table public.here (id int); create view public.seen as select 1 as one")
    rig = bare_rig.with_settings(tables={"include": ["here", "gone", "seen", "public.also_gone"], "exclude": []})
    error = failure(rig)
    for text in ("gone (no such table)", "seen (a view)", "public.also_gone (no such table)"):
        assert text in error.fact
    assert "tables.include" in error.hint


def test_table_another_session_has_locked_may_be_tried_again(bare_rig: Rig):
    with bare_rig.connect() as connection:
        connection.execute("create table public.locked (id int)")
    with bare_rig.connect() as other, other.transaction():
        other.execute("lock table public.locked in access exclusive mode")
        error = failure(bare_rig.with_settings(extract={"lock_timeout_seconds": 1}), TableLocked)
    assert "table locked cannot be read: canceling statement due to lock timeout" in error.fact
