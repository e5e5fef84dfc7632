"""Reports of restores and drills, kept beside the backups they prove."""

import json
import re
from datetime import datetime

from include.disaster_recovery.backup_key import file_name, is_backup_key, moment, timestamp
from include.disaster_recovery.drill_guard import EarlierDrill
from include.disaster_recovery.drill_model import DrillReport
from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.restore_model import RestoreReport
from include.disaster_recovery.s3.store import Store

RESTORES, DRILLS = "restores/", "drills/"
_NAME = re.compile(r"(?P<at>.{24})-of-(?P<backup>.+)\.json")


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
    folder = f"{prefix}{DRILLS}"
    found = [_NAME.fullmatch(key.removeprefix(folder)) for key in store.keys(folder)]
    return [drill for match in found if match and (drill := _drill(match["at"], match["backup"]))]


def bare_name(key: str) -> str:
    """The file name of a backup without its suffixes, as reports are named after it."""
    return file_name(key).partition(".json")[0]


def _drill(at: str, backup: str) -> EarlierDrill | None:
    try:
        return EarlierDrill(at=moment(at), backup=backup)
    except ValueError:  # somebody else's object
        return None


def _key(prefix: str, folder: str, key: str, at: datetime) -> str:
    if not is_backup_key(prefix, key):
        raise StoreRefused(f"{key!r} is no backup key below {prefix}", hint="set s3.prefix to where the backup is")
    return f"{prefix}{folder}{timestamp(at)}-of-{bare_name(key)}.json"
