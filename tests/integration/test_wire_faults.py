"""A wire to the bucket that fails: what arrives damaged or late is asked for again."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from include.disaster_recovery.errors import StoreUnavailable
from include.disaster_recovery.s3.store import Store
from tests.support.faulty_wire import Exchange, FaultyWire, cut_off, flip_byte, lose_answer, once, shorten, slow_down
from tests.support.rig import Rig


@pytest.mark.parametrize("fault", [cut_off, shorten, lose_answer, slow_down])
def test_damaged_answer_is_noticed_and_asked_for_again(wired: Store, wire: FaultyWire, fault: Callable[..., Any]):
    data = secrets.token_bytes(100_000)
    wired.put("k", data)
    wire.after = once("Get", fault)
    assert wired.read("k", 10, 90_000) == data[10:90_010]
    assert wire.count("Get") == 2


def test_answer_that_stays_short_is_an_error_with_what_arrived(wired: Store, wire: FaultyWire):
    wired.put("k", bytes(1000))
    wire.after = once("Get", shorten, times=99)
    with pytest.raises(StoreUnavailable, match=r"GET s3://.*/k bytes 0\+1000 failed 3 times: 993 bytes arrived"):
        wired.read("k", 0, 1000)


def test_backup_survives_one_byte_flipped_on_the_way_to_its_verification(rig: Rig, wire: FaultyWire):
    outcome = rig.backup_until_assembled()
    wired = replace(rig, store=replace(rig.store, client=wire.client()))

    def flip_a_large_answer(exchange: Exchange) -> None:
        if len(exchange.body) == outcome.document.size:
            flip_byte(exchange)
            flipped.append(exchange)
            wire.after = None

    flipped: list[Exchange] = []
    wire.after = flip_a_large_answer
    assert wired.verify(outcome.document).valid
    assert len(flipped) == 1


@pytest.mark.parametrize("operation", ["Put", "Head", "List", "Get"])
def test_slow_down_is_waited_out(wired: Store, wire: FaultyWire, operation: str):
    wire.before = once(operation, slow_down)
    wired.put("k", b"value")
    assert wired.head("k") is not None
    assert wired.keys("") == ["k"]
    assert wired.read("k", 0, 5) == b"value"
    assert wire.count(operation) == 2


def test_large_backup_is_complete_over_a_wire_with_many_faults(bare_rig: Rig, wire: FaultyWire):
    with bare_rig.connect() as connection:
        connection.execute(
            "create table public.big as select i, repeat(md5(i::text), 40) as t from generate_series(1, 20000) i"
        )
    wired = replace(bare_rig, store=replace(bare_rig.store, client=wire.client()))
    faults = [once(name, slow_down) for name in ("UploadPart", "UploadPartCopy", "Put", "Create", "Complete")]
    wire.before = lambda exchange: [fault(exchange) for fault in faults] and None
    wire.after = once("Get", cut_off)
    outcome = wired.backup()
    assert outcome.verdict.rows == 20000
    assert wire.count("UploadPart") > 2
    assert wire.count("UploadPartCopy") == outcome.document.parts_copied + 1
