"""Postgres dies (SIGKILL, or a restart without a shutdown), or has no connection to spare, under backup and restore."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from include.demo.stack.errors import ProcessFailed
from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.errors import DatabaseUnavailable, DisasterRecoveryError, SnapshotLost, StagingLost
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from tests.support.faulty_wire import Exchange, FaultyWire
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig
from tests.support.run_outcomes import statuses

SOURCE = """
create table public.medium as select i, repeat(md5(i::text), 40) as t from generate_series(1, 9000) i;
create table public.small as select i, 'row ' || i as t from generate_series(1, 50) i;
alter table public.medium add primary key (i);
alter table public.small add primary key (i);
"""
LOSE = "delete from public.medium where i % 2 = 0; delete from public.small where i > 40"
START_SECONDS = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of this file's own, whose commits survive its death."""
    server = PostgresServer(folder=tmp_path_factory.mktemp("crashing"), settings={"max_connections": "20"})
    try:
        yield server.start()
    finally:
        server.destroy()


@pytest.fixture
def rig(server: PostgresServer, store: Store) -> Iterator[Rig]:
    name = "crash_" + store.bucket.rpartition("-")[2]
    server.create_database(name)
    parameters = {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}
    rig = Rig(
        {**parameters, "dbname": name},
        store,
        Settings.model_validate({"tables": {"include": "all", "exclude": ["backup_history"]}}),
    )
    with rig.connect() as connection:
        connection.execute(SOURCE.encode())
    yield rig
    server.drop_database(name)


def kill(server: PostgresServer) -> None:
    """SIGKILL; the sessions notice by themselves, and hold on to the shared memory until then."""
    server.process.signal(signal.SIGKILL)
    until = time.monotonic() + START_SECONDS
    while server.process.running or not is_started(server):
        assert time.monotonic() < until, server.process.log_tail()
        time.sleep(0.1)


def is_started(server: PostgresServer) -> bool:
    try:
        server.start()
    except ProcessFailed:
        return False
    return True


def restart(server: PostgresServer) -> None:
    server.stop("immediate")
    server.start()


