"""Which backups to verify. Nothing is touched yet: what cannot be meant is refused here."""

import logging

from include.disaster_recovery.backup_key import is_backup_key
from include.disaster_recovery.errors import RestoreRefused
from include.disaster_recovery.history.rows import HistoryRow
from include.disaster_recovery.history.verdicts import is_expired
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.finding import LATEST, backup_keys, named_key, no_backups, unknown_backup
from include.disaster_recovery.steps.verify.keeping import Connect, read_history, read_row

log = logging.getLogger(__name__)

ALL = "all"


def plan_verify(store: Store, settings: Settings, wanted: str, *, connect: Connect, most: int) -> list[str]:
    """The keys of the backups to verify, oldest first.

    `latest` is the newest document whatever has been found of it: one wants to verify the newest. `all` is every
    document of the bucket and every success that this package wrote into the history and that has not expired: so one
    that is gone is found.

    Args:
        connect: opens a session on the source database, for its history; it may be out of reach.
        most: how many the scheduler can verify in one run.

    Raises:
        RestoreRefused: the key lies outside the prefix, is none of ours, there is no such backup, or too many.
        StoreRefused, StoreUnavailable: a request failed.
    """
    wanted, prefix = wanted.strip(), settings.s3.prefix
    if wanted == LATEST:
        keys = backup_keys(store, prefix)[-1:]
    elif wanted == ALL:
        keys = _all(store, prefix, connect)
    else:
        keys = [_one(store, prefix, wanted, connect)]
    if not keys:
        raise no_backups(store, prefix)
    if len(keys) > most:
        raise RestoreRefused(
            f"there are {len(keys)} backups, this Airflow maps a task at most {most} times",
            hint="raise [core] max_map_length, or verify one backup at a time",
        )
    log.info("verifying %d backup(s): %s", len(keys), keys[0] if len(keys) == 1 else f"{keys[0]} to {keys[-1]}")
    return keys


def _one(store: Store, prefix: str, wanted: str, connect: Connect) -> str:
    """A backup that is there, or ought to be."""
    key = named_key(store, prefix, wanted)
    if store.head(key) is None:
        row = read_row(connect, key)
        if row is None or not _is_promised(row, store, prefix):
            raise unknown_backup(store, prefix, key)
    return key


def _all(store: Store, prefix: str, connect: Connect) -> list[str]:
    found = backup_keys(store, prefix)
    rows = read_history(connect, "a backup that is gone from the bucket is not noticed") or []
    promised = {f"{prefix}{row.file_name}": row for row in rows if _is_promised(row, store, prefix)}
    ours = {key for key, row in promised.items() if row.run_id is not None and is_backup_key(prefix, key)}
    if foreign := sorted({*promised} - ours - {*found}):
        log.warning(
            "backup_history names %d file(s) that another program wrote and that are not in the bucket: %s, …",
            len(foreign),
            foreign[0],
        )
    return sorted({*found, *ours})


def _is_promised(row: HistoryRow, store: Store, prefix: str) -> bool:
    """Whether the row says that the backup is here; one of before bucket or prefix were changed is where it was."""
    if row.status != "success" or row.file_name is None or is_expired(row):
        return False
    return row.run_id is None or row.s3_url in (None, f"s3://{store.bucket}/{prefix}{row.file_name}")
