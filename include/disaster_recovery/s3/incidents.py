"""Open incidents as objects beside the backups: who writes the object first tells of it, the others only count.

Changes are conditional (`If-Match`), so that of two writers one wins, and a closed incident does not come back.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from botocore.exceptions import ClientError

from include.disaster_recovery.errors import DisasterRecoveryError, StoreRefused
from include.disaster_recovery.s3.errors import is_missing, is_precondition, translated
from include.disaster_recovery.s3.store import Store

log = logging.getLogger(__name__)

FOLDER = "incidents/"
LONGEST = 1000  # characters of a fact that are kept
STALE = timedelta(days=35)  # longer than anything that is still wrong goes unreported
TELL_AGAIN = timedelta(minutes=10)  # an alert that no channel took is tried again by the next who reports it


@dataclass(frozen=True, kw_only=True)
class Incident:
    """An incident as its object says it; `etag` is the object's version."""

    key: str
    etag: str
    content: Mapping[str, Any]

    @property
    def subject(self) -> str:
        """What it is about."""
        return str(self.content.get("subject", ""))

    @property
    def since(self) -> datetime | None:
        """When it was first reported, where that can be read."""
        return _parsed(self.content.get("first_seen"))


def incident_key(prefix: str, kind: str, subject: str) -> str:
    """Where an incident stands; the subject is hashed, as it may hold any character."""
    return f"{prefix}{FOLDER}{kind}-{sha256(subject.encode()).hexdigest()[:16]}.json"


def report(store: Store, prefix: str, kind: str, subject: str, fact: str, now: datetime) -> bool:
    """Open an incident, or count it once more; whether the caller is the one to tell of it.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    key, moment = incident_key(prefix, kind, subject), now.isoformat()
    content = {"kind": kind, "subject": subject, "fact": fact[:LONGEST], "first_seen": moment, "last_seen": moment}
    if store.create(key, _bytes({**content, "count": 1, "telling_since": moment, "is_told": False})):
        return True
    found = _read(store, key)
    if found is None:  # closed since, or being written at this moment
        return False
    is_due = _is_untold(found, now)
    changed = {"last_seen": moment, "fact": fact[:LONGEST], "count": _count(found) + 1}
    try:
        return _change(store, found, {**changed, **({"telling_since": moment} if is_due else {})}) and is_due
    except DisasterRecoveryError as error:
        log.warning("an open incident was not counted once more: %s", error.fact)
        return False


def _is_untold(found: Incident, now: datetime) -> bool:
    """Whether no channel took the alert, and whoever tried last has had the time to."""
    if found.content.get("is_told") or found.content.get("is_over"):
        return False
    return now - _moment(found.content.get("telling_since"), now) > TELL_AGAIN


def claim_untold(store: Store, prefix: str, now: datetime) -> list[Incident]:
    """Incidents of which nobody was told, and which are now the caller's to tell.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    found = [incident for key in store.keys(f"{prefix}{FOLDER}") if (incident := _read(store, key)) is not None]
    untold = [each for each in found if each.content.get("kind") and _is_untold(each, now)]
    return [each for each in untold if _change(store, each, {"telling_since": now.isoformat()})]


def told(store: Store, prefix: str, kind: str, subjects: Iterable[str]) -> None:
    """Note that somebody was told: these are not told again.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    for subject in subjects:
        for _ in range(5):  # others count at the same time
            found = _read(store, incident_key(prefix, kind, subject))
            if found is None or _change(store, found, {"is_told": True}):
                break


def close(store: Store, prefix: str, kind: str, subject: str) -> Incident | None:
    """End an incident; what it was, None where there was none, or another has ended it.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    found = _read(store, incident_key(prefix, kind, subject))
    while found is not None and not found.content.get("is_over"):
        if _ended(store, found):
            store.delete([found.key])
            return found
        found = _read(store, found.key)
    if found is not None:  # whoever ended it was killed before it was removed
        store.delete([found.key])
    return None


def forget_stale(store: Store, prefix: str, now: datetime) -> int:
    """Remove incidents that nobody has reported for long, as those of expired backups; returns how many.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    found = [incident for key in store.keys(f"{prefix}{FOLDER}") if (incident := _read(store, key)) is not None]
    stale = [each.key for each in found if now - _moment(each.content.get("last_seen"), now) > STALE]
    return store.delete(stale) if stale else 0


def _ended(store: Store, found: Incident) -> bool:
    """Whether this call has ended it; True too where the server knows no `If-Match`: better told twice than never."""
    try:
        return _change(store, found, {"is_over": True})
    except StoreRefused as error:
        log.warning("an incident is removed without asking whether another does: %s", error.fact)
        return True


def open_incidents(store: Store, prefix: str, kind: str) -> list[Incident]:
    """The open incidents of a kind.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    keys = store.keys(f"{prefix}{FOLDER}{kind}-")
    return [found for key in keys if (found := _read(store, key)) is not None and found.content.get("kind") == kind]


def _read(store: Store, key: str) -> Incident | None:
    with translated("GET", store.bucket, key):
        try:
            answer = store.client.get_object(Bucket=store.bucket, Key=key)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        data = answer["Body"].read(64 * 1024)
    try:
        content = json.loads(data)
    except ValueError:
        content = {}
    return Incident(key=key, etag=answer["ETag"], content=content if isinstance(content, dict) else {})


def _change(store: Store, found: Incident, changes: Mapping[str, Any]) -> bool:
    with translated("PUT", store.bucket, found.key):
        try:
            store.client.put_object(
                Bucket=store.bucket,
                Key=found.key,
                Body=_bytes({**found.content, **changes}),
                ContentType="application/json",
                IfMatch=found.etag,
                **store.encryption.arguments(),
            )
        except ClientError as error:
            if is_precondition(error) or is_missing(error):
                return False
            raise
    return True


def _bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


def _count(found: Incident) -> int:
    count = found.content.get("count")
    return count if isinstance(count, int) else 1


def _moment(text: object, otherwise: datetime) -> datetime:
    return _parsed(text) or otherwise


def _parsed(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None
