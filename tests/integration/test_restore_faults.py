"""A restore that loses its session or its worker at any step: the target is as it was, and a rerun works."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import DatabaseUnavailable, RestoreRefused
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.restore_model import LoadedFragment, LoadUnit, RestorePlan
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.interrupted import holding, killed, terminated, waiting_session, worker
from tests.support.postgres_wire import TransactionPooler
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig

# The check stands still while somebody holds the advisory lock: an insert that can be interrupted.
SCHEMA = """
create function public.gate() returns bool language plpgsql as
    $$ begin perform pg_advisory_xact_lock_shared(4242); return true; end $$;
create table public.parents (id serial primary key, name text not null unique);
create table public.children (id int primary key, parent int references public.parents, t text check (public.gate()));
insert into public.parents (name) select 'parent ' || i from generate_series(1, 20) i;
insert into public.children select i, 1 + i % 20, 'child ' || i from generate_series(1, 100) i;
"""
DIVERGE = """
update public.parents set name = 'changed ' || id where id < 5;
insert into public.parents values (77, 'not in the backup');
insert into public.children select 1000 + i, 77, 'not in the backup' from generate_series(1, 5) i;
delete from public.children where id between 10 and 20;
alter sequence public.parents_id_seq restart with 3;
"""
IN_APPLY = {
    "at its first lock": "lock table public.parents in share mode",
    "while deleting": "select from public.children where id = 1003 for update",
    "while inserting": "select pg_advisory_xact_lock(4242)",
    "before the commit": "select nextval('public.parents_id_seq')",
}


@pytest.fixture
def target(bare_rig: Rig) -> RestoreRig:
    """A backup, and its source diverged since, as the target."""
    with bare_rig.connect() as connection:
        connection.execute(SCHEMA.encode())
    bare_rig.backup()
    with bare_rig.connect() as connection:
        connection.execute(DIVERGE.encode())
    return RestoreRig.into(bare_rig)


@contextmanager
def unchanged(rig: RestoreRig) -> Iterator[None]:
    """What stands between begin and end leaves every row outside the staging schemas as it was."""
    before = rows(rig)
    yield
    assert rows(rig) == before


def rows(rig: RestoreRig) -> dict[str, str]:
    with rig.connect() as connection:
        return {name: rows for name, rows in everything(connection).items() if not name.startswith("collabhunts")}


def wait_for_quiet(rig: RestoreRig) -> None:
    """Until no session of a restore is left: a server notices late that its client was killed."""
    with rig.connect() as connection, connection.transaction():
        connection.execute("set local lock_timeout = '20s'")
        connection.execute(f"select pg_advisory_xact_lock({staging.RESTORE_LOCK})")


def leftovers(rig: RestoreRig) -> list[str]:
    with rig.connect() as connection:
        return [schema for schema, _ in staging.marked(connection)]


def comes_back(rig: RestoreRig) -> None:
    """A rerun restores everything, and leaves nothing behind."""
    done = rig.restore()
    assert {each.table: (each.insert, each.update, each.delete) for each in done.applied} == {
        "parents": (0, 4, 1),
        "children": (11, 0, 5),
    }
    assert (leftovers(rig), rig.store.keys("backups/in-use/")) == ([], [])
    with rig.connect() as connection:
        assert connection.execute("select last_value from public.parents_id_seq").fetchone() == (20,)


def staged(rig: RestoreRig) -> tuple[RestorePlan, list[LoadUnit], list[LoadedFragment]]:
    plan, units = rig.plan()
    return plan, units, rig.load_all(plan, units)


def test_session_lost_in_any_step_changes_nothing_and_the_step_can_be_done_again(target: RestoreRig):
    def lost(step, statement: str) -> None:
        with unchanged(target):
            with holding(target, statement):
                error = terminated(target, step)
            assert isinstance(error, DatabaseUnavailable), error
            assert "terminating connection due to administrator command" in error.fact
        assert "target is up" in error.hint

    lost(target.plan, "lock table public.parents in access exclusive mode")
    assert target.store.keys("backups/in-use/") == []
    lost(target.plan, "lock table pg_catalog.pg_namespace in share mode")  # when it makes its schema
    assert (leftovers(target), target.store.keys("backups/in-use/")) == ([], [])
    plan, units = target.plan()
    first = f"lock table {plan.run.staging_schema}.t1 in access exclusive mode"
    unit = next(unit for unit in units if next(t for t in plan.tables if t.name == unit.table).staged_as == "t1")
    lost(lambda: target.load(plan, unit), first)
    target.load_all(plan, units)
    lost(lambda: target.check(plan), first)
    target.check(plan)
    lost(lambda: target.diff(plan), first)
    found = target.diff(plan)
    for statement in IN_APPLY.values():
        lost(lambda: target.apply(plan, found), statement)
    lost(lambda: target.clean_up(plan), first)
    assert leftovers(target) == [plan.run.staging_schema]
    assert len(target.store.keys("backups/in-use/")) == 1
    assert target.diff(plan) == found
    target.clean_up(plan)
    comes_back(target)


def test_worker_killed_in_apply_changes_nothing_and_the_next_run_removes_what_it_left(
    target: RestoreRig, s3_server: S3Server, caplog: pytest.LogCaptureFixture
):
    plan, _, _ = staged(target)
    for statement in IN_APPLY.values():
        with unchanged(target):
            with holding(target, statement):
                killed(target, s3_server, "apply", plan=plan)
            wait_for_quiet(target)
            assert leftovers(target) == [plan.run.staging_schema]
    comes_back(target)
    assert f"removed schema {plan.run.staging_schema}, left by restore run" in caplog.text


def test_worker_killed_in_any_other_step(target: RestoreRig, s3_server: S3Server):
    with unchanged(target):
        with holding(target, "lock table pg_catalog.pg_namespace in share mode"):
            killed(target, s3_server, "plan")
        wait_for_quiet(target)
        assert (leftovers(target), len(target.store.keys("backups/in-use/"))) == ([], 1)
        plan, units = replace(target, run_id="killed").plan()  # the task's next try
        target.load_all(plan, units[:1])
        with FaultyWire(s3_server) as wire:
            kill_in_the_middle(target, wire, plan, units[1])
        wait_for_quiet(target)
        target.load_all(plan, units[1:])
        for step in ("check", "diff", "clean_up"):
            with holding(target, f"lock table {plan.run.staging_schema}.t1 in access exclusive mode"):
                killed(target, s3_server, step, plan=plan)
            wait_for_quiet(target)
    assert len(target.store.keys("backups/in-use/")) == 1
    target.clean_up(plan)
    comes_back(target)


def kill_in_the_middle(rig: RestoreRig, wire: FaultyWire, plan: RestorePlan, unit: LoadUnit) -> None:
    """SIGKILL the load while it waits for the rows of its fragment."""
    reached, release = threading.Event(), threading.Event()
    wanted = f"bytes={unit.fragment.offset}-"

    def stand_still(exchange: Exchange) -> None:
        if exchange.request_headers.get("range", "").startswith(wanted):
            reached.set()
            release.wait(30)

    wire.before = stand_still
    try:
        with worker(rig, wire.server, "load", url=wire.url, plan=plan, unit=unit):
            assert reached.wait(30)
    finally:
        release.set()


def test_schema_of_the_target_is_the_same_after_a_failed_apply(
    target: RestoreRig, postgres_server: PostgresServer, s3_server: S3Server
):
    def dump() -> str:
        command = [postgres_server.bin_dir / "pg_dump", "--schema-only", "--exclude-schema=collabhunts_restore_*"]
        url = postgres_server.superuser_dsn(target.parameters["dbname"])
        done = subprocess.run([*command, url], check=True, capture_output=True, text=True)
        return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))

    before = dump()
    plan, _, _ = staged(target)
    plan = plan.model_copy(update={"quiet": "tables"})  # triggers and keys are altered, so there is more to take back
    with holding(target, IN_APPLY["before the commit"]):
        terminated(target, lambda: target.apply(plan))
    assert dump() == before
    with holding(target, IN_APPLY["while inserting"]):
        killed(target, s3_server, "apply", plan=plan)
    wait_for_quiet(target)
    assert dump() == before
    target.clean_up(plan)
    comes_back(target)


def test_transaction_pooler_is_refused_before_anything_is_made(target: RestoreRig):
    """Locks belong to sessions, which such a pooler hands round."""
    with (
        TransactionPooler(target.parameters) as pooler,
        pytest.raises(RestoreRefused, match="transaction pooler") as caught,
    ):
        target.with_parameters(**pooler.address, sslmode="disable").plan()
    assert "in the Airflow connection collabhunts_restore_db" in caught.value.hint
    assert (leftovers(target), target.store.keys("backups/in-use/")) == ([], [])


def test_waiting_session_is_that_of_the_step(target: RestoreRig):
    """The helper of this file: a session that waits, and no other."""
    with holding(target, "lock table public.parents in access exclusive mode"), target.connect() as connection:
        waiter = target.connect()
        thread = threading.Thread(target=lambda: waiter.execute("select from public.parents"), daemon=True)
        thread.start()
        assert waiting_session(connection) == waiter.info.backend_pid
    thread.join(10)
    waiter.close()
