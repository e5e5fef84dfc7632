"""The bucket over a real SeaweedFS: what is written is what is read, and every failure has a name."""

from __future__ import annotations

import base64
import secrets
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from awscrt.checksums import crc64nvme
from botocore.config import Config

from include.demo.stack.ports import lease_port
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.assembly import MIN_PART, Part, inline, plan_parts, staged
from include.disaster_recovery.errors import BackupExists, StoreRefused, StoreUnavailable
from include.disaster_recovery.history import catalog
from include.disaster_recovery.s3.compose import compose
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.upload import FIRST_PART, IN_FLIGHT, StreamUpload
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
from tests.support.rig import Rig

ONE_TRY = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)


@pytest.fixture
def wire(s3_server: S3Server) -> Iterator[FaultyWire]:
    with FaultyWire(s3_server) as wire:
        yield wire


@pytest.fixture
def wired(store: Store, wire: FaultyWire) -> Store:
    """The same bucket, through the wire."""
    return replace(store, client=wire.client())


# AWS forgets a completed upload after a while, SeaweedFS knows it by its object: the request sent again differs.
forgetful = pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])


def lose_complete(wire: FaultyWire, forgets: bool) -> None:
    """The first completion is done but its answer lost; the second finds no upload, where the server forgets."""
    wire.after = once("Complete", lose_answer)

    def second(exchange: Exchange) -> None:
        if wire.count("Complete") == 2 and exchange.operation == "Complete":
            no_such_upload(exchange)

    wire.before = second if forgets else None


def no_such_upload(exchange: Exchange) -> None:
    exchange.answer(404, b"<?xml version='1.0'?><Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>")


def unfinished(store: Store) -> list[str]:
    found = store.client.list_multipart_uploads(Bucket=store.bucket)
    return [upload["Key"] for upload in found.get("Uploads", [])]


def upload_parts(store: Store, key: str, parts: int, error: Exception | None = None) -> None:
    with StreamUpload(store, key) as upload:
        for _ in range(parts):
            upload.write(bytes(FIRST_PART))
        if error:
            raise error
        upload.finish()


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


def compose_plainly(store: Store, key: str, parts: list[Part]) -> None:
    compose(store, key, parts, metadata={"who": "test"}, tags={"kind": "a b"}, content_type="application/json")


# --- small objects and listings


def test_object_put_is_read_back_with_its_encryption_and_by_ranges(store: Store):
    data = secrets.token_bytes(3000)
    store.put("a/b", data)
    found = store.head("a/b")
    assert found is not None
    assert (found.size, found.sse) == (3000, "AES256")
    assert store.read("a/b", 0, 3000) == data
    assert store.read("a/b", 1000, 7) == data[1000:1007]
    assert store.read("a/b", 1000, 0) == b""


def test_missing_object_has_no_head(store: Store):
    assert store.head("nothing/here") is None


def test_create_never_overwrites(store: Store):
    assert store.create("once", b"first")
    assert not store.create("once", b"second")
    assert store.read("once", 0, 5) == b"first"


def test_one_of_many_concurrent_creates_wins(store: Store):
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: store.create("raced", b"%d" % number), range(8)))
    assert won.count(True) == 1
    assert store.read("raced", 0, 1) == b"%d" % won.index(True)


@pytest.mark.parametrize("portion", [1, 999, 1000, 5000])
def test_stream_gives_the_range_in_order_whatever_the_portion(store: Store, portion: int):
    data = secrets.token_bytes(3000)
    store.put("streamed", data)
    start, length = (2990, 10) if portion == 1 else (500, 2000)
    assert b"".join(store.stream("streamed", start, length, portion=portion)) == data[start : start + length]


def test_stream_of_nothing_is_empty(store: Store):
    assert list(store.stream("streamed", 0, 0)) == []


def test_stream_left_early_ends(store: Store):
    store.put("streamed", bytes(4000))
    chunks = store.stream("streamed", 0, 4000, portion=1000)
    assert next(chunks) == bytes(1000)
    chunks.close()  # type: ignore[attr-defined]
    assert list(chunks) == []


def test_keys_are_sorted_and_below_the_prefix_over_several_pages(store: Store):
    wanted = sorted(f"many/{number:04d}" for number in range(1005))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"x"), [*wanted, "many-more", "other/1"]))
    assert store.keys("many/") == wanted
    assert store.delete(store.keys("many/")) == 1005
    assert store.keys("") == ["many-more", "other/1"]


def test_deleting_what_is_not_there_is_no_error(store: Store):
    store.put("here", b"x")
    assert store.delete(["here", "gone"]) == 2
    assert store.delete([]) == 0
    assert store.keys("") == []


def test_unfinished_uploads_below_the_prefix_are_aborted_and_no_others(store: Store):
    for key in ("staging/a/1", "staging/a/2", "staging/ab/1", "backups/x"):
        store.client.create_multipart_upload(Bucket=store.bucket, Key=key)
    assert store.abort_uploads("staging/a/") == 2
    assert sorted(unfinished(store)) == ["backups/x", "staging/ab/1"]


def test_unfinished_upload_of_one_key_is_aborted_by_that_key(store: Store):
    for key in ("backups/one.json", "backups/two.json"):
        store.client.create_multipart_upload(Bucket=store.bucket, Key=key)
    assert store.abort_uploads("backups/one.json") == 1
    assert unfinished(store) == ["backups/two.json"]


