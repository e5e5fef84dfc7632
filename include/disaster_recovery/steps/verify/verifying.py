"""Verify one backup: what the bucket holds against its own manifest and against what is on record."""

import logging
from collections.abc import Callable
from datetime import datetime

from include.disaster_recovery.backup_record import Verification
from include.disaster_recovery.errors import StoreRefused, VerificationFailed
from include.disaster_recovery.history.rows import HistoryRow
from include.disaster_recovery.history.verdicts import is_expired, known_of, verdict_of
from include.disaster_recovery.model import Depth, Verdict
from include.disaster_recovery.s3.store import Store, StoredObject
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.verify.examining import examine, shown
from include.disaster_recovery.steps.verify.keeping import Connect, read_row, record, tag, tagged
from include.disaster_recovery.verification import as_verification

log = logging.getLogger(__name__)

MOMENT = "%Y-%m-%d %H:%M UTC"
RUNBOOK = "docs/runbooks/verification-failed.md says what to do, and restore from no backup but a valid one"


def verify(
    store: Store, settings: Settings, key: str, depth: Depth, *, connect: Connect, now: Callable[[], datetime]
) -> Verdict | None:
    """Verify a backup, and keep the verdict on the object and in its row; None if it has expired meanwhile.

    Args:
        key: the backup key.
        connect: opens a session on the source database, for its history; it may be out of reach.

    Raises:
        NewerDocument: a newer version of this package has written it; nothing is kept.
        SignatureRefused: it is not signed as the settings ask; nothing is kept, and what was known of it stands.
        StoreRefused, StoreUnavailable: a request failed; nothing is kept.
    """
    began, row, stored = now(), read_row(connect, key), store.head(key)
    verdict = _examined(store, stored, row, depth, began) if stored else None
    if stored is None or verdict is None:
        return _gone(key, connect, began)
    if settings.s3.sse not in (None, stored.sse):
        verdict = _warned(verdict, f"the object is encrypted with {stored.sse}, the settings want {settings.s3.sse}")
    for warning in verdict.warnings:
        log.warning("%s: %s", key, warning)
    damage = _known_damage(tagged(store, key), row)
    tag(store, key, verdict)
    record(connect, key, verdict)
    if verdict.valid and depth == "quick" and damage is not None:
        return _still_invalid(verdict, damage)
    return verdict


def require_valid(key: str, verdict: Verdict) -> None:
    """Say that a backup is valid, or fail.

    Raises:
        VerificationFailed: it is missing or invalid; the first findings are named.
    """
    if verdict.state == "missing":
        raise VerificationFailed(f"{key} is missing: {verdict.findings[0]}", hint=RUNBOOK)
    if not verdict.valid:
        count = len(verdict.findings)
        raise VerificationFailed(
            f"{key} is not what was written, {count} finding(s): {shown(verdict.findings)}", hint=RUNBOOK
        )
    log.info("%s is valid (%s): %d bytes, %d rows", key, verdict.depth, verdict.size, verdict.rows)


def _examined(
    store: Store, stored: StoredObject, row: HistoryRow | None, depth: Depth, now: datetime
) -> Verdict | None:
    """The verdict; None where the object was deleted while it was read, which says nothing of its bytes."""
    try:
        verdict = examine(store, stored, known_of(row), depth, now=now)
    except StoreRefused:
        if store.head(stored.key) is not None:
            raise
        return None
    return verdict if verdict.valid or store.head(stored.key) is not None else None


def _gone(key: str, connect: Connect, now: datetime) -> Verdict | None:
    """What an object that is not there means; retention marks the row before it deletes."""
    row = read_row(connect, key)
    if row is not None and is_expired(row):
        log.info("%s has expired, its object is gone as it should be", key)
        return None
    verdict = _missing(row, now)
    log.error("%s: %s", key, verdict.findings[0])
    record(connect, key, verdict)
    return verdict


def _missing(row: HistoryRow | None, now: datetime) -> Verdict:
    said = f"backup_history has a {row.status} of {row.created_at:{MOMENT}}" if row else "it was listed a moment ago"
    return Verdict(
        valid=False,
        state="missing",
        depth="quick",
        checked_at=now,
        size=0,
        tables=0,
        rows=0,
        fragments=0,
        checksum=None,
        findings=[f"{said}, now the bucket has no such object"],
        warnings=[],
    )


def _known_damage(in_bucket: Verification | None, row: HistoryRow | None) -> Verification | None:
    """The full reading that found damage, if that is the last word so far."""
    recorded = verdict_of(row) if row else None
    in_history = as_verification(recorded) if recorded and recorded.state != "missing" else None
    said = [each for each in (in_bucket, in_history) if each is not None and each.depth == "full"]
    last = max(said, key=lambda each: each.at, default=None)
    return last if last is not None and last.state == "invalid" else None


def _still_invalid(verdict: Verdict, damage: Verification) -> Verdict:
    """A quick look clears nobody: it has not read what was found damaged."""
    finding = f"a full reading has found, at {damage.at:{MOMENT}}: {damage.finding}; only another one can clear that"
    return verdict.model_copy(update={"valid": False, "state": "invalid", "findings": [finding]})


def _warned(verdict: Verdict, warning: str) -> Verdict:
    return verdict.model_copy(update={"warnings": [*verdict.warnings, warning]})
