"""While a restore reads a backup, a lease beside it keeps retention away."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import RestoreInProgress, StoreRefused, StoreUnavailable
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.s3 import leases
from tests.support.faulty_wire import Exchange, FaultyWire, once, refuse, slow_down
from tests.support.interrupted import holding
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig


def refuse_writes(exchange: Exchange) -> None:
    """As a key does that may only read."""
    if exchange.operation.startswith(("Put", "Delete")):
        refuse(exchange)


def now() -> datetime:
    return datetime.now(timezone.utc)


def in_use(rig: RestoreRig, at: datetime | None = None) -> set[str]:
    return leases.in_use(rig.store, "backups/", at or now())


def schemas(rig: RestoreRig) -> list[tuple[str, str]]:
    with rig.connect() as connection:
        return staging.marked(connection)


def test_lease_lives_from_plan_to_cleanup(tables: Rig):
    key = tables.backup().run.key
    target = RestoreRig.into(tables)
    assert in_use(target) == set()
    plan, _ = target.plan()
    assert in_use(target) == {key}
    assert in_use(target, now() + timedelta(days=8)) == set()  # of a run that was killed and never cleaned up
    target.clean_up(plan)
    target.clean_up(plan)
    assert in_use(target) == set()


def test_two_runs_hold_one_backup_by_leases_of_their_own(tables: Rig):
    key = tables.backup().run.key
    target = RestoreRig.into(tables)
    plan, _ = target.plan()
    hostile = "manual__2026-01-01T00:00:00+00:00/../../x%2e\n"
    leases.take(target.store, "backups/", key, hostile, now())
    assert len(target.store.keys("backups/in-use/")) == 2
    target.clean_up(plan)
    assert in_use(target) == {key}
    leases.release(target.store, "backups/", key, hostile)
    assert target.store.keys("backups/in-use/") == []


def test_plan_that_fails_leaves_no_lease(tables: Rig, wire: FaultyWire):
    tables.backup()
    target = RestoreRig.into(tables)
    reader = target.with_parameters()
    with target.connect() as connection:
        connection.execute(
            "create function public.no() returns event_trigger language plpgsql as $$ begin raise exception 'no'; end $$"
        )
        connection.execute(
            "create event trigger no on ddl_command_start when tag in ('CREATE SCHEMA') execute function public.no()"
        )
    with pytest.raises(Exception, match="cannot be created"):
        reader.plan()
    assert (in_use(target), schemas(target)) == (set(), [])
    wire.before = once("Delete", refuse, times=99)
    with pytest.raises(Exception, match="cannot be created"):  # not what befell the lease
        replace(target, store=replace(target.store, client=wire.client())).plan()
    assert schemas(target) == []


def test_key_that_may_only_read_restores_all_the_same(tables: Rig, wire: FaultyWire, caplog: pytest.LogCaptureFixture):
    tables.backup()
    with tables.connect() as connection:
        before = everything(connection)
        connection.execute("delete from public.first where i < 10")
    target = RestoreRig.into(tables)
    wire.before = refuse_writes
    replace(target, store=replace(target.store, client=wire.client())).restore()
    with tables.connect() as connection:
        assert everything(connection) == before
    assert "the backup is not protected from retention while it is restored: PUT" in caplog.text
    assert (schemas(target), target.store.keys("backups/in-use/")) == ([], [])


def test_stranger_to_the_bucket_is_refused_before_anything_is_written(tables: Rig, s3_server: S3Server):
    tables.backup()
    target = RestoreRig.into(tables)
    stranger = target.store.__class__(client=s3_server.client("reader"), bucket=target.store.bucket)
    with pytest.raises(StoreRefused, match=r"AccessDenied|403"):
        replace(target, store=stranger).plan()
    assert schemas(target) == []


def test_cleanup_keeps_the_lease_while_an_earlier_try_may_read(tables: Rig, wire: FaultyWire):
    key = tables.backup().run.key
    target = RestoreRig.into(tables)
    plan, _ = target.plan()
    with holding(target, f"select pg_advisory_lock_shared({staging.RESTORE_LOCK})"), pytest.raises(RestoreInProgress):
        target.clean_up(plan)
    assert in_use(target) == {key}
    wire.before = once("Delete", slow_down, times=99)
    with pytest.raises(StoreUnavailable):  # what is in the target goes all the same
        replace(target, store=replace(target.store, client=wire.client())).clean_up(plan)
    assert (schemas(target), in_use(target)) == ([], {key})
    target.clean_up(plan)
    assert in_use(target) == set()
