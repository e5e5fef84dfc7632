"""Damaged documents are refused before the target is touched; table and fragment are named where it is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from include.disaster_recovery.errors import DocumentError
from include.disaster_recovery.postgres.restore import staging
from tests.support.documents import read_from_end
from tests.support.forging import forged
from tests.support.restore_rig import RestoreRig, everything
from tests.support.rig import Rig

BEHIND = "cannot be read from its end"


@contextmanager
def untouched(rig: RestoreRig) -> Iterator[None]:
    """The target is as it was, and nothing of the restore is left."""
    with rig.connect() as connection:
        before = everything(connection)
    yield
    with rig.connect() as connection:
        assert staging.marked(connection) == []
        assert everything(connection) == before
    assert rig.store.keys("backups/in-use/") == []


def flipped(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 0x01]) + data[at + 1 :]


def refused(rig: RestoreRig, key: str, data: bytes, fact: str) -> None:
    rig.store.put(key, data)
    with untouched(rig), pytest.raises(DocumentError, match=fact) as caught:
        rig.restore(backup_key=key)
    assert caught.value.hint


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_damage_is_found_and_named(tables: Rig, compression: str):
    rig = tables.with_settings(compression=compression)
    done = rig.backup()
    key, whole, target = done.run.key, done.stored, RestoreRig.into(rig)
    manifest, locator = read_from_end(whole, compression)
    with rig.connect() as connection:
        connection.execute("delete from public.first where i > 40")
    second = manifest.tables["second"].fragments[0]

    def replaced(rows: bytes) -> bytes:
        assert len(rows) == second.length
        return whole[: second.offset] + rows + whole[second.offset + second.length :]

    rows = whole[second.offset : second.offset + second.length]
    damaged = "table second, fragment 1 of 1 is damaged"
    cases = {
        "a row": (flipped(whole, second.offset + second.length // 2), damaged),
        "the beginning of a fragment": (flipped(whole, second.offset), damaged),
        "the end of a fragment": (flipped(whole, second.offset + second.length - 1), damaged),
        "halves swapped": (replaced(rows[second.length // 2 :] + rows[: second.length // 2]), damaged),
        "zeros": (replaced(bytes(second.length)), damaged),
        "the manifest": (flipped(whole, locator.manifest_offset + 20), "the manifest is damaged"),
        "the locator": (flipped(whole, -20), BEHIND),
        "the schema": (flipped(whole, manifest.sections["schema"].offset + 30), "section schema .*is damaged"),
        "a cut": (whole[:-1], BEHIND),
        "a half": (whole[: len(whole) // 2], BEHIND),
        "an end alone": (whole[locator.manifest_offset :], "the manifest should end at"),
        "nothing": (b"", BEHIND),
        "a line more": (whole + b"\n", BEHIND),
        "twice": (whole + whole, "the manifest should end at"),
    }
    for name, (data, fact) in cases.items():
        assert data != whole, name
        refused(target, key, data, fact)
    target.store.put(key, whole)
    assert target.restore().of("first") == (10, 0, 0, 40)


def test_foreign_objects_are_refused(tables: Rig):
    done = tables.backup()
    target = RestoreRig.into(tables)
    guide = {"metadata": {"version": "1.0"}, "tables": {"first": {"row_count": 1, "rows": [{"i": 1, "t": "x"}]}}}
    for data in (b"{}", b"[]", b"null", b"\0" * 1000, b"\xff" * 1000, json.dumps(guide).encode()):
        refused(target, done.run.key, data, "no CollabHunts backup")

    def newer(content):
        content["version"] = 2

    refused(
        target, done.run.key, forged(done.stored, manifest=newer), "version 2, this software reads .* up to version 1"
    )
    for suffix in (".gz", ".zst"):
        refused(target, done.run.key + suffix, done.stored, BEHIND)


def test_document_replaced_or_removed_since_the_plan_is_refused(tables: Rig):
    done = tables.backup()
    target = RestoreRig.into(tables)
    plan, units = target.plan(backup_key=done.run.key)
    target.load_all(plan, units)

    def touched(content):
        content["writer"] = content["writer"][::-1]

    for data in (forged(done.stored, manifest=touched), done.stored[:-10], done.stored + b" "):
        target.store.put(done.run.key, data)
        for step in (lambda: target.load(plan, units[0]), lambda: target.apply(plan)):
            with pytest.raises(DocumentError, match="is not the document that was planned") as caught:
                step()
            assert caught.value.hint == "trigger a new restore"
    target.store.delete([done.run.key])
    with pytest.raises(DocumentError, match="is gone since the restore was planned"):
        target.load(plan, units[0])
    target.store.put(done.run.key, done.stored)
    target.check(plan)
    assert [each.unchanged for each in target.apply(plan)] == [50, 50, 50]
    target.clean_up(plan)
