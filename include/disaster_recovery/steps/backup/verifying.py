"""Verify the backup from the bucket: every stored byte is read once."""

import base64
import logging
from datetime import datetime

from include.disaster_recovery.document import Manifest
from include.disaster_recovery.errors import VerificationFailed
from include.disaster_recovery.model import AssembledDocument, Verdict
from include.disaster_recovery.s3.documents import read_manifest
from include.disaster_recovery.s3.store import Store, StoredObject
from include.disaster_recovery.stream.checker import Observation, observe
from include.disaster_recovery.verification import check_counts, check_rows, check_skeleton

log = logging.getLogger(__name__)

SHOWN = 5  # findings in a message; the log has all


def verify_backup(
    store: Store, document: AssembledDocument, *, wanted_sse: str | None, uncovered: list[str], now: datetime
) -> Verdict:
    """Read the stored document back and hold it against plan, manifest and snapshot.

    Args:
        wanted_sse: the encryption every object should have.
        uncovered: tables of the schemas that the backup does not cover; a warning, said loudly.
        now: when the check began.

    Raises:
        VerificationFailed: something differs; every finding is listed.
        DocumentError: the document cannot be read from its end.
        StoreRefused, StoreUnavailable: a request failed.
    """
    stored = store.head(document.key)
    if stored is None or stored.size != document.size:
        raise VerificationFailed(
            f"{document.key} has {stored.size if stored else 'no'} bytes in the bucket, {document.size} were assembled",
            hint="trigger a new backup",
        )
    manifest, manifest_sha256 = read_manifest(store, document.key, stored.size)
    seen, findings = _read(store, document, stored, manifest, wanted_sse)
    if findings:  # a byte flipped on the way, which HTTP does not notice, is not there the second time
        log.warning("%s: read again, as the first reading found: %s", document.key, "; ".join(findings[:SHOWN]))
        seen, findings = _read(store, document, stored, manifest, wanted_sse)
    if manifest_sha256 != document.manifest_sha256:
        findings.append("the manifest in the bucket is not the one that was written")
    _report(document, findings, uncovered)
    return Verdict(
        valid=True,
        checked_at=now,
        size=stored.size,
        tables=len(manifest.tables),
        rows=sum(seen.rows.values()),
        fragments=sum(len(table.fragments) for table in manifest.tables.values()),
        checksum=f"crc64nvme:{_base64(seen.crc64nvme)}",
        findings=findings,
        warnings=[f"table {name} is in no backup" for name in uncovered],
    )


def _read(
    store: Store, document: AssembledDocument, stored: StoredObject, manifest: Manifest, wanted_sse: str | None
) -> tuple[Observation, list[str]]:
    """One reading of every byte, and what it found."""
    seen = observe(store.stream(document.key, 0, stored.size), manifest, stored.size)
    return seen, [
        *seen.findings,
        *check_skeleton(bytes(seen.skeleton), manifest),
        *check_rows(seen.rows, manifest),
        *check_counts(document.row_counts, manifest),
        *_object_findings(stored, seen, wanted_sse),
    ]


def _object_findings(stored: StoredObject, seen: Observation, wanted_sse: str | None) -> list[str]:
    findings = []
    if stored.checksum and stored.checksum != _base64(seen.crc64nvme):
        findings.append(f"CRC64NVME of the bytes is {_base64(seen.crc64nvme)}, the server keeps {stored.checksum}")
    if wanted_sse and stored.sse != wanted_sse:
        findings.append(f"the object is encrypted with {stored.sse}, the settings want {wanted_sse}")
    return findings


def _base64(checksum: int) -> str:
    """As S3 writes it: eight bytes, big-endian, base64."""
    return base64.b64encode(checksum.to_bytes(8, "big")).decode()


def _report(document: AssembledDocument, findings: list[str], uncovered: list[str]) -> None:
    for finding in findings:
        log.error("%s: %s", document.key, finding)
    if findings:
        raise VerificationFailed(
            f"{document.key} is not what was written, {len(findings)} finding(s): {'; '.join(findings[:SHOWN])}",
            hint="trigger a new backup; the document is kept, unverified, for inspection",
        )
    for name in uncovered:
        log.warning("TABLE %s IS IN NO BACKUP: add it to tables.include, or name it in tables.exclude knowingly", name)
    log.info("verified %s: %d bytes, %d tables", document.key, document.size, len(document.row_counts))
