"""S3 that fails while a restore reads: asked again where that may help, else the target is as it was and a rerun works."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from botocore.config import Config

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.errors import DocumentError, StoreRefused, StoreUnavailable
from include.disaster_recovery.postgres.restore import staging
from tests.support.faulty_wire import (
    Exchange,
    FaultyWire,
    cut_off,
    flip_byte,
    lose_answer,
    once,
    refuse,
    shorten,
    slow_down,
)
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig


@pytest.fixture
def target(tables: Rig, wire: FaultyWire) -> RestoreRig:
    """A diverged target, its bucket behind the wire."""
    tables.backup()
    with tables.connect() as connection:
        connection.execute("delete from public.first where i > 40")
    return replace(RestoreRig.into(tables), store=replace(tables.store, client=wire.client()))


def test_passing_faults_are_waited_out(target: RestoreRig, wire: FaultyWire):
    def slow(exchange: Exchange) -> None:
        time.sleep(0.3)

    plan, units = target.plan()
    for unit, fault in zip([*units, *units], (slow_down, cut_off, lose_answer, shorten, slow, cut_off), strict=True):
        wire.after = once("Get", fault)
        assert target.load(plan, unit).rows == 50
    with target.connect() as connection:
        counts = [
            connection.execute(f"select count(*) from {plan.run.staging_schema}.{table.staged_as}".encode()).fetchone()
            for table in plan.tables
        ]
    assert counts == [(50,)] * 3
    target.clean_up(plan)
    faults = [once(name, slow_down) for name in ("Put", "Head", "List", "Get", "Delete")]
    wire.before = lambda exchange: [fault(exchange) for fault in faults] and None
    wire.after = once("Get", cut_off)
    assert target.restore().of("first") == (10, 0, 0, 40)


LASTING = {
    slow_down: (StoreUnavailable, "SlowDown"),
    lose_answer: (StoreUnavailable, "failed 3 times"),
    shorten: (StoreUnavailable, "bytes arrived"),
    refuse: (StoreRefused, "AccessDenied"),
    flip_byte: (DocumentError, "is damaged"),
}


def test_lasting_faults_leave_the_target_as_it_was_and_a_rerun_works(target: RestoreRig, wire: FaultyWire):
    with target.connect() as connection:
        before = everything(connection)
    once_only = Config(retries={"total_max_attempts": 1})  # Store.read asks three times itself
    impatient = replace(target, store=replace(target.store, client=wire.client(once_only)))
    for fault, (kind, fact) in LASTING.items():
        plan, units = target.plan()

        def on_the_rows(exchange: Exchange, fault=fault, wanted=f"bytes={units[0].fragment.offset}-") -> None:
            if exchange.request_headers.get("range", "").startswith(wanted):
                fault(exchange)

        wire.after = on_the_rows
        with pytest.raises(kind, match=fact) as caught:
            impatient.load(plan, units[0])
        assert caught.value.hint
        target.clean_up(plan)
        wire.after = None
    with target.connect() as connection:
        assert everything(connection) == before
        assert staging.marked(connection) == []
    assert target.restore().of("first") == (10, 0, 0, 40)


def test_object_removed_in_the_middle_of_a_load(target: RestoreRig, wire: FaultyWire):
    plan, units = target.plan()
    wanted = f"bytes={units[0].fragment.offset}-"

    def remove(exchange: Exchange) -> None:
        if exchange.request_headers.get("range", "").startswith(wanted):
            target.store.delete([plan.run.key])

    wire.before = remove
    with pytest.raises(StoreRefused, match="NoSuchKey") as caught:
        target.load(plan, units[0])
    assert "the object is gone" in caught.value.hint
    with pytest.raises(DocumentError, match="is gone since the restore was planned"):
        target.load(plan, units[0])
    target.clean_up(plan)


def test_who_may_not_read_is_told_so(target: RestoreRig, s3_server: S3Server):
    plan, units = target.plan()
    stranger = replace(target, store=replace(target.store, client=s3_server.client("reader")))  # of another bucket
    with pytest.raises(StoreRefused, match=r"AccessDenied|403") as caught:
        stranger.load(plan, units[0])
    assert caught.value.hint.startswith("grant the connection's key this action")
    target.clean_up(plan)
