"""What happens when things break in the middle: never a mixed document, never a promise, and the next run is clean."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.backup_key import timestamp
from include.disaster_recovery.errors import (
    BackupInProgress,
    DatabaseUnavailable,
    DisasterRecoveryError,
    SnapshotLost,
    StoreRefused,
    TableLocked,
    TableUnreadable,
    VerificationFailed,
)
from include.disaster_recovery.history import catalog
from include.disaster_recovery.model import BackupRun, ExtractUnit
from include.disaster_recovery.postgres.snapshot import reading
from include.disaster_recovery.s3.upload import FIRST_PART
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from include.disaster_recovery.steps.backup.opening import remove_orphans
from tests.support.faulty_wire import Exchange, FaultyWire, refuse
from tests.support.rig import Assembled, Rig

ROOT = Path(__file__).parents[2]
BIG = "create table public.big as select i, repeat(md5(i::text), 40) as t from generate_series(1, 20000) i"  # 26 MB as JSON
EXTRACT = """
import json, os, sys
import boto3
from botocore.config import Config
from include.disaster_recovery.model import BackupRun, ExtractUnit
from include.disaster_recovery.postgres.session import connect
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.steps.backup.extracting import extract
given = json.load(sys.stdin)
client = boto3.client("s3", **given["client"], config=Config(s3={"addressing_style": "path"}))
with connect(given["parameters"], name="collabhunts_db", application="first try") as connection:
    extract(connection, Store(client=client, bucket=given["bucket"]), BackupRun.model_validate(given["run"]),
            ExtractUnit.model_validate(given["unit"]), "none", try_number=1)
