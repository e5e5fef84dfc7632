"""The backups of a bucket, with what the bucket knows of each."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from include.disaster_recovery.backup_key import is_backup_key, opened_at
from include.disaster_recovery.backup_record import EXPIRED_TAG, BackupRecord, proof_of, verification_of
from include.disaster_recovery.s3.leases import in_use
from include.disaster_recovery.s3.pins import pinned
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import read_tags

THREADS = 8  # one request a backup; the client's pool has 16 connections


def backup_sizes(store: Store, prefix: str) -> dict[str, int]:
    """Every backup key below the prefix with its bytes, oldest first; nothing else that may lie there.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    return {
        key: size for key, size in store.sizes(f"{prefix}collabhunts-backup-").items() if is_backup_key(prefix, key)
    }


def bare_records(store: Store, prefix: str) -> list[BackupRecord]:
    """Every backup below the prefix, oldest first, without what its tags, pins and leases say.

    Raises:
        StoreRefused, StoreUnavailable: the bucket cannot be listed.
    """
    sizes = backup_sizes(store, prefix)
    return [BackupRecord(key=key, created_at=opened_at(prefix, key), size=size) for key, size in sizes.items()]


def list_records(store: Store, prefix: str, now: datetime) -> list[BackupRecord]:
    """Every backup below the prefix, oldest first.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    sizes, pins, used = backup_sizes(store, prefix), pinned(store, prefix), in_use(store, prefix, now)
    with ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="tags") as pool:
        tags = dict(zip(sizes, pool.map(lambda key: read_tags(store, key), sizes), strict=True))
    return [
        BackupRecord(
            key=key,
            created_at=opened_at(prefix, key),
            size=size,
            verification=verification_of(found),
            proof=proof_of(found),
            pinned=pins.get(key),
            in_use=key in used,
            is_expiring=EXPIRED_TAG in found,
        )
        for key, size in sizes.items()
        if (found := tags[key]) is not None  # deleted since it was listed
    ]
