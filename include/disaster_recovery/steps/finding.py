"""Which backup is meant: `latest`, a bare file name or a key, confined to the prefix."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from itertools import takewhile

from include.disaster_recovery.backup_key import is_backup_key, opened_at
from include.disaster_recovery.backup_record import Verification, verification_of
from include.disaster_recovery.errors import RestoreRefused, StoreRefused
from include.disaster_recovery.retention import is_future
from include.disaster_recovery.s3.records import backup_sizes
from include.disaster_recovery.s3.store import Store, StoredObject
from include.disaster_recovery.s3.tags import read_tags
from include.disaster_recovery.settings import Settings

log = logging.getLogger(__name__)

LATEST = "latest"
NEAREST = 5
SHOWN = 200  # characters of a wrong key: as much as a bucket's longest prefix and a name


def find_backup(store: Store, settings: Settings, wanted: str, *, now: datetime) -> StoredObject:
    """The object a backup key, a bare file name or `latest` means.

    `latest` is the newest, by the moment in its name, that was found valid when it was last verified, as its tags say;
    where none has a verdict, the newest that is not invalid. One dated in the future counts as the oldest: a wrong
    clock dated it, and it would be the newest until then. History rows do not count: the bucket is enough. A key that
    is given is taken whatever its tags say: the document proves itself while it is loaded.

    Raises:
        RestoreRefused: the key lies outside the prefix, is none of ours, or there is no such backup.
        StoreRefused, StoreUnavailable: a request failed.
    """
    prefix = settings.s3.prefix
    wanted = wanted.strip()
    if wanted == LATEST:
        return _latest(store, prefix, now)
    key = named_key(store, prefix, wanted)
    found = store.head(key)
    if found is None:
        raise unknown_backup(store, prefix, key)
    return found


def named_key(store: Store, prefix: str, wanted: str) -> str:
    """The key that a key or a bare file name means, whether or not there is such an object.

    Raises:
        RestoreRefused: the key lies outside the prefix, or is none of ours.
        StoreRefused, StoreUnavailable: a request failed.
    """
    key = wanted if "/" in wanted else f"{prefix}{wanted}"
    if not key.startswith(prefix) or not is_backup_key(prefix, key):
        raise RestoreRefused(
            f"backup_key {wanted[:SHOWN]!r} is no backup below {prefix}",
            hint=f"give `latest`, a file name or a key; {_nearest(store, prefix, wanted[:SHOWN])}",
        )
    return key


def backup_keys(store: Store, prefix: str) -> list[str]:
    """Every backup key below the prefix, oldest first.

    Raises:
        StoreRefused, StoreUnavailable: the request failed.
    """
    return list(backup_sizes(store, prefix))


def unknown_backup(store: Store, prefix: str, key: str) -> RestoreRefused:
    """The error that says so, with the nearest keys there are."""
    return RestoreRefused(f"backup_key {key!r} does not exist", hint=_nearest(store, prefix, key))


def no_backups(store: Store, prefix: str) -> RestoreRefused:
    """The error that says so."""
    return RestoreRefused(
        f"there is no backup below s3://{store.bucket}/{prefix}", hint="check bucket and prefix in the settings"
    )


def _latest(store: Store, prefix: str, now: datetime) -> StoredObject:
    keys = _future_first(backup_keys(store, prefix), prefix, now)
    passed: list[tuple[str, Verification | None]] = []
    for key, verdict in _verdicts(store, keys):
        if verdict is not None and verdict.state == "valid" and (found := store.head(key)):
            _say_passed(key, passed)
            return found
        passed.append((key, verdict))
    for at, (key, verdict) in enumerate(passed):
        if verdict is None and (found := store.head(key)):
            log.warning("latest is %s: nobody has verified it, nor any other that is not invalid", key)
            _say_passed(key, passed[:at])
            return found
    if passed:
        raise RestoreRefused(
            f"none of the {len(passed)} backups below s3://{store.bucket}/{prefix} is valid",
            hint="run collabhunts_verify with depth full; a key that is given is taken whatever was found of it",
        )
    raise no_backups(store, prefix)


def _future_first(keys: Sequence[str], prefix: str, now: datetime) -> list[str]:
    """The keys in their order, but those dated in the future before all others."""
    future = [key for key in keys if is_future(opened_at(prefix, key), now)]
    for key in future:
        log.warning("%s is dated in the future, it counts as the oldest backup: check the clock of the worker", key)
    return [*future, *(key for key in keys if key not in future)]


def _verdicts(store: Store, keys: Sequence[str]) -> Iterator[tuple[str, Verification | None]]:
    """What the tags say of each backup that is there, newest first; nothing where the key may not read them."""
    readable = True
    for key in reversed(keys):
        tags: dict[str, str] | None = {}
        if readable:
            try:
                tags = read_tags(store, key)
            except StoreRefused as error:
                log.warning("nothing is known of the backups' verdicts: %s; hint: %s", error.fact, error.hint)
                readable = False
        if tags is not None:
            yield key, verification_of(tags)


def _say_passed(key: str, passed: Sequence[tuple[str, Verification | None]]) -> None:
    """Name the newer backups that `latest` does not mean."""
    for newer, verdict in passed[:NEAREST]:
        said = f"is invalid: {verdict.finding}" if verdict else "was never verified"
        log.warning("latest is %s; the newer %s is passed over, it %s", key, newer, said)
    if len(passed) > NEAREST:
        log.warning("latest is %s; %d newer ones are passed over", key, len(passed))


def _nearest(store: Store, prefix: str, wanted: str) -> str:
    """The keys closest to what was asked for: by how they begin, then by likeness, then the newest."""
    name = wanted.rpartition("/")[2]

    def closeness(key: str) -> tuple[int, float, str]:
        other = key.removeprefix(prefix)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name, other, strict=False)))
        return same, SequenceMatcher(None, name, other).ratio(), key

    near = sorted(backup_keys(store, prefix), key=closeness, reverse=True)[:NEAREST]
    return f"the nearest are: {', '.join(near)}" if near else f"there is no backup below {prefix}"
