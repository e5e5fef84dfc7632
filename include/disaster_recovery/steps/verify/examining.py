"""One examination of a stored document, for the backup's own verification and for every later one."""

import base64
import logging
from dataclasses import dataclass, field
from datetime import datetime

from include.disaster_recovery.document import Manifest
from include.disaster_recovery.errors import DocumentError, NewerDocument, SignatureRefused
from include.disaster_recovery.model import Depth, Verdict
from include.disaster_recovery.s3.documents import IN_METADATA, read_displaced, read_manifest, read_section
from include.disaster_recovery.s3.store import Store, StoredObject
from include.disaster_recovery.stream.checker import observe
from include.disaster_recovery.verification import (
    Known,
    check_manifest,
    check_record,
    check_rows,
    check_skeleton,
    is_of_key,
)

log = logging.getLogger(__name__)

SHOWN = 5  # findings in a message
KEPT = 20  # findings in a verdict; the log has all


@dataclass(kw_only=True)
class _Reading:
    """What one reading has found; `checksum` is of the bytes read, or the one the server keeps."""

    findings: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    manifest: Manifest | None = None
    rows: int = 0
    checksum: str | None = None


def examine(store: Store, stored: StoredObject, known: Known, depth: Depth, *, now: datetime) -> Verdict:
    """Hold a stored document against itself and against what is on record of it.

    What is found is read again before it is believed: a byte flipped on the way, which HTTP does not notice, is not
    there the second time.

    Args:
        stored: what the bucket says of the object.
        known: what is on record.
        depth: `quick` reads manifest and metadata, `full` every byte.
        now: when the examination began.

    Raises:
        NewerDocument: a newer version of this package has written it: whether it is sound cannot be told.
        SignatureRefused: it is not signed as the store's keyring asks: whether it is ours cannot be told.
        StoreRefused, StoreUnavailable: a request failed.
    """
    reading = _read(store, stored, known, depth)
    if reading.findings:
        log.warning("%s: read again, as the first reading found: %s", stored.key, shown(reading.findings))
        reading = _read(store, stored, known, depth)
    for finding in reading.findings:
        log.error("%s: %s", stored.key, finding)
    tables = reading.manifest.tables if reading.manifest else {}
    return Verdict(
        valid=not reading.findings,
        state="invalid" if reading.findings else "valid",
        depth=depth,
        checked_at=now,
        size=stored.size,
        tables=len(tables),
        rows=reading.rows,
        fragments=sum(len(table.fragments) for table in tables.values()),
        checksum=reading.checksum,
        findings=reading.findings[:KEPT],
        warnings=reading.warnings,
    )


def shown(findings: list[str]) -> str:
    """The first findings, for one line."""
    more = f"; and {len(findings) - SHOWN} more, see the log" if len(findings) > SHOWN else ""
    return "; ".join(findings[:SHOWN]) + more


def _read(store: Store, stored: StoredObject, known: Known, depth: Depth) -> _Reading:
    """One reading. What names a place in the document comes first: of all findings, a tag has room for one."""
    kept = f"crc64nvme:{stored.checksum}" if stored.checksum else None
    found = _Reading(checksum=kept)
    try:
        _read_document(found, store, stored, known, depth)
    except (NewerDocument, SignatureRefused):
        raise
    except DocumentError as error:
        found.findings.append(_about_document(stored.key, error) + (_where(store, stored) if depth == "full" else ""))
    found.findings += check_record(known, size=stored.size, checksum=found.checksum, sse=stored.sse)
    if kept != found.checksum and kept is not None:
        found.findings.append(f"the checksum of the bytes is {found.checksum}, the server keeps {kept}")
    if depth == "quick" and not (kept and known.checksum):
        found.warnings.append("there is no checksum to compare: only a full reading tells whether its bytes changed")
    return found


def _read_document(found: _Reading, store: Store, stored: StoredObject, known: Known, depth: Depth) -> None:
    manifest, manifest_sha256 = read_manifest(store, stored.key, stored.size)
    log.info("%s is %s", stored.key, store.keyring().standing(manifest.signature))
    found.manifest, found.rows = manifest, sum(table.row_count for table in manifest.tables.values())
    if depth == "full":
        _read_all(found, manifest, store, stored)
    found.findings += check_manifest(known, manifest, manifest_sha256)
    _compare_metadata(found, stored, manifest_sha256)
    if not found.findings:
        _compare_origin(found, manifest, store, stored)


def _compare_metadata(found: _Reading, stored: StoredObject, manifest_sha256: str) -> None:
    """The object's own metadata names the manifest, unless somebody else has uploaded it."""
    written = stored.metadata.get(IN_METADATA)
    if written is None:
        found.warnings.append("the object has no metadata of ours: somebody has uploaded it again")
    elif written != manifest_sha256:
        found.findings.append("the manifest is sound, but not the one that the object's metadata names")


def _read_all(found: _Reading, manifest: Manifest, store: Store, stored: StoredObject) -> None:
    """Every byte once, from the first to the last."""
    seen = observe(store.stream(stored.key, 0, stored.size), manifest, stored.size)
    found.findings += [
        *seen.findings,
        *check_skeleton(bytes(seen.skeleton), manifest),
        *check_rows(seen.rows, manifest),
    ]
    found.rows = sum(seen.rows.values())
    found.checksum = f"crc64nvme:{base64.b64encode(seen.crc64nvme.to_bytes(8, 'big')).decode()}"  # as S3 writes it


def _where(store: Store, stored: StoredObject) -> str:
    """Where bytes are missing or too many: only the first place that differs tells, all behind it do too."""
    manifest = read_displaced(store, stored.key, stored.size)
    if manifest is None:
        return ""
    seen = observe(store.stream(stored.key, 0, stored.size), manifest, stored.size)
    return f"; the first place that differs: {seen.findings[0]}" if seen.findings else ""


def _compare_origin(found: _Reading, manifest: Manifest, store: Store, stored: StoredObject) -> None:
    """A sound document may be another backup's, copied over this key. One uploaded by hand may be meant to be."""
    metadata = read_section(store, stored.key, manifest, "metadata")
    if not is_of_key(stored.key, metadata):
        fact = f"these are the bytes of another backup, opened at {str(metadata.get('created_at'))[:40]!r}"
        (found.findings if IN_METADATA in stored.metadata else found.warnings).append(fact)


def _about_document(key: str, error: DocumentError) -> str:
    """The error's fact, without the key that every message names anyway."""
    return error.fact.removeprefix(f"{key}: ").replace(f"{key} cannot be read", "the document cannot be read", 1)
