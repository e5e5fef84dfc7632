"""Composing over a real SeaweedFS: the concatenation of its parts, once, and never in place of another."""

from __future__ import annotations

import base64
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from awscrt.checksums import crc64nvme

from include.disaster_recovery.assembly import MIN_PART, Part, inline, plan_parts, staged
from include.disaster_recovery.errors import BackupExists, StoreRefused
from include.disaster_recovery.s3.store import Store
from tests.support.faulty_wire import Exchange, FaultyWire, once, refuse
from tests.support.lost_completion import forgetful, lose_complete, no_such_upload
from tests.support.multipart import compose_plainly, unfinished
from tests.support.rig import Rig


def parts_of(store: Store, bodies: list[bytes]) -> list[Part]:
    """Every other body staged, the rest inline."""
    pieces = []
    for number, body in enumerate(bodies):
        if number % 2:
            pieces.append(inline(body))
        else:
            store.put(f"staging/{number}", body)
            pieces.append(staged(f"staging/{number}", len(body)))
    return plan_parts(pieces)


@pytest.mark.parametrize(
    "sizes",
    [
        [10],
        [0, 10, 0, 5],
        [MIN_PART, 3, MIN_PART + 1, 1],
        [100, MIN_PART - 1, 2 * MIN_PART, 7, MIN_PART + 9],
        [MIN_PART, MIN_PART],
    ],
    ids=str,
)
def test_composed_object_is_the_concatenation_with_a_checksum_of_the_whole(store: Store, sizes: list[int]):
    bodies = [secrets.token_bytes(size) for size in sizes]
    compose_plainly(store, "backups/whole", parts_of(store, bodies))
    whole = b"".join(bodies)
    found = store.head("backups/whole")
    assert found is not None
    assert b"".join(store.stream("backups/whole", 0, len(whole))) == whole
    assert found.checksum == base64.b64encode(crc64nvme(whole).to_bytes(8, "big")).decode()
    assert (found.metadata, found.sse) == ({"who": "test"}, "AES256")
    tags = store.client.get_object_tagging(Bucket=store.bucket, Key="backups/whole")["TagSet"]
    assert tags == [{"Key": "kind", "Value": "a b"}]


def test_compose_never_replaces_an_object(store: Store):
    store.put("backups/taken", b"precious")
    with pytest.raises(BackupExists, match="backups/taken exists already"):
        compose_plainly(store, "backups/taken", plan_parts([inline(b"other")]))
    assert store.read("backups/taken", 0, 8) == b"precious"
    assert unfinished(store) == []


def test_concurrent_composes_of_one_document_leave_it_whole(store: Store):
    """A server may let several of them win; what they write is the same."""
    body = secrets.token_bytes(50_000)

    def attempt(_: int) -> bool:
        try:
            compose_plainly(store, "backups/raced", plan_parts([inline(body)]))
        except BackupExists:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert any(pool.map(attempt, range(6)))
    assert store.read("backups/raced", 0, 50_000) == body
    assert unfinished(store) == []


def test_while_one_document_is_assembled_no_other_competes_for_its_key(bare_rig: Rig, wire: FaultyWire):
    """The first stands still before its completion; a server that lets both complete would keep the later one."""
    with bare_rig.connect() as connection:
        connection.execute("create table public.t as select 1 as i")
    run = bare_rig.open()
    with bare_rig.held() as snapshot:
        fragments = [bare_rig.extract(run, unit) for unit in bare_rig.plan(snapshot)]
        sections = bare_rig.describe(run, snapshot)
    reached, release = threading.Event(), threading.Event()

    def stand_still(exchange: Exchange) -> None:
        if exchange.operation == "Complete":
            reached.set()
            release.wait(15)

    wire.before = stand_still
    first = replace(bare_rig, store=replace(bare_rig.store, client=wire.client()))
    other = bare_rig.with_settings(supabase={"project_id": "another"})
    with ThreadPoolExecutor(1) as pool:
        assembling = pool.submit(first.assemble, run, snapshot, fragments, sections)
        assert reached.wait(15)
        with pytest.raises(BackupExists, match="another document is being assembled"):
            other.assemble(run, snapshot, fragments, sections)
        release.set()
        document = assembling.result(15)
    assert bare_rig.verify(document).valid
    assert unfinished(bare_rig.store) == []


def test_failing_copy_ends_the_compose_and_leaves_nothing(wired: Store, wire: FaultyWire):
    pieces = []
    for number in range(12):
        wired.put(f"staging/{number}", bytes(MIN_PART))
        pieces.append(staged(f"staging/{number}", MIN_PART))
    wire.before = lambda exchange: refuse(exchange) if exchange.part == 1 else None
    with pytest.raises(StoreRefused, match="COPY staging/0 into part 1 of s3://"):
        compose_plainly(wired, "backups/broken", plan_parts(pieces))
    assert (wired.keys("backups/"), unfinished(wired)) == ([], [])
    assert wire.count("UploadPartCopy") < 12, "the remaining parts were copied although the upload was lost"


def test_staged_object_that_is_gone_is_named(store: Store):
    with pytest.raises(StoreRefused, match=r"COPY staging/gone into part 1 of s3://"):
        compose_plainly(store, "backups/x", plan_parts([staged("staging/gone", MIN_PART), inline(b"x")]))
    assert (store.keys("backups/"), unfinished(store)) == ([], [])


@forgetful
def test_lost_complete_answer_says_that_the_object_exists(wired: Store, wire: FaultyWire, forgets: bool):
    lose_complete(wire, forgets)
    with pytest.raises(BackupExists):
        compose_plainly(wired, "backups/lost", plan_parts([inline(b"document")]))
    assert wired.read("backups/lost", 0, 8) == b"document"


@forgetful
def test_assemble_takes_its_own_document_when_the_answer_was_lost(bare_rig: Rig, wire: FaultyWire, forgets: bool):
    with bare_rig.connect() as connection:
        connection.execute("create table public.t as select 1 as i")
    wired = replace(bare_rig, store=replace(bare_rig.store, client=wire.client()))
    lose_complete(wire, forgets)
    assert wired.backup().verdict.valid
    assert wire.count("Complete") == 2


def test_upload_that_vanished_without_an_object_is_refused(wired: Store, wire: FaultyWire):
    wire.before = once("Complete", no_such_upload)
    with pytest.raises(StoreRefused, match=r"COMPLETE upload of .* failed: NoSuchUpload"):
        compose_plainly(wired, "backups/vanished", plan_parts([inline(b"document")]))
    assert wired.keys("backups/") == []


def test_assemble_run_again_takes_its_own_document(rig: Rig):
    outcome = rig.backup_until_assembled()
    again = rig.assemble(outcome.run, outcome.snapshot, outcome.fragments, outcome.sections)
    assert again == outcome.document