"""


@pytest.fixture
def tables(bare_rig: Rig) -> Rig:
    """Three small tables."""
    with bare_rig.connect() as connection:
        for name in ("first", "second", "third"):
            connection.execute(
                f"create table public.{name} as select i, 'row ' || i as t from generate_series(1, 50) i"
            )
    return bare_rig


@pytest.fixture
def big(bare_rig: Rig) -> Rig:
    """One table of several upload parts."""
    with bare_rig.connect() as connection:
        connection.execute(BIG)
    return bare_rig


def statuses(rig: Rig) -> list[str]:
    with rig.connect() as connection:
        found = connection.execute("select status from public.backup_history order by created_at").fetchall()
    return [str(status) for (status,) in found]


def fail(rig: Rig, run: BackupRun, error: DisasterRecoveryError) -> None:
    with rig.connect() as connection:
        catalog.close_failed(connection, run.run_id, str(error))


@contextmanager
def waiting(rig: Rig, statement: str) -> Iterator[None]:
    """The statement queues behind a lock for the length of the block, then is cancelled."""
    with rig.connect() as connection:
        pid = connection.info.backend_pid

        def execute() -> None:
            try:
                connection.execute(statement)
            except psycopg.errors.QueryCanceled:
                return

        thread = threading.Thread(target=execute)
        thread.start()
        with rig.connect() as watcher:
            query = "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s"
            wait_until(lambda: watcher.execute(query, (pid,)).fetchone() == (True,))
            try:
                yield
            finally:
                watcher.execute("select pg_cancel_backend(%s)", (pid,))
                thread.join(10)


def wait_until(condition: Any, seconds: float = 15) -> None:
    until = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    while not condition():
        assert datetime.now(timezone.utc) < until, "waited in vain"
        threading.Event().wait(0.02)


# --- locks


def test_table_locked_before_the_snapshot_is_named_after_the_timeout(tables: Rig):
    rig = tables.with_settings(extract={"lock_timeout_seconds": 1})
    with rig.connect() as other, other.transaction():
        other.execute("lock table public.second in access exclusive mode")
        with pytest.raises(TableLocked, match="table second cannot be locked for reading") as caught, rig.held():
            pass
    assert "pg_locks" in caught.value.hint
    assert rig.backup().verdict.rows == 150


def test_locked_table_that_no_backup_covers_holds_nobody_up(tables: Rig):
    rig = tables.with_settings(tables={"include": ["first", "third"], "exclude": []})
    with rig.connect() as other, other.transaction():
        other.execute("lock table public.second in access exclusive mode")
        run = rig.open()
        with rig.held() as snapshot:
            units = rig.plan(snapshot)
            assert {rig.extract(run, unit).rows for unit in units} == {50}


def test_alter_queued_during_the_run_fails_extracts_at_once_and_the_second_try_reads_the_same_snapshot(tables: Rig):
    run = tables.open()
    with tables.held() as snapshot:
        units = {unit.table.table_name: unit for unit in tables.plan(snapshot)}
        with waiting(tables, "alter table public.second add column later int"):
            with pytest.raises(TableLocked, match="table second cannot be locked for reading"):
                tables.extract(run, units["second"])
            with pytest.raises(TableLocked, match="table second cannot be locked for reading"):
                tables.plan(snapshot)
            assert tables.extract(run, units["first"]).rows == 50
        fragments = [tables.extract(run, unit, try_number=2) for unit in units.values()]
        sections = tables.describe(run, snapshot)
    assert {fragment.snapshot_id for fragment in fragments} == {snapshot.snapshot_id}
    assert tables.verify(tables.assemble(run, snapshot, fragments, sections)).valid


def test_drop_waits_for_the_backup(tables: Rig):
    def drop() -> None:
        with tables.connect() as connection:
            connection.execute("set lock_timeout = '300ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                connection.execute("drop table public.second")

    outcome = replace(tables, before_extract=drop).backup()
    assert outcome.document.row_counts == {"first": 50, "second": 50, "third": 50}


def test_table_dropped_while_its_lock_was_awaited_is_named(tables: Rig):
    with tables.connect() as dropper:
        dropper.execute("begin; drop table public.second")
        commit = threading.Timer(0.7, lambda: dropper.execute("commit"))
        commit.start()
        try:
            with (
                pytest.raises(TableUnreadable, match="table second cannot be locked for reading: relation"),
                tables.held(),
            ):
                pass
        finally:
            commit.join()
    assert tables.backup().document.row_counts == {"first": 50, "third": 50}


def test_rows_written_and_tables_truncated_after_the_snapshot_change_nothing(tables: Rig):
    def write() -> None:
        with tables.connect() as connection:
            connection.execute("insert into public.first select i, 'late' from generate_series(1, 9) i")
            connection.execute("delete from public.third")

    outcome = replace(tables, before_extract=write).backup()
    assert outcome.document.row_counts == {"first": 50, "second": 50, "third": 50}
    assert b"late" not in outcome.stored


# --- a lost snapshot


def test_killed_holder_loses_the_snapshot_publishes_nothing_and_the_next_run_is_clean(tables: Rig):
    run = tables.open()
    with pytest.raises(SnapshotLost, match="is lost: snapshot: ") as holder:
        kill_holder_and_read_on(tables, run)
    fail(tables, run, holder.value)
    remove_staging(tables.store, run)
    assert (tables.store.keys(""), statuses(tables)) == ([], ["failed"])
    assert tables.backup().verdict.valid
    assert statuses(tables) == ["failed", "success"]


def kill_holder_and_read_on(rig: Rig, run: BackupRun) -> None:
    with rig.held() as snapshot:
        units = rig.plan(snapshot)
        rig.extract(run, units[0])
        with rig.connect() as connection:
            connection.execute("select pg_terminate_backend(%s, 10000)", (snapshot.backend_pid,))
        for unit in units:
            with pytest.raises(SnapshotLost, match=f"snapshot {snapshot.snapshot_id} is gone") as caught:
                rig.extract(run, unit)
            assert "see its log, then trigger a new backup" in caught.value.hint
        with pytest.raises(SnapshotLost):
            rig.describe(run, snapshot)
        with pytest.raises(SnapshotLost):
            rig.plan(snapshot)


def test_killed_reader_is_worth_another_try_in_the_same_snapshot(big: Rig, s3_server: S3Server):
    with FaultyWire(s3_server) as wire:
        wired = replace(big, store=replace(big.store, client=wire.client()))
        run = big.open()

        def kill_reader(exchange: Exchange) -> None:
            if exchange.part == 1:
                with big.connect() as connection:
                    connection.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where query like 'copy%%' and datname = current_database()"
                    )

        wire.before = kill_reader
        with big.held() as snapshot:
            (unit,) = big.plan(snapshot)
            with pytest.raises(DatabaseUnavailable, match="table big cannot be read"):
                wired.extract(run, unit.model_copy(update={"mode": "rows"}))
            assert big.extract(run, unit, try_number=2).rows == 20000
    assert big.store.uploads("") == []


def test_error_in_a_session_that_is_killed_is_not_hidden_by_the_end_of_its_transaction(tables: Rig):
    with tables.held() as snapshot, tables.connect() as connection, tables.connect() as killer:

        def fail_when_killed() -> None:
            with reading(connection, snapshot.snapshot_id):
                killer.execute("select pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))
                raise ValueError("the reason")

        with pytest.raises(ValueError, match="the reason"):
            fail_when_killed()
        assert connection.closed


def test_fragment_of_another_snapshot_is_never_mixed_in(tables: Rig):
    run = tables.open()
    with tables.held() as earlier:
        stale = tables.extract(run, tables.plan(earlier)[0])
    with tables.held() as snapshot:
        fragments = [tables.extract(run, unit) for unit in tables.plan(snapshot)]
        sections = tables.describe(run, snapshot)
    mixed = [stale, *fragments[1:]]
    with pytest.raises(SnapshotLost, match="was read from snapshot") as caught:
        tables.assemble(run, snapshot, mixed, sections)
    assert stale.key in caught.value.fact
    assert tables.store.keys("backups/") == []


def test_missing_fragment_fails_the_assembly(tables: Rig):
    run = tables.open()
    with tables.held() as snapshot:
        fragments = [tables.extract(run, unit) for unit in tables.plan(snapshot)]
        sections = tables.describe(run, snapshot)
    with pytest.raises(VerificationFailed, match=f"these tables: {fragments[0].table}"):
        tables.assemble(run, snapshot, fragments[1:], sections)
    assert tables.store.keys("backups/") == []


# --- failing extracts


def test_refused_part_is_what_the_extract_reports(big: Rig, s3_server: S3Server):
    """Not the database's complaint about the COPY that was left in the middle."""
    with FaultyWire(s3_server) as wire:
        wire.before = lambda exchange: refuse(exchange) if exchange.part == 1 else None
        wired = replace(big, store=replace(big.store, client=wire.client()))
        run = big.open()
        with big.held() as snapshot:
            (unit,) = big.plan(snapshot)
            for mode in ("rows", "batches"):
                with pytest.raises(StoreRefused, match="PUT part 1 of s3://"):
                    wired.extract(run, unit.model_copy(update={"mode": mode}))
    assert big.store.uploads("") == []


