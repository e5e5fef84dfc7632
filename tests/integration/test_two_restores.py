"""Two restores into one target, two tries of one task: one of them works, the other waits, is refused or is told."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from psycopg import sql

from include.disaster_recovery.errors import RestoreInProgress, StagingDiffers
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.postgres.session import Connection
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.interrupted import holding, waiting_session
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig


@pytest.fixture
def target(tables: Rig) -> RestoreRig:
    tables.backup()
    with tables.connect() as connection:
        connection.execute("delete from public.first where i > 40")
        connection.execute("insert into public.second values (99, 'not in the backup')")
    return RestoreRig.into(tables)


def schemas(connection: Connection) -> list[str]:
    found = connection.execute("select nspname from pg_namespace where nspname like 'collabhunts%' order by 1")
    return [str(name) for (name,) in found.fetchall()]


def test_second_restore_is_refused_between_the_tasks_of_the_first(target: RestoreRig):
    first, second = replace(target, run_id="first"), replace(target, run_id="second", active={"first", "second"})
    plan, units = first.plan()
    with pytest.raises(RestoreInProgress, match="restore run first into this target is going on") as caught:
        second.plan()
    assert "end it in Airflow" in caught.value.hint
    first.load_all(plan, units)
    first.check(plan)
    with pytest.raises(RestoreInProgress):
        second.plan()
    found = first.diff(plan)
    assert first.apply(plan, found) == found
    with pytest.raises(RestoreInProgress):
        second.plan()
    first.clean_up(plan)
    assert sum(each.insert + each.update + each.delete for each in second.restore().applied) == 0


def test_second_restore_is_refused_while_a_task_of_the_first_works(target: RestoreRig):
    plan, units = target.plan()
    held = holding(target, f"lock table {plan.run.staging_schema}.t1 in access exclusive mode")
    with held, ThreadPoolExecutor(1) as pool, target.connect() as connection:
        load = pool.submit(target.load, plan, next(u for u in units if staged_as(plan, u.table) == "t1"))
        pid = waiting_session(connection)
        with pytest.raises(RestoreInProgress, match="another restore, or an earlier try") as caught:
            target.plan()
        assert "pg_stat_activity" in caught.value.hint
        for step in (lambda: target.apply(plan), lambda: target.clean_up(plan)):
            with pytest.raises(RestoreInProgress):
                step()
        connection.execute("select pg_cancel_backend(%s)", (pid,))
        with pytest.raises(Exception, match="canceling statement"):
            load.result()
    target.clean_up(plan)
    target.restore()


def staged_as(plan, name: str) -> str:
    return next(table.staged_as for table in plan.tables if table.name == name)


def test_two_restores_started_at_once_end_as_one(target: RestoreRig):
    start, active = threading.Barrier(2), {"one", "two"}

    def run(run_id: str) -> object:
        rig = replace(target, run_id=run_id, active=active)
        start.wait(10)
        try:
            return rig.restore()
        except RestoreInProgress as error:
            return error

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(run, ("one", "two")))
    refused = [each for each in outcomes if isinstance(each, RestoreInProgress)]
    with target.connect() as connection:
        after = everything(connection)
        assert schemas(connection) == []
    assert len(refused) <= 1  # or one began when the other was done
    target.restore()
    with target.connect() as connection:
        assert everything(connection) == after


def test_run_that_is_not_active_any_more_is_removed_and_nothing_else(
    target: RestoreRig, caplog: pytest.LogCaptureFixture
):
    dead = replace(target, run_id="dead")
    plan, _ = dead.plan()
    strangers = {
        "collabhunts_restore_notes": None,
        "collabhunts_restore_kept": "a comment of somebody's own",
        "collabhunts_restore_text": "collabhunts restore is not JSON",
        "collabhunts_restore_list": "collabhunts restore [1]",
        "collabhunts_restore_none": "collabhunts restore {}",
        "collabhuntsXrestore_x": 'collabhunts restore {"run_id": "dead"}',
        "mine": 'collabhunts restore {"run_id": "dead"}',
    }
    with target.connect() as connection:
        for name, comment in strangers.items():
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("create table {} (i int)").format(sql.Identifier(name, "t1")))
            if comment:
                connection.execute(
                    sql.SQL("comment on schema {} is {}").format(sql.Identifier(name), sql.Literal(comment))
                )
    target.restore()
    assert f"removed schema {plan.run.staging_schema}, left by restore run dead" in caplog.text
    with target.connect() as connection:
        assert schemas(connection) == sorted(name for name in strangers if name != "mine")
        assert connection.execute("select to_regclass('mine.t1')::text").fetchone() == ("mine.t1",)


def test_schema_of_another_role_is_respected_and_never_dropped_nor_its_undo_log_run(
    target: RestoreRig, reader_role: dict[str, str], caplog: pytest.LogCaptureFixture
):
    """Anybody who may create schemas can make one that looks like ours: a superuser must not run what it says."""
    other = reader_role["user"]
    with target.connect() as connection:
        connection.execute(f'grant create on database "{target.parameters["dbname"]}" to {other}')
    with target.connect(**reader_role) as connection:
        connection.execute("create schema collabhunts_restore_theirs")
        connection.execute(
            'comment on schema collabhunts_restore_theirs is \'collabhunts restore {"run_id": "theirs"}\''
        )
        connection.execute(
            "create table collabhunts_restore_theirs.applied (table_name text, position int, inserted int, updated int, deleted int, unchanged int)"
        )
        connection.execute("create table collabhunts_restore_theirs.undo (position int, statement text)")
        connection.execute(f"insert into collabhunts_restore_theirs.undo values (1, 'alter role {other} superuser')")
    with pytest.raises(RestoreInProgress, match="restore run theirs"):
        replace(target, active={"theirs"}).plan()
    target.restore()
    assert "collabhunts_restore_theirs, left by restore run theirs, belongs to another role" in caplog.text
    with target.connect() as connection:
        assert schemas(connection) == ["collabhunts_restore_theirs"]
        assert connection.execute("select rolsuper from pg_roles where rolname = %s", (other,)).fetchone() == (False,)


def test_tasks_of_a_run_whose_schema_is_gone_say_so(target: RestoreRig):
    plan, units = target.plan()
    target.load_all(plan, units)
    target.clean_up(plan)
    for step in (
        lambda: target.load(plan, units[0]),
        lambda: target.check(plan),
        lambda: target.diff(plan),
        lambda: target.apply(plan),
    ):
        with pytest.raises(StagingDiffers, match=f"schema {plan.run.staging_schema} is gone"):
            step()


def test_two_tries_of_one_load_at_once_store_the_rows_once(target: RestoreRig, wire: FaultyWire):
    plan, units = target.plan()
    unit = next(unit for unit in units if unit.table == "first")
    wired = replace(target, store=replace(target.store, client=wire.client()))
    reached, release = threading.Event(), threading.Event()

    def stand_still(exchange: Exchange) -> None:
        if exchange.request_headers.get("range", "").startswith(f"bytes={unit.fragment.offset}-"):
            reached.set()
            release.wait(30)

    wire.before = stand_still
    with ThreadPoolExecutor(2) as pool:
        orphan = pool.submit(wired.load, plan, unit)
        assert reached.wait(30)
        second = pool.submit(target.load, plan, unit)
        with target.connect() as connection:
            waiting_session(connection)  # for the first one's row in the ledger
        release.set()
        assert orphan.result(30) == second.result(30)
    assert target.load(plan, unit) == orphan.result()
    target.load_all(plan, units)
    target.check(plan)
    target.clean_up(plan)


def test_second_apply_returns_what_the_first_has_done(target: RestoreRig):
    plan, units = target.plan()
    target.load_all(plan, units)
    held = holding(target, "lock table public.first in share mode")
    with held, ThreadPoolExecutor(1) as pool, target.connect() as connection:
        orphan = pool.submit(target.apply, plan)
        waiting_session(connection)
        with pytest.raises(RestoreInProgress, match="an earlier try of this one"):
            target.apply(plan)
        holder = connection.execute(
            "select pid from pg_locks where relation = 'public.first'::regclass and mode = 'ShareLock' and granted"
        ).fetchone()
        connection.execute("select pg_terminate_backend(%s, 5000)", holder)
        done = orphan.result(30)
    with target.connect() as connection:
        connection.execute("delete from public.first where i = 1")  # since then
        after = everything(connection)
    assert target.apply(plan) == done
    with target.connect() as connection:
        assert everything(connection) == after
    target.clean_up(plan)


def test_lock_is_free_after_errors_and_after_a_lost_session(target: RestoreRig):
    def fail_inside(connection: Connection, loser: Connection | None = None) -> None:
        with staging.locked(connection):
            if loser:
                loser.execute("select pg_terminate_backend(%s, 10000)", (connection.info.backend_pid,))
            raise ValueError("on purpose")

    def take(connection: Connection, *, shared: bool = False) -> None:
        with staging.locked(connection, shared=shared):
            pass

    with target.connect() as connection, target.connect() as other:
        for _ in range(2):
            with pytest.raises(ValueError, match="on purpose"):
                fail_inside(connection)
        with staging.locked(connection, shared=True):
            take(other, shared=True)
            with pytest.raises(RestoreInProgress):
                take(other)
        with pytest.raises(ValueError, match="on purpose"):  # not that the lock could not be given back
            fail_inside(connection, loser=other)
        take(other)
