"""A drill of a healthy backup: proven on any server that can carry it, recorded, and gone without a trace."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.backup_record import proof_of
from include.disaster_recovery.drill_model import PHASES, DrillReport
from include.disaster_recovery.history.rows import read_rows
from include.disaster_recovery.restore_model import RestorePlan
from include.disaster_recovery.s3.reports import report_key
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import read_tags
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.drill.proving import require_proven
from tests.support.drill_rig import DrillRig, failed
from tests.support.faulty_wire import Exchange, FaultyWire, refuse
from tests.support.rig import Rig

SKIPPED = {"not part of this restore: backup_history"}


def refuse_writes(exchange: Exchange) -> None:
    """As a key does that may only read."""
    if exchange.operation.startswith(("Put", "Delete")):
        refuse(exchange)


@pytest.fixture(scope="module")
def bare_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A Postgres that has never heard of Supabase."""
    folder: Path = tmp_path_factory.mktemp("drill")
    server = PostgresServer(folder=folder, durable=False, superuser="root_of_this")
    try:
        yield server.start()
    finally:
        server.destroy()


def superuser_of(server: PostgresServer) -> dict[str, str]:
    return {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}


@pytest.fixture
def role(bare_server: PostgresServer) -> Iterator[dict[str, str]]:
    """No superuser, but all that a drill needs."""
    name = f"driller_{secrets.token_hex(4)}"
    with psycopg.connect(bare_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"create role {name} login createdb createrole replication bypassrls password 'secret'")  # type: ignore[arg-type]
    yield {**superuser_of(bare_server), "user": name, "password": "secret"}
    with psycopg.connect(bare_server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute(f"drop role {name}")  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["bare", "bare, no superuser", "the source's own server"])
def test_a_healthy_backup_is_proven_and_nothing_is_left(
    rig: Rig, bare_server: PostgresServer, role: dict[str, str], where: str
) -> None:
    rig.backup()
    server = {"bare": superuser_of(bare_server), "bare, no superuser": role, "the source's own server": {}}[where]
    drill = DrillRig.of(rig, **server)
    before = drill.roles()
    report = drill.drill()
    assert failed(report) == {}
    assert report.state == "proven"
    require_proven(report)
    assert {check.detail for check in report.checks if check.outcome == "skipped"} <= SKIPPED
    assert (drill.databases(), drill.roles()) == ([], before)
    assert drill.store.keys("backups/in-use/") == []


def test_a_backup_that_leaves_out_a_table_with_a_sequence_is_proven(bare_rig: Rig, bare_server: PostgresServer) -> None:
    with bare_rig.connect() as connection:
        for name in ("kept", "left_out"):
            connection.execute(f"create table public.{name} (id serial primary key)".encode())
            connection.execute(f"insert into public.{name} select from generate_series(1, 9)".encode())
    rig = bare_rig.with_settings(tables={"exclude": ["backup_history", "left_out"]})
    rig.backup()
    report = DrillRig.of(rig, **superuser_of(bare_server)).drill()
    assert failed(report) == {}
    assert report.state == "proven"


def test_fragments_may_be_loaded_in_any_order(rig: Rig, bare_server: PostgresServer) -> None:
    """Identities before the accounts they are of: the stand-in's foreign keys come behind the rows, and hold."""
    rig.backup()
    drill = DrillRig.of(rig, **superuser_of(bare_server))
    drill.order = lambda units: sorted(units, key=lambda unit: (unit.table != "auth.identities", unit.table))
    keys: list[tuple[object, ...]] = []
    drill.before_drop = lambda plan: keys.extend(foreign_keys(drill, plan))
    assert failed(drill.drill()) == {}
    assert keys == [("auth.identities", "auth.users", True)]


def foreign_keys(drill: DrillRig, plan: RestorePlan) -> list[tuple[object, ...]]:
    query = """select conrelid::regclass::text, confrelid::regclass::text, convalidated from pg_constraint
        where contype = 'f' and connamespace = 'auth'::regnamespace"""
    with drill.connect(plan.run.database) as connection:
        return connection.execute(query).fetchall()


def test_the_verdict_is_on_the_object_in_the_history_and_beside_the_backup(tables: Rig) -> None:
    outcome = tables.backup()
    drill = DrillRig.of(tables)
    report = drill.drill()
    (key,) = drill.store.keys("backups/drills/")
    assert key == report_key("backups/", report)
    head = drill.store.head(key)
    assert head
    kept = json.loads(drill.store.read(key, 0, head.size))
    assert DrillReport.model_validate(kept) == report
    assert "content of first" in [check["subject"] for check in kept["checks"]]
    proof = proof_of(read_tags(drill.store, outcome.run.key) or {})
    assert proof == report.proof.model_copy(
        update={"at": report.finished_at.replace(microsecond=0), "seconds": proof.seconds}
    )
    assert proof.seconds == round(report.seconds, 1)
    with tables.connect() as connection:
        (row,) = read_rows(connection, file_name=outcome.run.key.removeprefix("backups/"))
    assert row.components["drill"] == json.loads(json.dumps(report.in_history(key)))
    assert (row.status, row.components["drill"]["state"], row.components["drill"]["failed"]) == (
        "success",
        "proven",
        [],
    )
    assert row.components["total_rows"] > 0  # what the row has said before stays


def test_the_time_to_recover_is_measured_by_phase(tables: Rig) -> None:
    tables.backup()
    report = DrillRig.of(tables).drill()
    assert [phase.name for phase in report.phases] == list(PHASES)
    assert sum(phase.seconds for phase in report.phases) <= report.seconds + 0.01
    assert report.seconds == round((report.finished_at - report.started_at).total_seconds(), 3)


def test_a_verdict_needs_no_source(tables: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """The source may be what is lost."""
    outcome = tables.backup()
    drill = DrillRig.of(tables)
    drill.source = lambda: tables.connect(port="1")
    report = drill.drill()
    assert report.state == "proven"
    assert "the verdict is not in backup_history: connection collabhunts_db" in caplog.text
    assert (read_tags(drill.store, outcome.run.key) or {})["drill"] == "proven"


def test_a_key_that_may_only_read_still_drills(
    tables: Rig, store: Store, wire: FaultyWire, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = tables.backup()
    wire.before = refuse_writes
    drill = DrillRig.of(tables).again(store=replace(store, client=wire.client()))
    assert drill.drill().state == "proven"
    assert "the report is in XCom only" in caplog.text
    assert "the verdict is not on the object" in caplog.text
    with tables.connect() as connection:
        (row,) = read_rows(connection, file_name=outcome.run.key.removeprefix("backups/"))
    assert row.components["drill"]["state"] == "proven"
    assert row.components["drill"]["report"] is None


def test_a_drill_is_held_back_as_the_settings_say(tables: Rig) -> None:
    tables.backup()
    drill = DrillRig.of(tables)
    assert drill.choose() is None
    assert "max_bytes is 1000" in (drill.again(settings=limited(tables, max_bytes=1000)).choose() or "")
    drill.drill()
    assert "was drilled already" in (drill.choose() or "")
    assert drill.choose(by_hand=True) is None
    tables.backup()
    assert drill.choose() is None
    daily = drill.again(settings=limited(tables, every="day"))
    assert "this day has had its drill" in (daily.choose() or "")
    assert daily.choose(by_hand=True) is None


def limited(rig: Rig, **drill: object) -> Settings:
    return rig.with_settings(drill=drill).settings