def test_extract_killed_in_the_middle_is_done_again_in_the_same_snapshot(big: Rig, s3_server: S3Server):
    run = big.open()
    with FaultyWire(s3_server) as wire, big.held() as snapshot:
        (unit,) = big.plan(snapshot)
        kill_in_the_middle(big, wire, run, unit)
        abandoned = big.store.uploads(run.staging_prefix)
        second = big.extract(run, unit, try_number=2)
        sections = big.describe(run, snapshot)
    assert len(abandoned) == 1
    assert "try1" in abandoned[0][0]
    assert "try2" in second.key
    document = big.assemble(run, snapshot, [second], sections)
    assert big.verify(document).rows == 20000
    assert big.store.head(abandoned[0][0]) is None
    remove_staging(big.store, run)
    assert (big.store.keys(""), big.store.uploads("")) == ([run.key], [])


def kill_in_the_middle(rig: Rig, wire: FaultyWire, run: BackupRun, unit: ExtractUnit) -> None:
    """Run the first try in a process of its own and SIGKILL it while its second part is on the wire."""
    reached, release = threading.Event(), threading.Event()

    def stand_still(exchange: Exchange) -> None:
        if exchange.part == 2:
            reached.set()
            release.wait(30)

    wire.before = stand_still
    keys = rig_identity(wire)
    given = {"parameters": dict(rig.parameters), "bucket": rig.store.bucket, "client": keys}
    given |= {"run": run.to_json(), "unit": unit.to_json()}
    process = subprocess.Popen([sys.executable, "-c", EXTRACT], cwd=ROOT, stdin=subprocess.PIPE, text=True)
    assert process.stdin
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    try:
        assert reached.wait(30)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
        release.set()


