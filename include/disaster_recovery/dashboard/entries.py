"""The table of Backup History: what bucket and history say of each backup, in one entry. Pure.

Anybody may have written the history's JSON: whatever has another shape than ours is left out.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, get_args

from include.disaster_recovery.backup_key import file_name, is_backup_key
from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.dashboard.components import expired_at, phases_of, unusual, why_expired
from include.disaster_recovery.dashboard.model import BackupEntry, Status, Verified
from include.disaster_recovery.dashboard.view import Line
from include.disaster_recovery.history.listing import ListedRow
from include.disaster_recovery.history.recalling import recall
from include.disaster_recovery.history.tidying import STALE_AGE
from include.disaster_recovery.history.verdicts import best_row, is_expired, verdict_of
from include.disaster_recovery.model import BackupType
from include.disaster_recovery.plain_text import cut
from include.disaster_recovery.retention import Decision

LONGEST_TEXT = 1000
ABANDONED = "it was never closed: the run that took it was killed, or it is another program's"
Number = TypeVar("Number", int, float)


def join_lines(
    records: Sequence[BackupRecord] | None,
    rows: Sequence[ListedRow],
    decisions: Mapping[str, Decision],
    prefix: str,
    now: datetime,
) -> list[Line]:
    """One line for each row, and for each backup of the bucket that has none; newest first.

    Args:
        records: of the bucket, recalled; None where it could not be read.
        rows: newest first.
        decisions: of the retention policy, by backup key.
    """
    rows = [_closed(row, now) for row in rows]
    real = {record.key: record for record in records or []}
    owners = _owners(rows, prefix)
    lines = [_line_of_row(row, real, owners, decisions, prefix, is_read=records is not None) for row in rows]
    known = {line.key for line in lines}
    lines += [_line_of_record(record, decisions) for record in real.values() if record.key not in known]
    return sorted(lines, key=lambda line: line.entry.created_at, reverse=True)


def _owners(rows: Sequence[ListedRow], prefix: str) -> dict[str, str]:
    """The id of the row that speaks for each backup key: a file name may have several rows."""
    by_key: dict[str, list[ListedRow]] = {}
    for row in rows:
        if row.file_name and is_backup_key(prefix, prefix + row.file_name):
            by_key.setdefault(prefix + row.file_name, []).append(row)
    return {key: best.id for key, found in by_key.items() if (best := best_row(found))}


def _closed(row: ListedRow, now: datetime) -> ListedRow:
    """A row that is open for longer than any run may take is of a backup that nobody is taking any more."""
    if row.status != "in_progress" or now - row.created_at <= STALE_AGE:
        return row
    return row.model_copy(update={"status": "failed", "error_message": row.error_message or ABANDONED})


def _line_of_row(
    row: ListedRow,
    real: Mapping[str, BackupRecord],
    owners: Mapping[str, str],
    decisions: Mapping[str, Decision],
    prefix: str,
    *,
    is_read: bool,
) -> Line:
    key = f"{prefix}{row.file_name}" if row.file_name else ""
    owns = owners.get(key) == row.id
    record = real.get(key) if owns else None
    in_bucket = record is not None if is_read else None
    known = record or _as_recorded(row, key)
    status = _status(row, in_bucket)
    is_ours = row.run_id is not None  # else it is of another program, whose object may never have been in this bucket
    is_missing = in_bucket is False and status == "success" and owns and is_ours
    entry = BackupEntry(
        id=row.id,
        file_name=_cut(row.file_name),
        status=status,
        backup_type=_backup_type(row.backup_type),
        created_at=record.created_at if record else row.created_at,
        tables=row.tables,
        rows=row.rows,
        size=record.size if record else _possible(row.file_size),
        seconds=_seconds(row.execution_time_ms),
        **_verdict(known, row, is_missing=is_missing),
        **_drill(known),
        **_retention(record, decisions, row),
        in_bucket=in_bucket,
        error=_cut(row.error_message),
        unusual=unusual(row.components),
        warnings=row.warnings or 0,
        run_id=_cut(row.run_id),
    )
    return _line(entry, record.key if record else None, row, is_ours=is_ours)


def _line_of_record(record: BackupRecord, decisions: Mapping[str, Decision]) -> Line:
    """A backup that only the bucket knows: the history was lost, or is of another database.

    Whoever took it, it is counted as ours if it was found valid: no other program's document is.
    """
    name = file_name(record.key)
    entry = BackupEntry(
        id=name,
        file_name=name,
        status="success",
        backup_type=None,
        created_at=record.created_at,
        tables=None,
        rows=None,
        size=record.size,
        seconds=None,
        **_verdict(record, None, is_missing=False),
        **_drill(record),
        **_retention(record, decisions, None),
        in_bucket=True,
        error=None,
        unusual=[],
        warnings=0,
        run_id=None,
    )
    return _line(entry, record.key, None, is_ours=record.is_verified)


def _line(entry: BackupEntry, key: str | None, row: ListedRow | None, *, is_ours: bool) -> Line:
    texts = (entry.file_name, entry.error, entry.backup_type, entry.run_id, entry.pinned)
    return Line(
        entry=entry,
        key=key,
        has_row=row is not None,
        is_ours=is_ours,
        expired_at=expired_at(row.components) if row else None,
        phases=phases_of(row.components) if row else {},
        searched="\n".join(text for text in texts if text).casefold(),
    )


def _as_recorded(row: ListedRow, key: str) -> BackupRecord:
    """What the row alone knows, as if the bucket had it."""
    (found,) = recall([BackupRecord(key=key, created_at=row.created_at, size=row.file_size or 0)], [row])
    return found


def _status(row: ListedRow, in_bucket: bool | None) -> Status:
    if not in_bucket and row.status == "success" and is_expired(row):  # a failed one stays what it was
        return "expired"
    return row.status if row.status in get_args(Status) else "failed"  # type: ignore[return-value]


def _backup_type(text: str) -> BackupType | None:
    return text if text in get_args(BackupType) else None  # type: ignore[return-value]


def _verdict(record: BackupRecord, row: ListedRow | None, *, is_missing: bool) -> dict[str, Any]:
    found = record.verification
    state: Verified = "missing" if is_missing else found.state if found else "unverified"
    said = None
    if state == "invalid" and row and (verdict := verdict_of(row)):
        said = next(iter(verdict.findings), None)
    if state == "missing":
        said = "the bucket does not have it"
    return {
        "verification": state,
        "verified_at": found.at if found else None,
        "verification_depth": found.depth if found else None,
        "finding": _cut(said or (found.finding if found else None)) or None,
    }


def _drill(record: BackupRecord) -> dict[str, Any]:
    proof = record.proof
    return {
        "drill": proof.state if proof else "none",
        "drilled_at": proof.at if proof else None,
        "drill_seconds": _possible(proof.seconds) if proof else None,
    }


def _retention(record: BackupRecord | None, decisions: Mapping[str, Decision], row: ListedRow | None) -> dict[str, Any]:
    decision = decisions.get(record.key) if record else None
    return {
        "retention": decision.reasons if decision else why_expired(row.components) if row else [],
        "is_expiring": decision is not None and decision.action == "expire",
        "pinned": record.pinned if record else None,
        "in_use": record is not None and record.in_use,
    }


def _seconds(milliseconds: int | None) -> float | None:
    return _possible(milliseconds / 1000) if milliseconds is not None else None


def _possible(number: Number | None) -> Number | None:
    """Bytes and durations that can be; anybody may have written the column."""
    return number if number is not None and number >= 0 else None


def _cut(text: str | None) -> str | None:
    return None if text is None else cut(text, LONGEST_TEXT)
