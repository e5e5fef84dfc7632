"""A streaming upload over a real SeaweedFS: bounded in memory, whole or not there at all."""

from __future__ import annotations

import secrets
import threading
import tracemalloc
from dataclasses import replace

import pytest

from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.upload import FIRST_PART, IN_FLIGHT, StreamUpload
from tests.support.faulty_wire import Exchange, FaultyWire, once, refuse
from tests.support.lost_completion import forgetful, lose_complete
from tests.support.multipart import unfinished


def upload_parts(store: Store, key: str, parts: int, error: Exception | None = None) -> None:
    with StreamUpload(store, key) as upload:
        for _ in range(parts):
            upload.write(bytes(FIRST_PART))
        if error:
            raise error
        upload.finish()


def test_small_stream_is_one_put(wired: Store, wire: FaultyWire):
    with StreamUpload(wired, "small") as upload:
        upload.write(b"abc")
        upload.write(b"")
        upload.write(b"def")
        upload.finish()
    assert [exchange.operation for exchange in wire.seen] == ["Put"]
    assert wired.read("small", 0, 6) == b"abcdef"


def test_empty_stream_is_an_empty_object(store: Store):
    with StreamUpload(store, "empty") as upload:
        upload.finish()
    found = store.head("empty")
    assert found is not None
    assert found.size == 0


def test_large_stream_is_multipart_and_bounded_in_memory(store: Store, wire: FaultyWire):
    def hesitate(exchange: Exchange) -> None:
        if exchange.operation == "UploadPart":
            threading.Event().wait(0.1)

    wire.before = hesitate
    slow, chunk = replace(store, client=wire.client()), secrets.token_bytes(1024**2)
    tracemalloc.start()
    with StreamUpload(slow, "large") as upload:
        for _ in range(60):
            upload.write(bytes(chunk))
        upload.finish()
    tracemalloc.stop()
    assert (wire.count("Create"), wire.count("UploadPart"), wire.count("Complete")) == (1, 8, 1)
    assert 1 < wire.most_in_flight <= IN_FLIGHT
    assert b"".join(store.stream("large", 0, 60 * 1024**2)) == chunk * 60
    assert unfinished(store) == []


def test_stream_holds_no_more_than_its_parts(store: Store, wire: FaultyWire):
    """Parts stand still on the wire: the writer stops too, instead of piling up what it cannot send."""
    gate = threading.Event()
    wire.before = lambda exchange: (exchange.operation == "UploadPart" and gate.wait(20)) and None
    stuck, written = replace(store, client=wire.client()), []

    def write() -> None:
        with StreamUpload(stuck, "stuck") as upload:
            for _ in range(10):
                upload.write(bytes(FIRST_PART))
                written.append(FIRST_PART)
            upload.finish()

    writer = threading.Thread(target=write)
    writer.start()
    writer.join(1.5)
    before = len(written)
    gate.set()
    writer.join(30)
    assert before == IN_FLIGHT
    assert len(written) == 10
    assert store.head("stuck").size == 10 * FIRST_PART  # type: ignore[union-attr]


def test_failing_part_fails_the_stream_and_leaves_nothing(wired: Store, wire: FaultyWire):
    def refuse_second(exchange: Exchange) -> None:
        if exchange.part == 2:
            refuse(exchange)

    wire.before = refuse_second
    with pytest.raises(StoreRefused, match="PUT part 2 of s3://"):
        upload_parts(wired, "broken", 6)
    assert (wired.keys(""), unfinished(wired)) == ([], [])


def test_stream_abandoned_by_an_error_leaves_nothing(store: Store):
    with pytest.raises(ValueError, match="from elsewhere"):
        upload_parts(store, "abandoned", 1, ValueError("from elsewhere"))
    assert (store.keys(""), unfinished(store)) == ([], [])


def test_error_is_not_hidden_by_an_abort_that_fails_too(wired: Store, wire: FaultyWire):
    wire.before = once("Abort", refuse)
    with pytest.raises(ValueError, match="the reason"):
        upload_parts(wired, "abandoned", 1, ValueError("the reason"))
    assert wire.count("Abort") == 1


@forgetful
def test_stream_whose_complete_answer_is_lost_is_complete(wired: Store, wire: FaultyWire, forgets: bool):
    lose_complete(wire, forgets)
    data = secrets.token_bytes(FIRST_PART + 5)
    with StreamUpload(wired, "lost-answer") as upload:
        upload.write(data)
        upload.finish()
    assert wired.read("lost-answer", 0, len(data)) == data
    assert wire.count("Complete") == 2
