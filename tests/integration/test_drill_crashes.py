"""What crashed drills leave, what drills must leave alone, and servers that cannot carry one."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.drill_model import DrillReport
from include.disaster_recovery.errors import DatabaseUnavailable, DrillFailed, RestoreInProgress, RestoreRefused
from include.disaster_recovery.postgres import scratch
from include.disaster_recovery.restore_model import RestorePlan
from include.disaster_recovery.s3 import leases
from include.disaster_recovery.s3.tags import read_tags
from tests.support.drill_rig import CONN_ID, DrillRig, failed, now
from tests.support.interrupted import holding, killed
from tests.support.rig import Rig

ALIKE = "collabhunts_drill_20250101t000000000z_"


@pytest.fixture
def drill(tables: Rig) -> DrillRig:
    tables.backup()
    return DrillRig.of(tables)


@pytest.fixture
def elsewhere(drill: DrillRig) -> Iterator[list[str]]:
    """Databases that the test makes on the drill server, dropped in the end."""
    names: list[str] = []
    yield names
    with drill.connect() as connection:
        for name in names:
            connection.execute(f"drop database if exists {name} with (force)".encode())


def run_sql(drill: DrillRig, *statements: str) -> None:
    with drill.connect() as connection:
        for each in statements:
            connection.execute(each.encode())


def in_use(drill: DrillRig) -> set[str]:
    return leases.in_use(drill.store, "backups/", now())


def test_what_a_killed_worker_leaves_is_removed_by_the_next_drill(
    drill: DrillRig, s3_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    opened = drill.opened()
    plan, units = drill.plan(opened)
    target = drill.into(plan)
    target.rebuild(plan)
    with holding(target, "lock table public.first"):
        killed(target, s3_server, "load", plan=plan, unit=next(each for each in units if each.table == "first"))
    assert drill.databases() == [opened.database]
    assert in_use(drill) == {opened.key}
    with caplog.at_level(logging.WARNING):
        report = drill.again().drill()
    assert report.state == "proven"
    assert f"dropped scratch database {opened.database}, left by drill run {drill.run_id}" in caplog.text
    assert (drill.databases(), in_use(drill)) == ([], set())


def test_a_second_try_removes_what_the_first_has_made(drill: DrillRig) -> None:
    first, second = drill.opened(), drill.opened()
    drill.plan(first)
    drill.plan(second)
    assert drill.databases() == [second.database]
    drill.drop()
    assert (drill.databases(), in_use(drill)) == ([], set())


def test_a_database_that_a_crash_kept_from_being_marked_is_known_by_being_closed(
    drill: DrillRig, elsewhere: list[str]
) -> None:
    name = f"{ALIKE}0badf00d"
    elsewhere.append(name)
    run_sql(drill, f"create database {name} template template0 allow_connections false")
    assert drill.drill().state == "proven"
    assert drill.databases() == []


def test_what_bears_no_mark_of_ours_is_left_alone(drill: DrillRig, elsewhere: list[str]) -> None:
    names = {
        "open": f"{ALIKE}00000001",
        "closed": "collabhunts_drill_of_somebody_else",
        "commented": f"{ALIKE}00000002",
        "anothers": f"{ALIKE}00000003",
    }
    elsewhere += names.values()
    role = f"other_{secrets.token_hex(4)}"
    run_sql(
        drill,
        f"create role {role}",
        f"create database {names['open']} template template0",
        f"create database {names['closed']} template template0 allow_connections false",
        f"create database {names['commented']} template template0 allow_connections false",
        f"comment on database {names['commented']} is 'my drill'",
        f"create database {names['anothers']} template template0 owner {role}",
        f'comment on database {names["anothers"]} is \'{scratch.MARK}{{"run_id": "gone"}}\'',
    )
    try:
        assert drill.drill().state == "proven"
        assert drill.databases() == sorted(names.values())
    finally:
        run_sql(drill, f"drop database {names['anothers']}", f"drop role {role}")


def test_two_drills_at_once_leave_each_other_alone(drill: DrillRig) -> None:
    other = drill.again()
    drill.active |= {drill.run_id, other.run_id}
    other.active = drill.active
    met = threading.Barrier(2, timeout=60)
    both: list[list[str]] = []

    def meet(plan: RestorePlan) -> None:
        met.wait()
        both.append(drill.databases())
        met.wait()

    drill.on_loaded = other.on_loaded = meet
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(_drilled_when_free, (drill, other)))
    assert [report.state for report in reports] == ["proven", "proven"]
    assert [len(names) for names in both] == [2, 2]
    assert drill.databases() == []


def _drilled_when_free(rig: DrillRig) -> DrillReport:
    """As Airflow's retry would: only one drill at a time makes its database."""
    for _ in range(100):
        with suppress(DrillFailed):
            return rig.drill()
        (busy,) = rig.failures
        assert busy.kind == "RestoreInProgress", busy
        rig.failures.clear()
    raise AssertionError("the drill server is never free")