def rig_identity(wire: FaultyWire) -> dict[str, str]:
    keys = wire.server.identity("admin")
    return {
        "endpoint_url": wire.url,
        "region_name": wire.server.region,
        "aws_access_key_id": keys.access_key,
        "aws_secret_access_key": keys.secret_key,
    }


def test_two_tries_side_by_side_do_not_touch_each_other(big: Rig):
    run = big.open()
    with big.held() as snapshot:
        (unit,) = big.plan(snapshot)
        with ThreadPoolExecutor(2) as pool:
            first, second, third = pool.map(lambda number: big.extract(run, unit, number), (1, 2, 2))
        sections = big.describe(run, snapshot)
    assert len({first.key, second.key, third.key}) == 3
    assert (first.sha256, first.digest, first.size) == (second.sha256, second.digest, second.size)
    big.store.delete([first.key, third.key])
    assert big.verify(big.assemble(run, snapshot, [second], sections)).rows == 20000


# --- two backups at once


def test_second_backup_is_refused_while_one_holds_the_snapshot(tables: Rig):
    run = tables.open()
    with tables.held():
        with pytest.raises(BackupInProgress, match="another backup is reading this database"):
            tables.open()
        with pytest.raises(BackupInProgress, match="another backup is reading this database"), tables.held():
            pass
    assert statuses(tables) == ["in_progress"]
    assert tables.store.keys("") == [f"{run.staging_prefix}claim"]


def test_of_two_backups_started_at_once_one_succeeds_and_the_other_says_why(tables: Rig):
    def attempt(_: int) -> str:
        try:
            tables.backup()
        except BackupInProgress:
            return "in progress"
        return "success"

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(attempt, range(2)))
    assert "success" in results
    assert len(tables.store.keys("backups/")) == results.count("success")


# --- leftovers


def test_only_our_own_leftovers_older_than_a_day_are_removed(tables: Rig):
    store, now = tables.store, datetime.now(timezone.utc)
    old, fresh = (timestamp(now - timedelta(hours=hours)) for hours in (25, 23))
    ours = [f"staging/{old}/claim", f"staging/{old}/table-0001/fragment-0001-try1-abcd"]
    kept = [
        f"staging/{fresh}/claim",
        f"staging/{old}",
        f"staging/{old}-copy/claim",
        f"staging/x{old}/claim",
        "staging/2020-01-01T00-00-00X000Y/claim",
        "staging/notes/readme",
        f"backups/collabhunts-backup-{old}.json",
        f"other/{old}/claim",
    ]
    for key in [*ours, *kept]:
        store.put(key, b"x")
    uploads = {
        f"staging/{old}/table-0002/unfinished": False,
        "staging/2021-05-05T05-05-05-005Z/only-an-upload": False,
        f"backups/collabhunts-backup-{old}.json.gz": False,
        f"staging/{fresh}/unfinished": True,
        f"backups/collabhunts-backup-{fresh}.json": True,
        f"backups/somebody-elses-{old}.json": True,
        f"elsewhere/{old}/unfinished": True,
    }
    for key in uploads:
        store.client.create_multipart_upload(Bucket=store.bucket, Key=key)
    assert remove_orphans(store, tables.settings, now) == len(ours) + 3
    assert store.keys("") == sorted(kept)
    assert sorted(key for key, _ in store.uploads("")) == sorted(key for key, stays in uploads.items() if stays)


