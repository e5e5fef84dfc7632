"""Locks and writes of others during a backup: never a mixed document, never a long wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from include.disaster_recovery.errors import TableLocked, TableUnreadable
from tests.support.rig import Rig


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
