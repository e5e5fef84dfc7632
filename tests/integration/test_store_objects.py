"""Small objects and listings over a real SeaweedFS: what is written is what is read."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from include.disaster_recovery.s3.store import Store
from tests.support.multipart import unfinished


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
