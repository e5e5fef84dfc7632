"""What the history knows of a backup joins what the bucket knows: a key that may not tag leaves it to the history."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from include.disaster_recovery.backup_key import file_name
from include.disaster_recovery.backup_record import BackupRecord, Proof, Verification, taggable
from include.disaster_recovery.history.rows import HistoryRow
from include.disaster_recovery.history.verdicts import best_row, is_expired, verdict_of

EXPIRED = "expired"  # the key below components_backed_up: {at, reason}, or null where it was taken back


def recall(records: Iterable[BackupRecord], rows: Sequence[HistoryRow]) -> list[BackupRecord]:
    """The records with the later verdict of bucket and history, and the mark of an expiry that was not finished.

    Args:
        rows: newest first.
    """
    by_name: dict[str | None, list[HistoryRow]] = {}
    for row in rows:
        by_name.setdefault(row.file_name, []).append(row)
    return [_joined(record, best_row(by_name.get(file_name(record.key), []))) for record in records]


def _joined(record: BackupRecord, row: HistoryRow | None) -> BackupRecord:
    if row is None:
        return record
    changes = {
        "verification": _later_verdict(record.verification, _verification(row)),
        "proof": _later_proof(record.proof, _proof(row)),
        "is_expiring": record.is_expiring or is_expired(row),
    }
    return record.model_copy(update=changes)


def _later_verdict(tagged: Verification | None, recorded: Verification | None) -> Verification | None:
    if tagged is None or recorded is None:
        return tagged or recorded
    earlier, later = sorted((recorded, tagged), key=lambda verdict: _seconds(verdict.at))  # stable: then the tag's
    return later if earlier.is_superseded_by(later) else earlier


def _later_proof(tagged: Proof | None, recorded: Proof | None) -> Proof | None:
    if tagged is None or recorded is None:
        return tagged or recorded
    return tagged if _seconds(tagged.at) >= _seconds(recorded.at) else recorded


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)  # as tags have it


def _verification(row: HistoryRow) -> Verification | None:
    """None where there is no verdict, the object was missing, or the row promises nothing: only a success does."""
    verdict = verdict_of(row)
    if verdict is None or verdict.state == "missing" or (verdict.valid and row.status != "success"):
        return None
    state, finding = verdict.state, "".join(verdict.findings[:1])
    return Verification(state=state, depth=verdict.depth, at=verdict.checked_at, finding=taggable(finding))


def _proof(row: HistoryRow) -> Proof | None:
    drill: Mapping[str, Any] | None = row.components.get("drill")
    if not isinstance(drill, dict):
        return None
    try:
        return Proof.model_validate({name: drill.get(name) for name in Proof.model_fields})
    except ValidationError:
        return None
