"""Preflight: every failure names its cause and the next action, all at once, and nothing is written by it.

A server older than Postgres 14 is not tested: no such server can be installed here, and a faked one would prove nothing.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from botocore.config import Config

from include.demo.stack.ports import lease_port
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import (
    DatabaseUnavailable,
    DisasterRecoveryError,
    PreflightFailed,
    StoreUnavailable,
    TableLocked,
)
from include.disaster_recovery.postgres.pg_dump import find_pg_dump
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.steps.backup.preflight import preflight
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.postgres_wire import Forwarder, TransactionPooler
from tests.support.rig import Rig

ROOT = Path(__file__).parents[2]
ONE_TRY = Config(retries={"total_max_attempts": 1})


def failure(rig: Rig, kind: type[DisasterRecoveryError] = PreflightFailed, **parameters: str) -> DisasterRecoveryError:
    """What preflight refuses with; the bucket must hold nothing afterwards, the database no new history."""
    history = history_rows(rig)
    with pytest.raises(kind) as caught:
        rig.preflight(**parameters)
    assert rig.store.keys("") == []
    assert rig.store.uploads("") == []
    assert history_rows(rig) == history
    assert caught.value.hint
    return caught.value


def history_rows(rig: Rig) -> list[tuple[object, ...]] | None:
    with rig.connect() as connection:
        if connection.execute("select to_regclass('public.backup_history')").fetchone() == (None,):
            return None
        return connection.execute("select id, status from public.backup_history order by id").fetchall()


@pytest.fixture
def reader_role(bare_rig: Rig, postgres_server: PostgresServer) -> Iterator[dict[str, str]]:
    """A login role without any right; the parameters to connect as it."""
    name = f"reader_{secrets.token_hex(4)}"
    with bare_rig.connect() as connection:
        connection.execute(f"create role {name} login password 'reader-secret'")
    yield {"user": name, "password": "reader-secret"}
    with bare_rig.connect() as connection:
        connection.execute(f"drop owned by {name}")
        connection.execute(f"drop role {name}")


# --- what passes


def test_preflight_of_collabhunts_passes_and_leaves_nothing(rig: Rig):
    before = history_rows(rig)
    assert rig.preflight() == []
    assert rig.store.keys("") == []
    assert rig.store.uploads("") == []
    assert history_rows(rig) == before


def test_tables_that_no_backup_covers_are_returned(rig: Rig):
    with rig.connect() as connection:
        connection.execute('create table public."left behind" (id int)')
    assert rig.preflight() == ["left behind"]


def test_missing_backup_history_is_created_by_the_backup_not_refused_by_preflight(rig: Rig):
    with rig.connect() as connection:
        connection.execute("drop table public.backup_history")
    rig.preflight()
    assert history_rows(rig) is None
    assert rig.backup().verdict.valid
    assert len(history_rows(rig) or []) == 1


# --- database


def test_wrong_password_names_the_connection(rig: Rig):
    error = failure(rig, password="wrong-secret")
    assert "password authentication failed" in error.fact
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


# --- pg_dump


def script(folder: Path, text: str) -> str:
    path = folder / f"pg_dump_{secrets.token_hex(4)}"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_newest_pg_dump_is_taken_even_if_the_settings_name_an_old_one(tmp_path: Path):
    old = script(tmp_path, "echo 'pg_dump (PostgreSQL) 9.6.24'")
    assert find_pg_dump(old, server_major=17).version >= (17, 0)


def test_pg_dump_of_the_settings_is_taken_if_it_is_the_newest(tmp_path: Path):
    new = script(tmp_path, "echo 'pg_dump (PostgreSQL) 98.1 (Debian 98.1-1)'")
    found = find_pg_dump(new, server_major=17)
    assert (found.path, found.version) == (new, (98, 1))


@pytest.mark.parametrize("text", ["exit 1", "echo nonsense", "printf '\\377\\376'"])
def test_program_that_is_no_pg_dump_is_passed_over(tmp_path: Path, text: str):
    assert find_pg_dump(script(tmp_path, text), server_major=17).version >= (17, 0)


def test_pg_dump_older_than_the_server_is_refused_with_what_to_install(tmp_path: Path):
    old = script(tmp_path, "echo 'pg_dump (PostgreSQL) 9.6.24'")
    with pytest.raises(PreflightFailed, match=r"the newest pg_dump is \d+\.\d+, the server is 99") as caught:
        find_pg_dump(old, server_major=99)
    assert "install postgresql-client-99" in caught.value.hint


def test_absent_pg_dump_is_refused():
    """In a Python without site-packages there is no wheel, on an empty PATH no program; Debian's folder may have some."""
    code = "from include.disaster_recovery.postgres.pg_dump import find_pg_dump; find_pg_dump(None, server_major=99)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    installed = any(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"))
    assert ("the newest pg_dump is" if installed else "there is no pg_dump, the server is 99") in ran.stderr
    assert "install postgresql-client-99" in ran.stderr


