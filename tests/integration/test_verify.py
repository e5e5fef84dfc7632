"""Any changed bit of a document is found by a full reading; message, tags and history row name the same place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from include.disaster_recovery.backup_record import taggable
from include.disaster_recovery.document import LOCATOR_SIZE, VERSION, Manifest
from include.disaster_recovery.errors import NewerDocument, VerificationFailed
from include.disaster_recovery.model import Verdict
from include.disaster_recovery.s3.documents import read_manifest
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.steps.verify.verifying import require_valid
from include.disaster_recovery.stream.codec import stored_frame
from include.disaster_recovery.verification import places
from tests.support.forging import forged
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Outcome, Rig
from tests.support.verify_rig import VerifyRig, flipped, replaced

COMPRESSIONS: list[Compression] = ["none", "gzip", "zstd"]
CUT_IN_TWO = "create table public.large as select i, repeat(md5(i::text), 40) as t from generate_series(1, 1500) i"


@dataclass(frozen=True)
class Region:
    """A range of a stored document, and what a finding about it names."""

    begin: int
    end: int
    named: str


@pytest.fixture
def done(tables: Rig) -> Outcome:
    return tables.backup()


@pytest.fixture
def verifier(tables: Rig) -> VerifyRig:
    return VerifyRig.of(tables)


def regions(manifest: Manifest, size: int, compression: Compression) -> Iterator[Region]:
    """Every byte of a document, in order."""
    at, tail = 0, len(stored_frame(b" " * LOCATOR_SIZE, compression))
    for place in places(manifest):
        length = sum(len(stored_frame(text, compression)) for text in place.punctuation)
        yield Region(at, at + length, f"before {place.label}")
        at += length
        if place.entry is not None and place.entry.length:
            yield Region(at, at + place.entry.length, place.label)
            at += place.entry.length
    yield Region(at, size - tail, "the manifest is damaged")
    yield Region(size - tail, size, "cannot be read from its end")


def assert_everywhere(verifier: VerifyRig, key: str, verdict: Verdict, named: str) -> str:
    """The verdict, the error, the tags and the history row say the same; returns the error's fact."""
    assert verdict.state == "invalid"
    assert any(named in finding for finding in verdict.findings), (named, verdict.findings)
    with pytest.raises(VerificationFailed) as caught:
        require_valid(key, verdict)
    assert f"{key} is not what was written" in caught.value.fact
    assert named in caught.value.fact
    assert "docs/runbooks/verification-failed.md" in caught.value.hint
    tagged, recorded = verifier.tagged(key), verifier.recorded(key)
    assert tagged is not None
    assert (tagged.state, tagged.depth, tagged.at) == ("invalid", verdict.depth, verdict.checked_at)
    assert tagged.finding == taggable(verdict.findings[0])
    assert recorded == verdict.to_json()
    return caught.value.fact


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_flip_in_every_region_is_named(tables: Rig, compression: Compression):
    with tables.connect() as connection:
        connection.execute(CUT_IN_TWO)
    rig = tables.with_settings(compression=compression, extract={"split_bytes": 1024**2})
    done, verifier = rig.backup(), VerifyRig.of(rig)
    manifest, _ = read_manifest(rig.store, done.run.key, done.document.size)
    found = list(regions(manifest, done.document.size, compression))
    assert sum(region.end - region.begin for region in found) == done.document.size
    assert len(manifest.tables["large"].fragments) > 1
    for region in found:
        for at in {region.begin, (region.begin + region.end) // 2, region.end - 1}:
            replaced(rig.store, done, flipped(done.stored, at))
            fact = assert_everywhere(verifier, done.run.key, verifier.verify(done.run.key), region.named)
            assert region.named in verifier.recorded(done.run.key)["findings"][0]  # the one that the tag has room for
            if region.named.startswith("table "):
                other = [each.named for each in found if each.named.startswith("table ") and each != region]
                assert not any(f"{name}:" in fact for name in other)


def test_a_sound_backup_is_valid_everywhere(done: Outcome, verifier: VerifyRig):
    verdict = verifier.verify(done.run.key)
    require_valid(done.run.key, verdict)
    assert (verdict.state, verdict.depth, verdict.findings, verdict.warnings) == ("valid", "full", [], [])
    assert (verdict.size, verdict.rows, verdict.tables) == (done.document.size, 150, 3)
    assert verdict.checksum == done.verdict.checksum
    assert verifier.recorded(done.run.key) == verdict.to_json()
    tagged = verifier.tagged(done.run.key)
    assert tagged is not None
    assert (tagged.state, tagged.depth, tagged.at, tagged.finding) == ("valid", "full", verdict.checked_at, "")


def test_a_quick_look_at_a_sound_backup_leaves_the_full_verdict(done: Outcome, verifier: VerifyRig):
    full = verifier.tagged(done.run.key)
    quick = verifier.verify(done.run.key, "quick")
    assert (quick.state, quick.depth, quick.rows, quick.warnings) == ("valid", "quick", 150, [])
    assert verifier.tagged(done.run.key) == full
    recorded = verifier.recorded(done.run.key)
    assert (recorded["depth"], recorded["checked_at"]) == ("full", done.verdict.to_json()["checked_at"])
    assert recorded["quick_checked_at"] == quick.to_json()["checked_at"]


@pytest.mark.parametrize("depth", ["quick", "full"])
@pytest.mark.parametrize(
    "change, named",
    [
        (lambda data: data[:-1], "the object does not end with a locator"),
        (lambda data: data[: len(data) // 2], "it is truncated, or no CollabHunts backup"),
        (lambda data: data + b"\n", "the object does not end with a locator"),
        (lambda data: data[:10] + b"x" + data[10:], "the manifest should end at "),
        (lambda data: b"", "the object has 0 bytes"),
        (lambda data: b'{"hello": "world"}', "the object has 18 bytes"),
        (lambda data: b"PK\x03\x04" + bytes(200_000), "no CollabHunts backup"),
    ],
)
def test_a_cut_longer_empty_or_foreign_object_is_invalid(done: Outcome, verifier: VerifyRig, depth, change, named):
    replaced(verifier.store, done, change(done.stored))
    assert_everywhere(verifier, done.run.key, verifier.verify(done.run.key, depth), named)


def test_a_flip_is_found_by_the_servers_checksum_in_a_quick_look(done: Outcome, verifier: VerifyRig):
    at = done.stored.index(b"row 7")
    replaced(verifier.store, done, flipped(done.stored, at))
    verdict = verifier.verify(done.run.key, "quick")
    fact = assert_everywhere(verifier, done.run.key, verdict, "the checksum is crc64nvme:")
    assert f"backup_history says {done.verdict.checksum}" in fact


def test_what_was_written_stays_on_record_when_something_else_was_found(done: Outcome, verifier: VerifyRig):
    replaced(verifier.store, done, flipped(done.stored, done.stored.index(b"row 7")))
    for _ in range(3):  # the checksum of the damaged bytes must not become the one to compare with
        assert verifier.verify(done.run.key, "quick").state == "invalid"


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_another_backups_bytes_are_found_by_the_history(tables: Rig, verifier: VerifyRig, depth):
    done, other = tables.backup(), tables.backup()
    head = tables.store.head(other.run.key)
    assert head is not None
    replaced(tables.store, done, other.stored, **head.metadata)
    verdict = verifier.verify(done.run.key, depth)
    assert_everywhere(
        verifier, done.run.key, verdict, "not the one that was written: backup_history has another SHA-256"
    )


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_another_backups_bytes_are_found_by_the_bucket_alone(tables: Rig, verifier: VerifyRig, depth):
    done, other = tables.backup(), tables.backup()
    alone = verifier.without_history()
    replaced(tables.store, done, other.stored)
    verdict = alone.verify(done.run.key, depth)
    assert verdict.findings == ["the manifest is sound, but not the one that the object's metadata names"]
    head = tables.store.head(other.run.key)
    assert head is not None
    replaced(tables.store, done, other.stored, **head.metadata)
    verdict = alone.verify(done.run.key, depth)
    opened = other.run.created_at.isoformat()
    assert verdict.findings == [f"these are the bytes of another backup, opened at {opened!r}"]


def test_a_copy_uploaded_by_hand_is_valid_with_warnings(done: Outcome, verifier: VerifyRig):
    key = "backups/collabhunts-backup-2001-01-01T00-00-00-000Z.json"
    verifier.store.put(key, done.stored)
    verdict = verifier.verify(key)
    assert (verdict.state, verdict.findings) == ("valid", [])
    assert verdict.warnings == [
        "the object has no metadata of ours: somebody has uploaded it again",
        f"these are the bytes of another backup, opened at {done.run.created_at.isoformat()!r}",
    ]


def test_a_deleted_object_is_missing(done: Outcome, verifier: VerifyRig, caplog: pytest.LogCaptureFixture):
    verifier.store.delete([done.run.key])
    verdict = verifier.verify(done.run.key)
    assert (verdict.state, verdict.valid, verdict.size) == ("missing", False, 0)
    with pytest.raises(VerificationFailed, match=f"{done.run.key} is missing: backup_history has a success of 20"):
        require_valid(done.run.key, verdict)
    assert verifier.recorded(done.run.key) == verdict.to_json()
    assert verifier.store.keys("backups/") == []  # no tag, nor anything else, is written where nothing is
    assert "has no such object" in caplog.text


def test_an_object_that_came_back_is_valid_again(done: Outcome, verifier: VerifyRig):
    verifier.store.delete([done.run.key])
    verifier.verify(done.run.key)
    verifier.store.put(done.run.key, done.stored)
    assert verifier.verify(done.run.key, "quick").state == "valid"
    assert verifier.recorded(done.run.key)["state"] == "valid"


@pytest.mark.parametrize("depth", ["quick", "full"])
def test_a_document_of_a_newer_version_is_neither_valid_nor_invalid(done: Outcome, verifier: VerifyRig, depth):
    before = verifier.tagged(done.run.key), verifier.recorded(done.run.key)
    newer = forged(done.stored, manifest=lambda content: {**content, "version": VERSION + 1})
    replaced(verifier.store, done, newer)
    with pytest.raises(NewerDocument, match=f"version {VERSION + 1}, this software reads") as caught:
        verifier.verify(done.run.key, depth)
    assert "a newer one" in caught.value.hint
    assert (verifier.tagged(done.run.key), verifier.recorded(done.run.key)) == before


def test_the_other_tables_of_a_damaged_document_can_still_be_restored(tables: Rig, done: Outcome, verifier: VerifyRig):
    """As the runbook says."""
    replaced(verifier.store, done, flipped(done.stored, done.stored.index(b"row 7")))
    (finding, *_) = verifier.verify(done.run.key).findings
    assert finding.startswith("table first, ")
    with tables.connect() as connection:
        connection.execute("delete from public.second")
    restored = RestoreRig.into(tables).restore(backup_key=done.run.key, tables=["second"])
    assert restored.of("second") == (50, 0, 0, 0)


def test_a_quick_look_does_not_clear_what_a_full_reading_found(done: Outcome, verifier: VerifyRig):
    """The server's checksum is not compared where the history is out of reach: a quick look sees no damage."""
    alone = verifier.without_history()
    replaced(verifier.store, done, flipped(done.stored, done.stored.index(b"row 7")))
    damaged = alone.verify(done.run.key)
    assert damaged.state == "invalid"
    for _ in range(3):
        quick = alone.verify(done.run.key, "quick")
        assert quick.state == "invalid"
        assert "a full reading has found" in quick.findings[0]
        assert "only another one can clear that" in quick.findings[0]
        tagged = alone.tagged(done.run.key)
        assert tagged is not None
        assert (tagged.depth, tagged.at) == ("full", damaged.checked_at)
    replaced(verifier.store, done, done.stored)
    assert alone.verify(done.run.key).state == "valid"
    assert alone.verify(done.run.key, "quick").state == "valid"
