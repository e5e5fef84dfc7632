"""Pins: an object beside a backup says that retention must keep it, and why.

Objects rather than tags: two writers of tags can undo each other, and a pin that is lost may cost the backup.
"""

import json
import logging
from datetime import datetime

from include.disaster_recovery.backup_record import EXPIRED_TAG
from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.plain_text import printable
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import merge_tags

log = logging.getLogger(__name__)

FOLDER = "pinned/"
UNREADABLE = "a pin whose text cannot be read"
LARGEST = 64 * 1024  # bytes of a pin that are read
LONGEST_REASON = 500  # characters


def pin_key(prefix: str, key: str) -> str:
    """Where the pin of a backup stands."""
    return f"{prefix}{FOLDER}{key.removeprefix(prefix)}"


def pin(store: Store, prefix: str, key: str, *, reason: str, by: str | None, now: datetime) -> None:
    """Keep a backup until it is unpinned; a second pin replaces the first.

    Retention may have tagged it and been stopped: the tag goes, or the bucket's own rule would delete what is pinned.

    Raises:
        StoreRefused: there is no such backup, or the pin cannot be written.
        StoreUnavailable: a request failed.
    """
    if store.head(key) is None:
        raise StoreRefused(f"{key!r} does not exist and cannot be pinned", hint="list the backups, and name one")
    content = {"reason": reason[:LONGEST_REASON], "pinned_by": by, "pinned_at": now.isoformat()}
    store.put(pin_key(prefix, key), json.dumps(content, ensure_ascii=False).encode())
    try:
        merge_tags(store, key, {EXPIRED_TAG: None})
    except StoreRefused as error:
        log.warning("%s is pinned; whether it is tagged as expired could not be seen: %s", key, error.fact)


def unpin(store: Store, prefix: str, key: str) -> None:
    """Leave a backup to the policy again; one that is not pinned is no error.

    Raises:
        StoreRefused, StoreUnavailable: the request failed.
    """
    store.delete([pin_key(prefix, key)])


def is_pinned(store: Store, prefix: str, key: str) -> bool:
    """Whether one backup is pinned at this moment.

    Raises:
        StoreRefused, StoreUnavailable: the request failed.
    """
    return store.head(pin_key(prefix, key)) is not None


def pinned(store: Store, prefix: str) -> dict[str, str]:
    """The reason of each pinned backup, by its key; a pin that cannot be read still pins.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    folder = f"{prefix}{FOLDER}"
    return {prefix + key.removeprefix(folder): _reason(store, key) for key in store.keys(folder)}


def _reason(store: Store, key: str) -> str:
    """In characters that a log takes on one line: anybody may have written it."""
    try:
        found = store.head(key)
        text = json.loads(store.read(key, 0, min(found.size, LARGEST)) if found else b"")["reason"]
    except (ValueError, TypeError, LookupError, RecursionError, StoreRefused):
        return UNREADABLE
    return printable(str(text)[:LONGEST_REASON])
