"""Servers and keys that refuse an extra of the document's object still get the document."""

from dataclasses import replace

import pytest

from include.disaster_recovery.assembly import inline, plan_parts
from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.s3.compose import compose
from include.disaster_recovery.s3.store import Store
from tests.support.faulty_wire import Exchange, FaultyWire, refuse

KEY, DATA = "backups/document", b"a document"


def write(store: Store, wire: FaultyWire) -> None:
    wired = replace(store, client=wire.client())
    parts = plan_parts([inline(DATA)])
    compose(wired, KEY, parts, metadata={"a": "b"}, tags={"written-by": "us"}, content_type="application/json")


def headers(exchange: Exchange) -> set[str]:
    return {name.lower() for name in exchange.request_headers}


def test_a_key_that_may_not_tag_writes_the_document_without_tags(store: Store, wire: FaultyWire) -> None:
    wire.before = lambda exchange: refuse(exchange) if "x-amz-tagging" in headers(exchange) else None
    write(store, wire)
    head = store.head(KEY)
    assert head is not None
    assert (head.size, head.metadata) == (len(DATA), {"a": "b"})
    assert head.checksum is not None
    assert store.client.get_object_tagging(Bucket=store.bucket, Key=KEY)["TagSet"] == []


def test_a_server_without_full_object_checksums_gets_the_document_without_one(store: Store, wire: FaultyWire) -> None:
    def not_implemented(exchange: Exchange) -> None:
        if exchange.operation == "Create" and "x-amz-checksum-type" in headers(exchange):
            exchange.answer(501, b"<?xml version='1.0'?><Error><Code>NotImplemented</Code><Message>x</Message></Error>")

    wire.before = not_implemented
    write(store, wire)
    assert store.read(KEY, 0, len(DATA)) == DATA
    assert store.client.get_object_tagging(Bucket=store.bucket, Key=KEY)["TagSet"] != []


def test_a_key_that_may_not_write_at_all_is_refused(store: Store, wire: FaultyWire) -> None:
    wire.before = refuse
    with pytest.raises(StoreRefused, match="AccessDenied"):
        write(store, wire)
    assert store.head(KEY) is None
