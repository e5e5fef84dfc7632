"""No secret and no row leaves its place: not by a log, an XCom, an error, a repr or the history."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import (
    DatabaseUnavailable,
    DisasterRecoveryError,
    PreflightFailed,
    SnapshotLost,
    StoreUnavailable,
    TableUnreadable,
    VerificationFailed,
)
from include.disaster_recovery.history import catalog
from include.disaster_recovery.model import Value
from include.disaster_recovery.postgres.pg_dump import PgDump, dump_section
from include.disaster_recovery.s3.store import Store
from tests.support.faulty_wire import FaultyWire, slow_down
from tests.support.rig import Rig

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5, s3={"addressing_style": "path"})
ROW, NAME = f"row-canary-{secrets.token_hex(8)}", "people"


@dataclass
class Watch:
    """A backup whose password, keys and rows are known, and everything it let out."""

    rig: Rig
    secret_key: str
    log: pytest.LogCaptureFixture
    let_out: list[str] = field(default_factory=list)

    def see(self, *things: object) -> None:
        self.let_out += [str(thing) for thing in things] + [repr(thing) for thing in things]

    def see_error(self, error: BaseException) -> None:
        """What Airflow logs of an exception, with all that caused it, and what the history row keeps."""
        self.see(error, error.args, "".join(traceback.format_exception(error)))
        with self.rig.connect() as connection:
            catalog.ensure_table(connection)
            catalog.close_failed(connection, None, str(error))
            self.see(connection)

    def conclude(self) -> str:
        """Everything let out; fails if a secret or a row is in it."""
        with self.rig.connect() as connection:
            if connection.execute("select to_regclass('public.backup_history') is not null").fetchone() == (True,):
                self.see(connection.execute("select to_jsonb(h)::text from public.backup_history h").fetchall())
        self.see(self.rig.store, self.rig.store.client, self.rig.settings)
        self.let_out.append(
            "\n".join(f"{record.getMessage()} {record.exc_text} {record.args}" for record in self.log.records)
        )
        everything = "\n".join(self.let_out)
        for what, canary in self.canaries().items():
            assert canary not in everything, f"{what} was let out"
        return everything

    def canaries(self) -> dict[str, str]:
        password = self.rig.parameters["password"]
        return {"the password": password, "the secret key": self.secret_key, "a row": ROW, "a DSN": f":{password}@"}


@pytest.fixture
def watch(
    bare_rig: Rig, s3_server: S3Server, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> Iterator[Watch]:
    role, password = f"watched_{secrets.token_hex(4)}", f"password-canary-{secrets.token_hex(8)}"
    with bare_rig.connect() as connection:
        connection.execute(f"create role {role} login superuser password '{password}'")
        connection.execute(f"create table public.{NAME} (id int primary key, name text not null)")
        connection.execute(f"insert into public.{NAME} select i, '{ROW}' from generate_series(1, 100) i")
    caplog.set_level(logging.DEBUG, logger="include")
    rig = replace(bare_rig, parameters={**bare_rig.parameters, "user": role, "password": password})
    yield Watch(rig, s3_server.identity("admin").secret_key, caplog)
    with bare_rig.connect() as connection:
        connection.execute(f"drop owned by {role} cascade")
        connection.execute(f"drop role {role}")


def test_successful_backup_lets_nothing_out_but_the_document(watch: Watch):
    outcome = watch.rig.backup()
    assert ROW.encode() in outcome.stored, "the canary is in the document, where it belongs"
    values: list[Value] = [outcome.run, outcome.snapshot, outcome.document, outcome.verdict]
    values += [*outcome.units, *outcome.fragments, *outcome.sections]
    watch.see(*values, *(value.to_json() for value in values), outcome.event, outcome.uncovered)
    head = watch.rig.store.head(outcome.run.key)
    assert head is not None
    watch.see(head, watch.rig.store.client.get_object_tagging(Bucket=watch.rig.store.bucket, Key=outcome.run.key))
    everything = watch.conclude()
    assert f"extracted {NAME}: 100 rows" in everything
    assert outcome.run.key in everything


def test_document_holds_no_way_in(watch: Watch):
    stored = watch.rig.backup().stored
    canaries = watch.canaries()
    del canaries["a row"]
    assert [what for what, canary in canaries.items() if canary.encode() in stored] == []


def wrong_password(watch: Watch) -> None:
    watch.rig.preflight(password=watch.rig.parameters["password"] + "x")


def server_gone(watch: Watch) -> None:
    watch.rig.preflight(host="no-such-host.invalid")


def wrong_secret_key(watch: Watch) -> None:
    known = watch.rig.store.client
    client = boto3.client(
        "s3",
        endpoint_url=known.meta.endpoint_url,
        aws_access_key_id="unknown",
        aws_secret_access_key=watch.secret_key,
        region_name="eu-central-1",
        config=ONE_TRY,
    )
    watch.see(client)
    replace(watch.rig, store=replace(watch.rig.store, client=client)).preflight()


def value_that_raises_as_text(watch: Watch) -> None:
    """A cast of the application's own that quotes the value it refuses."""
    with watch.rig.connect() as connection:
        connection.execute(
            """
            create type public.fussy as (name text, numbers int[]);
            create function public.refuse(public.fussy) returns text language plpgsql
              as $$ begin raise exception 'cannot show %', $1.name; end $$;
            create cast (public.fussy as text) with function public.refuse(public.fussy);
            create table public.fussy_people (who public.fussy);
            """
        )
        connection.execute("insert into public.fussy_people values (row(%s, '{1}')::public.fussy)", (ROW,))
    watch.rig.backup()