def test_aborting_an_upload_that_is_gone_is_no_error(store: Store):
    upload = store.client.create_multipart_upload(Bucket=store.bucket, Key="u")["UploadId"]
    store.abort_upload("u", upload)
    store.abort_upload("u", upload)
    assert unfinished(store) == []


def test_probing_a_key_leaves_nothing(store: Store):
    store.probe_upload("backups/probe")
    assert (store.keys(""), unfinished(store)) == ([], [])


# --- streaming upload


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


# --- composing


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


# --- a wire that fails


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


def test_server_that_keeps_failing_is_unavailable(store: Store, wire: FaultyWire):
    wire.before = slow_down
    with pytest.raises(StoreUnavailable, match=r"PUT s3://.*/k failed: SlowDown"):
        replace(store, client=wire.client(ONE_TRY)).put("k", b"value")


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


# --- refusals


@pytest.mark.parametrize(
    "action, request_of",
    [
        ("PUT", lambda store: store.put("k", b"x")),
        ("PUT", lambda store: store.create("k", b"x")),
        ("DELETE", lambda store: store.delete(["some/key"])),
        ("POST", lambda store: store.probe_upload("k")),
        ("POST", lambda store: compose_plainly(store, "k", plan_parts([inline(b"x")]))),
    ],
    ids=["put", "create", "delete", "probe", "compose"],
)
def test_reader_is_refused_with_the_action_and_what_to_grant(
    s3_server: S3Server, action: str, request_of: Callable[[Store], object]
):
    store = Store(client=s3_server.client("reader"), bucket=s3_server.bucket)
    with pytest.raises(StoreRefused, match=f"^{action} s3://{s3_server.bucket}/.* failed: AccessDenied") as caught:
        request_of(store)
    assert caught.value.hint.startswith("grant the connection's key")


def test_missing_bucket_is_refused_with_a_hint(s3_server: S3Server):
    store = Store(client=s3_server.client("admin"), bucket="no-such-bucket-here")
    with pytest.raises(StoreRefused, match="NoSuchBucket") as caught:
        store.keys("")
    assert "create the bucket" in caught.value.hint


def client_with(s3_server: S3Server, **keys: str) -> Any:
    known = s3_server.identity("admin")
    wanted = {"aws_access_key_id": known.access_key, "aws_secret_access_key": known.secret_key, **keys}
    return boto3.client("s3", endpoint_url=s3_server.endpoint_url, region_name="eu-central-1", config=ONE_TRY, **wanted)


@pytest.mark.parametrize("keys", [{"aws_secret_access_key": "wrong" * 8}, {"aws_access_key_id": "AKIAUNKNOWN"}])
def test_wrong_key_is_refused_naming_the_connection(s3_server: S3Server, store: Store, keys: dict[str, str]):
    with pytest.raises(StoreRefused) as caught:
        replace(store, client=client_with(s3_server, **keys)).keys("")
    assert "collabhunts_s3" in caught.value.hint
    assert "wrongwrong" not in str(caught.value)


def test_wrong_key_is_named_even_where_the_answer_has_no_body(s3_server: S3Server, store: Store):
    client = client_with(s3_server, aws_secret_access_key="wrong" * 8)
    with pytest.raises(StoreRefused, match=r"HEAD .* 403"):
        replace(store, client=client).head("k")


def test_absent_credentials_are_refused_for_good(s3_server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    client = boto3.Session().client("s3", endpoint_url=s3_server.endpoint_url, region_name="eu-central-1")
    with pytest.raises(StoreRefused, match="NoCredentials") as caught:
        replace(store, client=client).keys("")
    assert "collabhunts_s3" in caught.value.hint


def test_server_that_is_down_is_unavailable_and_named(store: Store):
    lease = lease_port()
    try:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{lease.port}",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            region_name="eu-central-1",
            config=ONE_TRY,
        )
        with pytest.raises(StoreUnavailable, match="EndpointConnectionError") as caught:
            replace(store, client=client).keys("")
    finally:
        lease.release()
    assert "endpoint_url" in caught.value.hint


# --- a full disk


def test_full_disk_fails_the_backup_and_the_next_one_succeeds_once_there_is_space(bare_rig: Rig, tmp_path: Path):
    with bare_rig.connect() as connection:
        connection.execute(
            "create table public.big as select i, repeat(md5(i::text), 40) as t from generate_series(1, 20000) i"
        )
    with S3Server(folder=tmp_path / "s3", capacity_mb=16) as server:
        server.create_bucket()
        rig = replace(bare_rig, store=Store(client=server.client("admin", ONE_TRY), bucket=server.bucket))
        rig = rig.with_settings(s3={"sse": None})
        with pytest.raises(StoreUnavailable, match=r"PUT part .* failed: InternalError") as caught:
            rig.backup()
        assert "space" in caught.value.hint
        assert rig.store.keys("backups/") == []
        with rig.connect() as connection:
            closed = catalog.close_failed(connection, rig._runs[-1], str(caught.value))
        assert len(closed) == 1
        server.stop()
        server.capacity_mb = None
        server.start()
        rig = replace(rig, store=Store(client=server.client("admin"), bucket=server.bucket))
        outcome = rig.backup()
    assert outcome.verdict.rows == 20000
    with psycopg.connect(**bare_rig.parameters) as connection:
        rows = connection.execute("select status from public.backup_history order by created_at").fetchall()
    assert rows == [("failed",), ("success",)]
