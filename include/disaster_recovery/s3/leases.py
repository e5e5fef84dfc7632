"""Leases: while a restore reads a backup, an object beside it says so, and retention leaves the backup alone."""

import json
import re
from datetime import datetime, timedelta
from hashlib import sha256

from include.disaster_recovery.backup_key import is_backup_key
from include.disaster_recovery.s3.store import Store

FOLDER = "in-use/"
LASTING = timedelta(days=7)  # a lease whose run was killed and never cleaned up stops counting then
_RUN = re.compile(r"[0-9a-f]{16}")


def lease_key(prefix: str, key: str, run_id: str) -> str:
    """Where the lease of a run on a backup stands; the run's id is hashed, as it may hold any character."""
    return f"{prefix}{FOLDER}{key.removeprefix(prefix)}{_suffix(run_id)}"


def _suffix(run_id: str) -> str:
    return f".{sha256(run_id.encode()).hexdigest()[:16]}"


def take(store: Store, prefix: str, key: str, run_id: str, now: datetime) -> None:
    """Protect a backup for the time of a run; taking it again renews it.

    Raises:
        StoreRefused, StoreUnavailable: the lease cannot be written.
    """
    content = {"backup": key, "run_id": run_id, "taken_at": now.isoformat()}
    store.put(lease_key(prefix, key, run_id), json.dumps(content).encode())


def release(store: Store, prefix: str, key: str, run_id: str) -> None:
    """End the protection; one that is gone already is no error.

    Raises:
        StoreRefused, StoreUnavailable: the request failed.
    """
    store.delete([lease_key(prefix, key, run_id)])


def release_run(store: Store, prefix: str, run_id: str) -> None:
    """End all protection by a run that was killed.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    store.delete([key for key in store.keys(f"{prefix}{FOLDER}") if key.endswith(_suffix(run_id))])


def in_use(store: Store, prefix: str, now: datetime) -> set[str]:
    """The keys of backups that some run is reading.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    folder = f"{prefix}{FOLDER}"
    live = [lease for lease, taken in store.moments(folder).items() if _is_live(taken, now)]
    return {prefix + key.removeprefix(folder).rpartition(".")[0] for key in live}


def is_in_use(store: Store, prefix: str, key: str, now: datetime) -> bool:
    """Whether some run is reading one backup at this moment.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    own = f"{prefix}{FOLDER}{key.removeprefix(prefix)}."
    return any(_is_live(taken, now) for taken in store.moments(own).values())


def left_behind(store: Store, prefix: str, now: datetime) -> list[str]:
    """The leases that count no more: of runs that were killed and never cleaned up. Only ours, by their names.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    folder = f"{prefix}{FOLDER}"
    dead = [lease for lease, taken in store.moments(folder).items() if not _is_live(taken, now)]
    return [lease for lease in dead if _is_lease(prefix, lease.removeprefix(folder))]


def _is_live(taken: datetime, now: datetime) -> bool:
    return now - taken < LASTING


def _is_lease(prefix: str, name: str) -> bool:
    backup, _, run = name.rpartition(".")
    return is_backup_key(prefix, prefix + backup) and _RUN.fullmatch(run) is not None