def test_nobody_tidies_while_another_makes_its_database(drill: DrillRig) -> None:
    opened = drill.opened()
    with (
        drill.connect() as connection,
        scratch.locked(connection),
        pytest.raises(RestoreInProgress, match="another drill is being opened"),
    ):
        drill.open_scratch(opened)
    assert drill.databases() == []


def test_somebody_connected_does_not_keep_the_scratch_database(drill: DrillRig) -> None:
    with ExitStack() as stack:
        guests: list[psycopg.Connection] = []
        drill.on_loaded = lambda plan: guests.append(stack.enter_context(drill.connect(plan.run.database)))
        assert drill.drill().state == "proven"
        assert drill.databases() == []
        with pytest.raises(psycopg.OperationalError):
            guests[0].execute("select 1")


@pytest.mark.parametrize("rights, lacks", [("bypassrls", "CREATEDB"), ("", "CREATEDB")])
def test_a_role_without_the_rights_is_refused_before_anything_is_touched(
    drill: DrillRig, rights: str, lacks: str
) -> None:
    role = f"weak_{secrets.token_hex(4)}"
    run_sql(drill, f"create role {role} login {rights} password 'secret'")
    try:
        weak = drill.again(parameters={**drill.parameters, "user": role, "password": "secret"})
        with pytest.raises(RestoreRefused) as raised:
            weak.plan(weak.opened())
        assert f"it has no {lacks}" in raised.value.fact
        assert f'alter role "{role}" {lacks.replace(",", "").lower()}' in raised.value.hint
        assert CONN_ID in raised.value.hint
        with pytest.raises(DrillFailed, match="says nothing of the backup"):
            weak.drill()
    finally:
        run_sql(drill, f"drop role {role}")
    assert (drill.databases(), in_use(drill)) == ([], set())
    assert "drill" not in (read_tags(drill.store, drill.opened().key) or {})


@pytest.fixture(scope="module")
def small_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of few connections that has never heard of any role."""
    folder: Path = tmp_path_factory.mktemp("small")
    server = PostgresServer(folder=folder, durable=False, superuser="root_of_this", settings={"max_connections": "12"})
    try:
        yield server.start()
    finally:
        server.destroy()


def on(drill: DrillRig, server: PostgresServer) -> DrillRig:
    where = {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}
    return drill.again(parameters={**drill.parameters, **where})


def fill(stack: ExitStack, rig: DrillRig) -> None:
    while True:
        stack.enter_context(rig.connect())


def test_a_server_full_of_connections_says_nothing_of_the_backup(drill: DrillRig, small_server: PostgresServer) -> None:
    full = on(drill, small_server)
    with ExitStack() as stack:
        with pytest.raises(DatabaseUnavailable, match="too many clients"):
            fill(stack, full)
        opened = full.opened()
        with pytest.raises(DatabaseUnavailable):
            full.plan(opened)
        with pytest.raises(DrillFailed, match="says nothing of the backup") as raised:
            full.prove(opened, None)
    assert "too many clients" in raised.value.fact
    assert "drill" not in (read_tags(drill.store, opened.key) or {})
    assert drill.store.keys("backups/drills/") == []
    assert full.drill().state == "proven"  # and once there is room, it is


def test_a_role_that_another_database_has_begun_to_use_stays_until_it_does_not(
    tables: Rig, drill: DrillRig, small_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    role = f"team_{secrets.token_hex(4)}"
    with drill.source() as connection:
        connection.execute(f"create role {role}")
        connection.execute(f"alter table public.first owner to {role}")
    try:
        tables.backup()
        here = on(drill, small_server)
        here.on_loaded = lambda plan: run_sql(here, f"create schema theirs authorization {role}")
        before = here.roles()
        with caplog.at_level(logging.WARNING):
            assert failed(here.drill()) == {}
        assert f"role {role}, made by drill run {here.run_id}, stays" in caplog.text
        assert here.roles() == sorted([*before, role])
        run_sql(here, "drop schema theirs")
        assert here.again(on_loaded=lambda plan: None).drill().state == "proven"
        assert here.roles() == before
    finally:
        with drill.source() as connection:
            connection.execute("alter table public.first owner to current_user")
            connection.execute(f"drop role {role}")


def test_the_locale_is_that_of_the_database_the_connection_names(
    drill: DrillRig, small_server: PostgresServer, elsewhere: list[str]
) -> None:
    here = on(drill, small_server)
    run_sql(here, "create database of_builtin template template0 locale_provider builtin builtin_locale 'C.UTF-8'")
    run_sql(here, "create database of_sql_ascii template template0 encoding 'SQL_ASCII' locale 'C'")
    query = (
        "select datlocprovider::text || ' ' || coalesce(datlocale, datcollate) || ' ' || pg_encoding_to_char(encoding)"
    )
    query += " from pg_database where datname like 'collabhunts\\_drill\\_%'"
    for name, expected in (
        ("of_builtin", "b C.UTF-8 UTF8"),
        ("of_sql_ascii", "c C UTF8"),
        ("postgres", "c C.UTF-8 UTF8"),
    ):
        rig = here.again(parameters={**here.parameters, "dbname": name})
        rig.open_scratch(rig.opened())
        assert rig.names(query) == [expected]
        rig.drop()
