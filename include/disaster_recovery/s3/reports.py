"""Reports of restores, kept beside the backups they prove."""

import json

from include.disaster_recovery.backup_key import is_backup_key, timestamp
from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.restore_model import RestoreReport
from include.disaster_recovery.s3.store import Store


def report_key(prefix: str, report: RestoreReport) -> str:
    """Where the report of a restore is kept. Written again, as by a second try, it replaces itself.

    Raises:
        StoreRefused: the restore's backup has no key of ours below the prefix.
    """
    if not is_backup_key(prefix, report.run.key):
        raise StoreRefused(
            f"{report.run.key!r} is no backup key below {prefix}", hint="set s3.prefix to where the backup is"
        )
    name = report.run.key.removeprefix(prefix).partition(".json")[0]  # without the suffix of its compression
    return f"{prefix}restores/{timestamp(report.run.opened_at)}-of-{name}.json"


def write_report(store: Store, prefix: str, report: RestoreReport) -> str:
    """Keep a report as JSON; returns its key.

    Raises:
        StoreRefused, StoreUnavailable: it cannot be written.
    """
    key = report_key(prefix, report)
    store.put(key, json.dumps(report.to_json(), ensure_ascii=False, indent=2).encode())
    return key
