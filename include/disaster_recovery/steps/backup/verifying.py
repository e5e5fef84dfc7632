"""Verify the backup from the bucket: every stored byte is read once."""

import logging
from datetime import datetime

from include.disaster_recovery.errors import StoreUnavailable, VerificationFailed
from include.disaster_recovery.model import AssembledDocument, Verdict
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.steps.verify.examining import examine, shown
from include.disaster_recovery.steps.verify.keeping import tag
from include.disaster_recovery.verification import Known

log = logging.getLogger(__name__)


def verify_backup(
    store: Store, document: AssembledDocument, *, wanted_sse: str | None, uncovered: list[str], now: datetime
) -> Verdict:
    """Read the stored document back and hold it against plan, manifest and snapshot; the object's tags say the verdict.

    Args:
        wanted_sse: the encryption every object should have.
        uncovered: tables of the schemas that the backup does not cover; a warning, said loudly.
        now: when the check began.

    Raises:
        VerificationFailed: something differs; every finding is listed.
        StoreRefused, StoreUnavailable: a request failed.
    """
    stored = store.head(document.key)
    if stored is None or stored.size != document.size:
        raise VerificationFailed(
            f"{document.key} has {stored.size if stored else 'no'} bytes in the bucket, {document.size} were assembled",
            hint="trigger a new backup",
        )
    written = Known(
        where="the snapshot",
        manifest_sha256=document.manifest_sha256,
        row_counts=document.row_counts,
        sse=wanted_sse,
    )
    verdict = examine(store, stored, written, "full", now=now)
    _tag(store, document.key, verdict)
    _report(document, verdict.findings, uncovered)
    warnings = [*verdict.warnings, *(f"table {name} is in no backup" for name in uncovered)]
    return verdict.model_copy(update={"warnings": warnings})


def _tag(store: Store, key: str, verdict: Verdict) -> None:
    """The bytes were read already: a tag is not worth reading them again, the history has the verdict too."""
    try:
        tag(store, key, verdict)
    except StoreUnavailable as error:
        log.warning("%s: the verdict is not kept on the object: %s", key, error.fact)


def _report(document: AssembledDocument, findings: list[str], uncovered: list[str]) -> None:
    if findings:
        raise VerificationFailed(
            f"{document.key} is not what was written, {len(findings)} finding(s): {shown(findings)}",
            hint="trigger a new backup; the document is kept, marked invalid, for inspection",
        )
    for name in uncovered:
        log.warning("TABLE %s IS IN NO BACKUP: add it to tables.include, or name it in tables.exclude knowingly", name)
    log.info("verified %s: %d bytes, %d tables", document.key, document.size, len(document.row_counts))
