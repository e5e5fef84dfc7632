"""Multipart uploads as tests make and find them."""

from __future__ import annotations

from include.disaster_recovery.assembly import Part
from include.disaster_recovery.s3.compose import compose
from include.disaster_recovery.s3.store import Store


def unfinished(store: Store) -> list[str]:
    found = store.client.list_multipart_uploads(Bucket=store.bucket)
    return [upload["Key"] for upload in found.get("Uploads", [])]


def compose_plainly(store: Store, key: str, parts: list[Part]) -> None:
    compose(store, key, parts, metadata={"who": "test"}, tags={"kind": "a b"}, content_type="application/json")