# --- bucket


def test_missing_bucket_is_named(rig: Rig):
    with pytest.raises(PreflightFailed, match="NoSuchBucket") as caught:
        replace(rig, store=replace(rig.store, bucket="no-such-bucket-here")).preflight()
    assert "create the bucket" in caught.value.hint


def test_bucket_that_may_only_be_read_is_refused_for_staging_and_for_backups(rig: Rig, s3_server: S3Server):
    store = Store(client=s3_server.client("reader"), bucket=s3_server.bucket)
    before = store.keys("")
    with pytest.raises(PreflightFailed, match=r"2 of .* checks failed") as caught:
        replace(rig, store=store).preflight()
    assert "PUT s3://collabhunts-backups/staging/preflight/" in caught.value.fact
    assert "POST s3://collabhunts-backups/backups/preflight-" in caught.value.fact
    assert "grant the connection's key this action" in caught.value.hint
    assert store.keys("") == before


def test_encryption_the_server_cannot_do_is_refused(rig: Rig, s3_server: S3Server):
    store = replace(
        rig.store, client=s3_server.client("admin", ONE_TRY), encryption=Encryption(algorithm="aws:kms", kms_key_id="k")
    )
    error = failure(replace(rig, store=store), StoreUnavailable)
    assert "PUT s3://" in error.fact
    assert store.keys("") == []


def test_server_that_ignores_the_wanted_encryption_is_refused(rig: Rig, s3_server: S3Server):
    def forget_encryption(exchange: Exchange) -> None:
        exchange.headers = [each for each in exchange.headers if each[0].lower() != "x-amz-server-side-encryption"]

    with FaultyWire(s3_server, after=forget_encryption) as wire:
        error = failure(replace(rig, store=replace(rig.store, client=wire.client())))
    assert "written with encryption AES256 is stored with None" in error.fact
    assert "s3.sse" in error.hint


# --- several at once


def test_all_failures_are_listed_with_all_hints(bare_rig: Rig, reader_role: dict[str, str]):
    with bare_rig.connect() as connection:
        connection.execute("create table public.one (id int); create table public.two (id int)")
    rig = replace(bare_rig, store=replace(bare_rig.store, bucket="no-such-bucket-here"))

    def no_slots() -> None:
        raise PreflightFailed("only one slot", hint="raise parallelism")

    with pytest.raises(PreflightFailed, match=r"4 of .* checks failed") as caught:
        preflight(
            rig.settings,
            connect=lambda: rig.connect(**reader_role),
            connect_store=lambda: rig.store,
            slots=no_slots,
        )
    for text in ("only one slot", "table one cannot be read", "table two cannot be read", "NoSuchBucket"):
        assert text in caught.value.fact
    for text in ("raise parallelism", "grant the backup role SELECT", "create the bucket"):
        assert text in caught.value.hint


def test_one_lasting_failure_beside_a_passing_one_is_lasting(rig: Rig):
    rig = replace(rig, store=replace(rig.store, bucket="no-such-bucket-here"))
    with pytest.raises(PreflightFailed, match=r"2 of .* checks failed"):
        rig.preflight(host="no-such-host.invalid")


def test_environment_of_the_worker_does_not_redirect_the_connection(rig: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGOPTIONS", "-c row_security=on -c TimeZone=Asia/Tokyo")
    assert os.environ["PGOPTIONS"]
    with rig.connect() as connection:
        found = connection.execute("select current_setting('row_security'), current_setting('TimeZone')").fetchone()
    assert found == ("off", "UTC")
