"""Open a backup: fix its key and start, tidy up after killed runs, write the `in_progress` row."""

import logging
from datetime import datetime, timedelta
from uuid import uuid4

from include.disaster_recovery.backup_key import backup_key, is_backup_key, moment, timestamp
from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.history import catalog
from include.disaster_recovery.model import BackupRun, BackupType
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import refuse_second_backup
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings

log = logging.getLogger(__name__)

ORPHAN_AGE = timedelta(days=1)
CLAIM_TRIES = 100


def open_backup(
    connection: Connection,
    store: Store,
    settings: Settings,
    *,
    run_id: str,
    backup_type: BackupType,
    triggered_by: str | None,
    now: datetime,
) -> BackupRun:
    """Open a backup under a key nobody else has.

    Raises:
        BackupInProgress: another backup of this database is running.
        StoreRefused, StoreUnavailable, TableUnreadable, DatabaseUnavailable: a request failed.
    """
    refuse_second_backup(connection)
    catalog.ensure_table(connection)
    for file_name in catalog.close_failed(
        connection, None, f"the run was killed before it could say why; closed by run {run_id}"
    ):
        log.warning("closed %s as failed: its run was killed", file_name)
    remove_orphans(store, settings, now)
    created_at = _claim(store, settings, now)
    run = BackupRun(
        backup_id=str(uuid4()),
        run_id=run_id,
        backup_type=backup_type,
        triggered_by=triggered_by,
        created_at=created_at,
        key=backup_key(settings.s3.prefix, created_at, settings.compression),
        staging_prefix=_staging(settings, created_at),
    )
    catalog.open_row(connection, run, f"s3://{store.bucket}/{run.key}")
    log.info("opened %s backup %s", backup_type, run.key)
    return run


def remove_orphans(store: Store, settings: Settings, now: datetime) -> int:
    """Remove what killed runs left a day ago or earlier: staged objects, unfinished uploads. Returns how many.

    Only staging folders named like a moment, and uploads to backup keys, are ours; anything else is left alone.
    """
    staging, prefix = settings.s3.staging_prefix, settings.s3.prefix
    stale = [key for key in store.keys(staging) if _is_old(_staged_at(staging, key), now)]
    uploads = [
        (key, upload_id)
        for key, upload_id in [*store.uploads(staging), *store.uploads(prefix)]
        if _is_old(_staged_at(staging, key) or _opened_at(prefix, key), now)
    ]
    for key, upload_id in uploads:
        store.abort_upload(key, upload_id)
    if removed := store.delete(stale) + len(uploads):
        log.warning("removed %d staged objects and %d unfinished uploads of killed runs", len(stale), len(uploads))
    return removed


def _staged_at(staging_prefix: str, key: str) -> str:
    """The moment in the name of a run's staging folder; empty where the key is in none."""
    folder, slash, _ = key[len(staging_prefix) :].partition("/")
    return folder if slash and key.startswith(staging_prefix) else ""


def _opened_at(prefix: str, key: str) -> str:
    """The moment in a backup key; empty where it is none."""
    return key.removeprefix(f"{prefix}collabhunts-backup-").partition(".")[0] if is_backup_key(prefix, key) else ""


def _is_old(stamp: str, now: datetime) -> bool:
    try:
        return moment(stamp) < now - ORPHAN_AGE
    except ValueError:
        return False


def _staging(settings: Settings, created_at: datetime) -> str:
    return f"{settings.s3.staging_prefix}{timestamp(created_at)}/"


def _claim(store: Store, settings: Settings, now: datetime) -> datetime:
    """The first free millisecond from `now` on; a conditional write decides between two runs that open at once."""
    for _ in range(CLAIM_TRIES):
        created_at = moment(timestamp(now))
        taken = store.head(backup_key(settings.s3.prefix, created_at, settings.compression))
        if taken is None and store.create(f"{_staging(settings, created_at)}claim", b"{}"):
            return created_at
        now += timedelta(milliseconds=1)
    raise StoreRefused(f"no free backup key within {CLAIM_TRIES} ms", hint="check the clock, then trigger a new backup")
