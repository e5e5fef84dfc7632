"""A snapshot that is lost or mixed up: nothing is published, and the next run is clean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import DatabaseUnavailable, SnapshotLost, VerificationFailed
from include.disaster_recovery.model import BackupRun
from include.disaster_recovery.postgres.snapshot import reading
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.rig import Rig
from tests.support.run_outcomes import fail, statuses


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
            with pytest.raises(DatabaseUnavailable, match=r"table big cannot be (read|counted)"):
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