def test_unfinished_document_of_a_killed_assemble_is_removed_with_the_staging(tables: Rig):
    run = tables.open()
    upload = tables.store.client.create_multipart_upload(Bucket=tables.store.bucket, Key=run.key)["UploadId"]
    tables.store.client.upload_part(
        Bucket=tables.store.bucket, Key=run.key, UploadId=upload, PartNumber=1, Body=bytes(FIRST_PART)
    )
    assert remove_staging(tables.store, run) == 1
    assert (tables.store.keys(""), tables.store.uploads("")) == ([], [])


# --- bytes that change behind our back


def alter(rig: Rig, key: str, at: int) -> None:
    """Write the object again with one byte changed, its metadata kept."""
    found = rig.store.head(key)
    assert found is not None
    data = bytearray(rig.store.read(key, 0, found.size))
    data[at] ^= 0x01
    rig.store.client.put_object(
        Bucket=rig.store.bucket, Key=key, Body=bytes(data), Metadata=found.metadata, ServerSideEncryption="AES256"
    )


def staged_backup(rig: Rig) -> tuple[BackupRun, Any, list[Any], list[Any]]:
    run = rig.open()
    with rig.held() as snapshot:
        return run, snapshot, [rig.extract(run, unit) for unit in rig.plan(snapshot)], rig.describe(run, snapshot)


def test_fragment_lost_before_the_assembly_is_named(tables: Rig):
    run, snapshot, fragments, sections = staged_backup(tables)
    tables.store.delete([fragments[1].key])
    with pytest.raises(DisasterRecoveryError, match=fragments[1].key):
        tables.assemble(run, snapshot, fragments, sections)
    assert (tables.store.keys("backups/"), tables.store.uploads("")) == ([], [])


def test_fragment_altered_before_the_assembly_is_named_by_the_verification(tables: Rig):
    run, snapshot, fragments, sections = staged_backup(tables)
    victim = next(fragment for fragment in fragments if fragment.table == "second")
    alter(tables, victim.key, victim.opening_size + victim.rows_size // 2)
    document = tables.assemble(run, snapshot, fragments, sections)
    with pytest.raises(VerificationFailed, match="table second, fragment 1 of 1"):
        tables.verify(document)
    assert statuses(tables) == ["in_progress"]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_document_altered_after_the_assembly_is_no_success(tables: Rig, compression: str):
    rig = tables.with_settings(compression=compression)
    done = rig.backup_until_assembled()
    at = fragment_offset(rig, done, "third")
    alter(rig, done.run.key, at + 30)
    with pytest.raises(VerificationFailed, match="table third, fragment 1 of 1") as caught:
        rig.verify(done.document)
    assert "trigger a new backup" in caught.value.hint
    fail(rig, done.run, caught.value)
    assert statuses(rig) == ["failed"]


def test_document_cut_short_or_gone_is_no_success(tables: Rig):
    done = tables.backup_until_assembled()
    stored = tables.store.read(done.run.key, 0, done.document.size)
    tables.store.put(done.run.key, stored[:-1])
    with pytest.raises(
        VerificationFailed, match=f"has {len(stored) - 1} bytes in the bucket, {len(stored)} were assembled"
    ):
        tables.verify(done.document)
    tables.store.delete([done.run.key])
    with pytest.raises(VerificationFailed, match="has no bytes in the bucket"):
        tables.verify(done.document)


def fragment_offset(rig: Rig, done: Assembled, table: str) -> int:
    from include.disaster_recovery.s3.documents import read_manifest

    manifest, _ = read_manifest(rig.store, done.run.key, done.document.size)
    return manifest.tables[table].fragments[0].offset
