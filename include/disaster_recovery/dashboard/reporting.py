"""The reports of restores and drills that lie in the bucket, newest first."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from include.disaster_recovery.backup_key import file_name
from include.disaster_recovery.dashboard.cache import Recent
from include.disaster_recovery.dashboard.report_model import Report, ReportEntry, ReportKind
from include.disaster_recovery.drill_model import DrillReport
from include.disaster_recovery.errors import BackupUnknown, StoreRefused, StoreUnavailable
from include.disaster_recovery.restore_model import Check, RestoreReport
from include.disaster_recovery.s3.reports import DRILLS, RESTORES, StoredReport, list_reports, read_text
from include.disaster_recovery.s3.store import Store

FOLDERS: dict[ReportKind, str] = {"restore": RESTORES, "drill": DRILLS}
MOST_LISTED = 200
THREADS = 8  # one report each; the client's pool has 16 connections


class Reports:
    """Reads reports, and keeps the lines of those that it has read."""

    def __init__(self) -> None:
        self._entries: Recent[ReportEntry] = Recent(2 * len(FOLDERS) * MOST_LISTED)

    def list(self, store: Store, prefix: str, kind: ReportKind) -> Sequence[ReportEntry]:
        """The newest reports; one that cannot be read is listed as its name tells.

        Raises:
            StoreRefused, StoreUnavailable: the bucket cannot be listed.
        """
        found = _stored(store, prefix, kind)[:MOST_LISTED]
        with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="reports") as pool:
            return list(pool.map(lambda stored: self._entry(store, kind, stored), found))

    def read(self, store: Store, prefix: str, kind: ReportKind, name: str) -> Report:
        """One report in full; only its line where it cannot be parsed.

        Raises:
            BackupUnknown: there is no report of that name.
            StoreRefused, StoreUnavailable: a request failed.
        """
        stored = next((each for each in _stored(store, prefix, kind) if each.name == name), None)
        if stored is None:
            raise BackupUnknown(f"there is no report of a {kind} of that name", hint="reload the list of reports")
        return _parsed(kind, stored, read_text(store, stored))

    def _entry(self, store: Store, kind: ReportKind, stored: StoredReport) -> ReportEntry:
        try:
            return self._entries.get(
                (stored.key, stored.modified), lambda: _parsed(kind, stored, read_text(store, stored)).entry
            )
        except (StoreRefused, StoreUnavailable):
            return _unreadable(kind, stored)


def _stored(store: Store, prefix: str, kind: ReportKind) -> Sequence[StoredReport]:
    found = [each for each in list_reports(store, prefix, FOLDERS[kind]) if "/" not in each.name]
    return sorted(found, key=lambda stored: (stored.at, stored.name), reverse=True)


def _parsed(kind: ReportKind, stored: StoredReport, text: bytes) -> Report:
    try:
        found = _report(kind, stored, text)
        json.dumps(found.to_json(), allow_nan=False)  # else it could be read, and not be answered with
    except (ValueError, TypeError, RecursionError):  # pydantic's errors are ValueErrors
        return Report(entry=_unreadable(kind, stored))
    return found


def _report(kind: ReportKind, stored: StoredReport, text: bytes) -> Report:
    if kind == "drill":
        drill = DrillReport.model_validate_json(text)
        return Report(entry=_of_drill(stored, drill), drill=drill)
    restore = RestoreReport.model_validate_json(text)
    return Report(entry=_of_restore(stored, restore), restore=restore)


def _of_drill(stored: StoredReport, drill: DrillReport) -> ReportEntry:
    return ReportEntry(
        kind="drill",
        name=stored.name,
        at=drill.started_at,
        backup=file_name(drill.key),
        state="passed" if drill.state == "proven" else "failed",
        seconds=drill.seconds,
        target=drill.target,
        run_id=drill.run_id,
        **_outcomes(drill.checks),
    )


def _of_restore(stored: StoredReport, restore: RestoreReport) -> ReportEntry:
    outcomes = _outcomes(restore.checks)
    return ReportEntry(
        kind="restore",
        name=stored.name,
        at=restore.started_at,
        backup=file_name(restore.run.key),
        state="failed" if outcomes["failed"] else "passed",
        seconds=_seconds(restore.started_at, restore.finished_at),
        target=restore.run.target,
        run_id=restore.run.run_id,
        **outcomes,
    )


def _outcomes(checks: Sequence[Check]) -> dict[str, Any]:
    return {name: sum(check.outcome == name for check in checks) for name in ("passed", "failed", "skipped")}


def _seconds(start: datetime, end: datetime) -> float:
    return round((end - start).total_seconds(), 3)


def _unreadable(kind: ReportKind, stored: StoredReport) -> ReportEntry:
    return ReportEntry(
        kind=kind,
        name=stored.name,
        at=stored.at,
        backup=stored.backup,
        state="unreadable",
        seconds=None,
        target=None,
        passed=0,
        failed=0,
        skipped=0,
        run_id=None,
    )
