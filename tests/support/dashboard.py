"""Entries and views of Backup History, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from include.disaster_recovery.backup_key import backup_key, file_name
from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.dashboard.model import BackupEntry, Problem
from include.disaster_recovery.dashboard.view import Line, View
from include.disaster_recovery.history.listing import ListedRow

NOW = datetime(2026, 11, 22, 7, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PREFIX = "backups/"
USUAL: dict[str, Any] = {
    "status": "success",
    "backup_type": "scheduled",
    "tables": 18,
    "rows": 100,
    "size": 1000,
    "seconds": 12.5,
    "verification": "valid",
    "verified_at": None,
    "verification_depth": "full",
    "finding": None,
    "drill": "none",
    "drilled_at": None,
    "drill_seconds": None,
    "retention": [],
    "is_expiring": False,
    "pinned": None,
    "in_use": False,
    "in_bucket": True,
    "error": None,
    "unusual": [],
    "warnings": 0,
    "run_id": "scheduled__1",
}


def entry(**given: Any) -> BackupEntry:
    """A successful, verified backup of now; with other values where they are given."""
    at = given.get("created_at", NOW)
    name = file_name(backup_key("backups/", at, "none"))
    return BackupEntry(**{**USUAL, "id": f"id of {at.isoformat()}", "file_name": name, "created_at": at, **given})


def line(each: BackupEntry, **given: Any) -> Line:
    """The line of an entry."""
    values: dict[str, Any] = {
        "key": f"backups/{each.file_name}" if each.in_bucket else None,
        "has_row": True,
        "is_ours": True,
        "expired_at": None,
        "phases": {},
        "searched": "",
    }
    return Line(entry=each, **{**values, **given})


def record(at: datetime = NOW, **more: Any) -> BackupRecord:
    """What the bucket knows of the backup of a moment."""
    return BackupRecord(key=backup_key(PREFIX, at, "none"), created_at=at, size=1000, **more)


def row(at: datetime = NOW, *, ours: bool = True, **more: Any) -> ListedRow:
    """The history row of the backup of a moment: ours, or the old edge function's."""
    values = {
        "id": f"{'ours' if ours else 'old'} {at.isoformat()}",
        "backup_type": "scheduled",
        "status": "success",
        "file_name": file_name(backup_key(PREFIX, at, "none")),
        "file_size": 10,
        "execution_time_ms": 1500,
        "components": {"run": {"run_id": "scheduled__1"}} if ours else {"tables": True},
        "error_message": None,
        "created_at": at,
    }
    return ListedRow.model_validate({**values, **more})


def view(
    entries: Sequence[BackupEntry | Line],
    *,
    has_bucket: bool = True,
    has_history: bool = True,
    problems: Sequence[Problem] = (),
) -> View:
    """A view of entries, newest first, read now."""
    lines = [each if isinstance(each, Line) else line(each) for each in entries]
    there = [each.entry for each in lines if each.entry.in_bucket]
    return View(
        lines=lines,
        records=[
            BackupRecord(
                key=f"backups/{each.file_name}", created_at=each.created_at, size=each.size or 0, pinned=each.pinned
            )
            for each in there
        ]
        if has_bucket
        else None,
        rows=[] if has_history else None,
        retention=[],
        problems=problems,
        read_at=NOW,
    )
