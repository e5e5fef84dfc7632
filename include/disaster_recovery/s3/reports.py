"""Reports of restores and drills, kept beside the backups they prove."""

import json
import re
from dataclasses import dataclass
from datetime import datetime

from include.disaster_recovery.backup_key import file_name, is_backup_key, moment, timestamp
from include.disaster_recovery.drill_guard import EarlierDrill
from include.disaster_recovery.drill_model import DrillReport
from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.restore_model import RestoreReport
from include.disaster_recovery.s3.store import Store

RESTORES, DRILLS = "restores/", "drills/"
LARGEST = 16 * 1024**2  # bytes of a report that are read: one of a thousand tables is below 1 MiB
_NAME = re.compile(r"(?P<at>.{24})-of-(?P<backup>.+)\.json")


@dataclass(frozen=True, kw_only=True)
class StoredReport:
    """A report as its name tells: when it began, and of which backup, without suffixes. `name` is below its folder."""

    key: str
    name: str
    at: datetime
    backup: str
    modified: datetime


def report_key(prefix: str, report: RestoreReport | DrillReport) -> str:
    """Where a report is kept. Written again, as by a second try, it replaces itself.

    Raises:
        StoreRefused: its backup has no key of ours below the prefix.
    """
    if isinstance(report, DrillReport):
        return _key(prefix, DRILLS, report.key, report.started_at)
    return _key(prefix, RESTORES, report.run.key, report.run.opened_at)


def write_report(store: Store, prefix: str, report: RestoreReport | DrillReport) -> str:
    """Keep a report as JSON; returns its key.

    Raises:
        StoreRefused, StoreUnavailable: it cannot be written.
    """
    key = report_key(prefix, report)
    store.put(key, json.dumps(report.to_json(), ensure_ascii=False, indent=2).encode())
    return key


def reported_drills(store: Store, prefix: str) -> list[EarlierDrill]:
    """Every drill that has left a report, as the reports' names tell: when it began, and of which backup.

    Raises:
        StoreRefused, StoreUnavailable: the request failed.
    """
    return [EarlierDrill(at=each.at, backup=each.backup) for each in list_reports(store, prefix, DRILLS)]


def list_reports(store: Store, prefix: str, folder: str) -> list[StoredReport]:
    """Every report of a folder, `RESTORES` or `DRILLS`, oldest first; somebody else's objects are left out.

    Raises:
        StoreRefused, StoreUnavailable: the request failed.
    """
    found = store.moments(f"{prefix}{folder}")
    return [report for key, modified in found.items() if (report := _named(f"{prefix}{folder}", key, modified))]


def read_text(store: Store, report: StoredReport) -> bytes:
    """The JSON of a report.

    Raises:
        StoreRefused: it is gone, or larger than any report.
        StoreUnavailable: the request failed.
    """
    found = store.head(report.key)
    if found is None:
        raise StoreRefused(f"{report.key} is gone", hint="list the reports again")
    if found.size > LARGEST:
        raise StoreRefused(f"{report.key} has {found.size} bytes, at most {LARGEST} are read", hint="it is no report")
    return store.read(report.key, 0, found.size)


def bare_name(key: str) -> str:
    """The file name of a backup without its suffixes, as reports are named after it."""
    return file_name(key).partition(".json")[0]


def _named(folder: str, key: str, modified: datetime) -> StoredReport | None:
    name = key.removeprefix(folder)
    match = _NAME.fullmatch(name)
    try:
        at = moment(match["at"]) if match else None
    except ValueError:  # somebody else's object
        return None
    if match is None or at is None:
        return None
    return StoredReport(key=key, name=name, at=at, backup=match["backup"], modified=modified)


def _key(prefix: str, folder: str, key: str, at: datetime) -> str:
    if not is_backup_key(prefix, key):
        raise StoreRefused(f"{key!r} is no backup key below {prefix}", hint="set s3.prefix to where the backup is")
    return f"{prefix}{folder}{timestamp(at)}-of-{bare_name(key)}.json"
