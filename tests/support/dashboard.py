"""Entries and views of Backup History, made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from include.disaster_recovery.backup_key import backup_key, file_name
from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.dashboard.model import BackupEntry, Problem
from include.disaster_recovery.dashboard.view import Line, View

NOW = datetime(2026, 11, 22, 7, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
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
        has_history=has_history,
        retention=[],
        problems=problems,
        read_at=NOW,
    )
