"""Bytes that change behind our back: the damage is named, never called a success."""

from __future__ import annotations

from typing import Any

import pytest

from include.disaster_recovery.errors import DisasterRecoveryError, VerificationFailed
from include.disaster_recovery.model import BackupRun
from tests.support.rig import Assembled, Rig
from tests.support.run_outcomes import fail, statuses


def alter(rig: Rig, key: str, at: int) -> None:
    """Write the object again with one byte changed, its metadata kept."""
    found = rig.store.head(key)
    assert found is not None
    data = bytearray(rig.store.read(key, 0, found.size))
    data[at] ^= 0x01
    rig.store.client.put_object(
        Bucket=rig.store.bucket, Key=key, Body=bytes(data), Metadata=found.metadata, ServerSideEncryption="AES256"
    )


def staged_backup(rig: Rig) -> tuple[BackupRun, Any, list[Any], list[Any]]:
    run = rig.open()
    with rig.held() as snapshot:
        return run, snapshot, [rig.extract(run, unit) for unit in rig.plan(snapshot)], rig.describe(run, snapshot)


def test_fragment_lost_before_the_assembly_is_named(tables: Rig):
    run, snapshot, fragments, sections = staged_backup(tables)
    tables.store.delete([fragments[1].key])
    with pytest.raises(DisasterRecoveryError, match=fragments[1].key):
        tables.assemble(run, snapshot, fragments, sections)
    assert (tables.store.keys("backups/"), tables.store.uploads("")) == ([], [])


def test_fragment_altered_before_the_assembly_is_named_by_the_verification(tables: Rig):
    run, snapshot, fragments, sections = staged_backup(tables)
    victim = next(fragment for fragment in fragments if fragment.table == "second")
    alter(tables, victim.key, victim.opening_size + victim.rows_size // 2)
    document = tables.assemble(run, snapshot, fragments, sections)
    with pytest.raises(VerificationFailed, match="table second, fragment 1 of 1"):
        tables.verify(document)
    assert statuses(tables) == ["in_progress"]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_document_altered_after_the_assembly_is_no_success(tables: Rig, compression: str):
    rig = tables.with_settings(compression=compression)
    done = rig.backup_until_assembled()
    at = fragment_offset(rig, done, "third")
    alter(rig, done.run.key, at + 30)
    with pytest.raises(VerificationFailed, match="table third, fragment 1 of 1") as caught:
        rig.verify(done.document)
    assert "trigger a new backup" in caught.value.hint
    fail(rig, done.run, caught.value)
    assert statuses(rig) == ["failed"]


def test_document_cut_short_or_gone_is_no_success(tables: Rig):
    done = tables.backup_until_assembled()
    stored = tables.store.read(done.run.key, 0, done.document.size)
    tables.store.put(done.run.key, stored[:-1])
    with pytest.raises(
        VerificationFailed, match=f"has {len(stored) - 1} bytes in the bucket, {len(stored)} were assembled"
    ):
        tables.verify(done.document)
    tables.store.delete([done.run.key])
    with pytest.raises(VerificationFailed, match="has no bytes in the bucket"):
        tables.verify(done.document)


def fragment_offset(rig: Rig, done: Assembled, table: str) -> int:
    from include.disaster_recovery.s3.documents import read_manifest

    manifest, _ = read_manifest(rig.store, done.run.key, done.document.size)
    return manifest.tables[table].fragments[0].offset
