"""Which backup is meant: `latest`, a bare file name or a key, confined to the prefix."""

from difflib import get_close_matches

from include.disaster_recovery.backup_key import is_backup_key
from include.disaster_recovery.errors import RestoreRefused
from include.disaster_recovery.s3.store import Store, StoredObject
from include.disaster_recovery.settings import Settings

LATEST = "latest"
NEAREST = 5
SHOWN = 200  # characters of a wrong key: as much as a bucket's longest prefix and a name


def find_backup(store: Store, settings: Settings, wanted: str) -> StoredObject:
    """The object a backup key, a bare file name or `latest` means.

    `latest` is the newest by the moment in its name, whatever its history row says: the bucket is enough, and the
    document proves itself while it is loaded.

    Raises:
        RestoreRefused: the key lies outside the prefix, is none of ours, or there is no such backup.
        StoreRefused, StoreUnavailable: a request failed.
    """
    prefix = settings.s3.prefix
    wanted = wanted.strip()
    if wanted == LATEST:
        return _latest(store, prefix)
    key = wanted if "/" in wanted else f"{prefix}{wanted}"
    if not key.startswith(prefix) or not is_backup_key(prefix, key):
        raise RestoreRefused(
            f"backup_key {wanted[:SHOWN]!r} is no backup below {prefix}",
            hint=f"give `latest`, a file name or a key; {_nearest(store, prefix, wanted[:SHOWN])}",
        )
    found = store.head(key)
    if found is None:
        raise RestoreRefused(f"backup_key {key!r} does not exist", hint=_nearest(store, prefix, key))
    return found


def _keys(store: Store, prefix: str) -> list[str]:
    return [key for key in store.keys(f"{prefix}collabhunts-backup-") if is_backup_key(prefix, key)]


def _latest(store: Store, prefix: str) -> StoredObject:
    for key in reversed(_keys(store, prefix)):
        if found := store.head(key):
            return found
    raise RestoreRefused(
        f"there is no backup below s3://{store.bucket}/{prefix}", hint="check bucket and prefix in the settings"
    )


def _nearest(store: Store, prefix: str, wanted: str) -> str:
    """The keys closest to what was asked for, the newest first where none is close."""
    keys = _keys(store, prefix)
    close = get_close_matches(wanted, keys, NEAREST, cutoff=0.3)
    near = [*close, *(key for key in reversed(keys) if key not in close)][:NEAREST]
    return f"the nearest are: {', '.join(near)}" if near else f"there is no backup below {prefix}"
