"""What lies beside the backups, and goes by rules of its own: rows of failed backups, reports, leases, pins."""

import logging
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from include.disaster_recovery.backup_key import is_backup_key, moment
from include.disaster_recovery.errors import StoreRefused, TableUnreadable
from include.disaster_recovery.history.rows import read_rows
from include.disaster_recovery.history.tidying import close_stale, delete_failed, stale_rows
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3 import leases, pins, reports
from include.disaster_recovery.s3.records import backup_sizes
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings

log = logging.getLogger(__name__)

REPORT_FOLDERS = (reports.RESTORES, reports.DRILLS)
_REPORT = re.compile(r"(.{24})-of-(collabhunts-backup-.{24})\.json")


def tidy(
    connection: Connection, store: Store, settings: Settings, *, is_active: Callable[[str], bool], now: datetime
) -> dict[str, int]:
    """Tidy up; returns how many of each were removed. What may not be removed is a warning.

    Args:
        is_active: whether the run of a backup, by its id, is queued or at work.

    Raises:
        StoreUnavailable, DatabaseUnavailable: a request failed.
    """
    prefix, days = settings.s3.prefix, settings.retention
    removed = {  # deleted before others are closed: what is closed now can be seen for a day at least
        "rows deleted": _rows(lambda: delete_failed(connection, now - timedelta(days=days.failed_rows_days))),
        "rows closed": _rows(lambda: _close(connection, is_active, now)),
        "reports": _objects(store, lambda: _old_reports(store, prefix, now - timedelta(days=days.reports_days))),
        "leases": _objects(store, lambda: leases.left_behind(store, prefix, now)),
        "pins": _objects(store, lambda: _orphan_pins(store, prefix)),
    }
    log.info("tidied up: %s", ", ".join(f"{count} {what}" for what, count in removed.items()))
    return removed


def report_moment(prefix: str, key: str) -> datetime | None:
    """When the report of a restore or drill was begun; None for a key that is no report of ours."""
    for folder in REPORT_FOLDERS:
        if match := _REPORT.fullmatch(key.removeprefix(prefix + folder)):
            try:
                return moment(match[1]) if is_backup_key(prefix, f"{prefix}{match[2]}.json") else None
            except ValueError:
                return None
    return None


def _rows(act: Callable[[], int]) -> int:
    try:
        return act()
    except TableUnreadable as error:
        log.warning("rows of the history are left as they are: %s; hint: %s", error.fact, error.hint)
        return 0


def _close(connection: Connection, is_active: Callable[[str], bool], now: datetime) -> int:
    stale = stale_rows(read_rows(connection, status="in_progress"), now, is_active)
    for row in stale:
        log.warning("closing %s as failed: its run is not active any more", row.file_name)
    return close_stale(connection, stale) if stale else 0


def _objects(store: Store, find: Callable[[], Iterable[str]]) -> int:
    try:
        return store.delete(find())
    except StoreRefused as error:
        log.warning("objects are left as they are: %s; hint: %s", error.fact, error.hint)
        return 0


def _old_reports(store: Store, prefix: str, before: datetime) -> list[str]:
    keys = [key for folder in REPORT_FOLDERS for key in store.keys(prefix + folder)]
    return [key for key in keys if (begun := report_moment(prefix, key)) is not None and begun < before]


def _orphan_pins(store: Store, prefix: str) -> list[str]:
    """Pins of backups that are gone. One of no backup at all is named: somebody may believe that it protects one."""
    found, folder = [], f"{prefix}{pins.FOLDER}"
    pinning = store.keys(folder)
    there = backup_sizes(store, prefix)  # listed after the pins: nobody can pin what is not there
    for pin in pinning:
        key = prefix + pin.removeprefix(folder)
        if not is_backup_key(prefix, key):
            log.warning("the pin %s protects nothing: its name is not that of a backup", pin)
        elif key not in there:
            log.warning("the pin %s is removed: there is no such backup", pin)
            found.append(pin)
    return found