def history_that_refuses_the_row(watch: Watch) -> None:
    with watch.rig.connect() as connection:
        catalog.ensure_table(connection)
        connection.execute(
            f"""
            create function public.angry() returns trigger language plpgsql
              as $$ begin raise exception 'I know %', (select name from public.{NAME} limit 1); end $$;
            create trigger angry before insert on public.backup_history for each row execute function public.angry();
            """
        )
    watch.rig.open()


def holder_killed(watch: Watch) -> None:
    with watch.rig.held() as snapshot:
        with watch.rig.connect() as connection:
            connection.execute("select pg_terminate_backend(%s, 5000)", (snapshot.backend_pid,))
        watch.rig.plan(snapshot)


def document_altered(watch: Watch) -> None:
    done = watch.rig.backup_until_assembled()
    store = watch.rig.store
    stored = store.read(done.run.key, 0, done.document.size)
    store.put(done.run.key, stored.replace(ROW.encode(), ROW.encode()[:-1] + b'"', 1))
    watch.rig.verify(done.document)


def pg_dump_fails(watch: Watch) -> None:
    with watch.rig.held() as snapshot:
        from include.disaster_recovery.postgres.pg_dump import find_pg_dump

        dump = find_pg_dump(None, server_major=17)
        wrong = {**watch.rig.parameters, "dbname": "no_such_database"}
        dump_section(dump, wrong, section="pre-data", schemas=["public"], snapshot_id=snapshot.snapshot_id)


FAILURES: list[tuple[Callable[[Watch], None], type[DisasterRecoveryError], str]] = [
    (wrong_password, PreflightFailed, "password authentication failed"),
    (server_gone, DisasterRecoveryError, "no-such-host.invalid"),
    (wrong_secret_key, PreflightFailed, "InvalidAccessKeyId"),
    (value_that_raises_as_text, TableUnreadable, "table fussy_people cannot be read"),
    (history_that_refuses_the_row, TableUnreadable, "backup_history cannot be written"),
    (holder_killed, SnapshotLost, "is gone"),
    (document_altered, VerificationFailed, f"table {NAME}, fragment 1 of 1"),
    (pg_dump_fails, DatabaseUnavailable, "no_such_database"),
]


@pytest.mark.parametrize("break_it, kind, says", FAILURES, ids=[each[0].__name__ for each in FAILURES])
def test_failure_says_what_happened_and_lets_nothing_out(
    watch: Watch, break_it: Callable[[Watch], None], kind: type[DisasterRecoveryError], says: str
):
    with pytest.raises(kind) as caught:
        break_it(watch)
    watch.see_error(caught.value)
    assert says in watch.conclude()


def test_failing_server_lets_nothing_out(watch: Watch, s3_server: S3Server):
    with FaultyWire(s3_server, before=slow_down) as wire:
        store: Store = replace(watch.rig.store, client=wire.client(ONE_TRY))
        with pytest.raises(StoreUnavailable) as caught:
            replace(watch.rig, store=store).backup()
        watch.see(store)
    watch.see_error(caught.value)
    assert "SlowDown" in watch.conclude()


def test_pg_dump_gets_the_password_by_its_environment_never_by_its_command_line(watch: Watch, tmp_path: Path):
    """Command lines are read by every user of the machine."""
    spy = tmp_path / "pg_dump"
    spy.write_text(f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/arguments\nprintenv PGPASSWORD > {tmp_path}/password\n')
    spy.chmod(0o755)
    dump = PgDump(path=str(spy), version=(17, 0))
    dump_section(dump, watch.rig.parameters, section="pre-data", schemas=["public"], snapshot_id="x")
    assert (tmp_path / "password").read_text().strip() == watch.rig.parameters["password"]
    arguments: Any = (tmp_path / "arguments").read_text()
    assert "--schema-only" in arguments
    assert [what for what, canary in watch.canaries().items() if canary in arguments] == []