CRASHES: dict[str, Callable[[PostgresServer], None]] = {"SIGKILL": kill, "immediate restart": restart}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each crash under each step; in the short form one of them."""
    is_long = metafunc.config.getoption("--chaos-rounds") > 1
    if "step" in metafunc.fixturenames:
        short = [("load", "SIGKILL"), ("apply", "immediate restart")]
        every = [(step, crash) for step in ("load", "apply") for crash in CRASHES]
        metafunc.parametrize(("step", "crash"), every if is_long else short)
    elif "crash" in metafunc.fixturenames:
        metafunc.parametrize("crash", list(CRASHES) if is_long else ["SIGKILL"])


def rows(rig: Rig | RestoreRig) -> dict[str, str]:
    with rig.connect() as connection:
        found = everything(connection)
    return {name: found[name] for name in ("public.medium", "public.small")}


def test_a_backup_whose_source_crashes_publishes_nothing_and_the_next_is_clean(
    rig: Rig, server: PostgresServer, wire: FaultyWire, crash: str
):
    crashed = threading.Event()

    def when_a_part_is_written(exchange: Exchange) -> None:
        if exchange.part == 1 and "/staging/" in exchange.path and not crashed.is_set():
            crashed.set()
            CRASHES[crash](server)

    wire.before = when_a_part_is_written
    with pytest.raises((SnapshotLost, DatabaseUnavailable)) as caught:
        replace(rig, store=replace(rig.store, client=wire.client())).backup()
    assert caught.value.hint
    assert crashed.is_set()
    assert rig.store.keys("backups/") == []
    assert statuses(rig) == ["in_progress"]
    assert rig.backup().verdict.rows == 9050
    assert statuses(rig) == ["failed", "success"]


@pytest.fixture
def target(rig: Rig) -> RestoreRig:
    """Its own source, of which rows were lost since the backup."""
    rig.backup()
    with rig.connect() as connection:
        connection.execute(LOSE.encode())
    return RestoreRig.into(rig)


def comes_back(target: RestoreRig) -> None:
    done = target.restore()
    assert (done.of("medium"), done.of("small")) == ((4500, 0, 0, 4500), (10, 0, 0, 40))
    with target.connect() as connection:
        assert staging.marked(connection) == []
    assert target.store.keys("backups/in-use/") == []


def test_a_target_that_crashed_after_the_check_is_not_emptied(target: RestoreRig, server: PostgresServer):
    """Staging is not logged: what crashes loses its rows, and a replacing restore would have deleted those of the target."""
    before = rows(target)
    plan, units = target.plan()
    target.load_all(plan, units)
    target.check(plan)
    restart(server)
    for step in (lambda: target.apply(plan), lambda: target.diff(plan), lambda: target.check(plan)):
        with pytest.raises(StagingLost, match="is lost: the target has crashed or failed over since") as caught:
            step()
        assert caught.value.hint == "trigger a new restore; the target is as it was"
    with pytest.raises(StagingLost, match="is lost"):
        target.load(plan, units[0])
    assert rows(target) == before
    comes_back(target)


def test_a_target_that_was_restarted_in_order_keeps_what_is_staged(target: RestoreRig, server: PostgresServer):
    plan, units = target.plan()
    target.load_all(plan, units)
    server.stop()
    server.start()
    target.check(plan)
    done = target.apply(plan, target.diff(plan))
    assert {each.table: each.insert for each in done} == {"medium": 4500, "small": 10}
    target.clean_up(plan)


def test_a_target_that_crashed_after_the_commit_is_restored(target: RestoreRig, server: PostgresServer):
    """The answer was lost, the commit was not: the next try says what the first has done."""
    plan, units = target.plan()
    target.load_all(plan, units)
    target.check(plan)
    done = target.apply(plan)
    restored = rows(target)
    kill(server)
    assert target.apply(plan) == done
    assert rows(target) == restored
    target.clean_up(plan)
    with target.connect() as connection:
        assert staging.marked(connection) == []


def test_a_target_that_crashes_under_a_step_is_as_it_was(
    target: RestoreRig, server: PostgresServer, crash: str, step: str
):
    before = rows(target)
    plan, units = target.plan()
    largest = max(units, key=lambda unit: unit.fragment.rows)
    if step == "apply":
        target.load_all(plan, units)
        target.check(plan)
    act = (lambda: target.load(plan, largest)) if step == "load" else (lambda: target.apply(plan))
    error = crashed_under(target, act, lambda: CRASHES[crash](server))
    assert isinstance(error, DatabaseUnavailable), error
    assert "is up and reachable" in error.hint
    assert rows(target) == before
    comes_back(target)


def crashed_under(target: RestoreRig, act: Callable[[], Any], crash: Callable[[], None]) -> BaseException:
    """What a step raises whose server crashes as soon as it writes."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except DisasterRecoveryError as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    with target.connect() as witness:
        thread.start()
        wait_for_writes(witness)
    crash()
    thread.join(30)
    assert failures, "the step has not noticed"
    return failures[0]


def wait_for_writes(witness: psycopg.Connection[Any]) -> None:
    """Until a session beside this one has a transaction id: it has written, and has not committed."""
    query = (
        "select from pg_stat_activity where datname = current_database() and backend_xid is not null"
        " and pid <> pg_backend_pid()"
    )
    until = time.monotonic() + START_SECONDS
    while witness.execute(query).fetchone() is None:
        assert time.monotonic() < until, "nothing was written"


def test_a_server_without_a_connection_to_spare_is_said_to_be_full_and_the_run_goes_on_later(rig: Rig):
    run = rig.open()
    with rig.held() as snapshot:
        units = rig.plan(snapshot)
        with ExitStack() as others:
            with pytest.raises(DatabaseUnavailable, match=r"too many clients|slots are reserved"):
                fill(rig, others)
            for step in (lambda: rig.extract(run, units[0]), lambda: rig.plan(snapshot), rig.open):
                with pytest.raises(DatabaseUnavailable) as caught:
                    step()
                assert "the server takes no more connections" in caught.value.hint
            with pytest.raises(DatabaseUnavailable):
                RestoreRig.into(rig).plan()
        fragments = [rig.extract(run, unit, try_number=2) for unit in units]
        sections = rig.describe(run, snapshot)
    assert rig.verify(rig.assemble(run, snapshot, fragments, sections)).rows == 9050


def fill(rig: Rig, others: ExitStack) -> None:
    while True:
        others.enter_context(rig.connect())
