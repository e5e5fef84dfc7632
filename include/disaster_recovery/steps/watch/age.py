"""How old the newest verified backup is, and the newest that a drill has proven; whether that is too old."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from include.disaster_recovery.backup_key import is_backup_key, opened_at
from include.disaster_recovery.backup_record import BackupRecord
from include.disaster_recovery.errors import DisasterRecoveryError, StoreRefused, StoreUnavailable
from include.disaster_recovery.history.recalling import recall
from include.disaster_recovery.history.rows import HistoryRow, read_rows
from include.disaster_recovery.model import Value
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.retention import is_future
from include.disaster_recovery.s3.records import bare_records, list_records
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings, WatchSettings

log = logging.getLogger(__name__)

Connect = Callable[[], Connection]
FIRST_LOOK = "watch/first-look.json"  # below the prefix: since when somebody watches this bucket


class Ages(Value):
    """What the watch has seen. `since` is its first look: before a backup is due nothing is late.

    `kept` and `invalid` count backups in the bucket, None where it could not be asked.
    """

    now: datetime
    since: datetime
    verified: str | None
    verified_at: datetime | None
    proven: str | None
    proven_at: datetime | None
    kept: int | None = None
    invalid: int | None = None
    drill_seconds: float | None = None
    drill_succeeded: bool | None = None

    def lateness(self, limits: WatchSettings) -> str | None:
        """Why the newest backup is too old, or None."""
        return self._late("verified", self.verified, self.verified_at, limits.late_hours)

    def proof_lateness(self, limits: WatchSettings) -> str | None:
        """Why the newest proven backup is too old, or None."""
        if limits.unproven_hours is None:
            return None
        return self._late("proven", self.proven, self.proven_at, limits.unproven_hours)

    def _late(self, what: str, name: str | None, at: datetime | None, hours: int) -> str | None:
        if self.now - (at or self.since) <= timedelta(hours=hours):
            return None
        if at is None:
            began = f"{self.since:%Y-%m-%d %H:%M} UTC"
            return f"there is no {what} backup, more than {hours} hours after the watch began ({began})"
        age = (self.now - at).total_seconds() / 3600
        return f"the newest {what} backup is {name}, {age:.1f} hours old; it should never be older than {hours}"


def look_at_ages(connect: Connect, store: Store, settings: Settings, now: datetime) -> Ages:
    """Find the newest verified and the newest proven backup: from the bucket, the history helps out.

    Raises:
        StoreRefused: the bucket is gone, or denies this for good.
        StoreUnavailable, DatabaseUnavailable, TableUnreadable: neither can be reached.
    """
    try:
        records = _records(store, settings.s3.prefix, now)
        since = _first_look(store, settings.s3.prefix, now)
    except StoreUnavailable as error:
        log.warning("the bucket cannot be reached, the history is believed: %s", error.fact)
        return _from_history(connect, settings, now)
    return _from_bucket(_recalled(connect, records), since, now)


def _records(store: Store, prefix: str, now: datetime) -> list[BackupRecord]:
    """The backups with what the bucket knows of them: without verdicts where the key may not read tags."""
    try:
        return list_records(store, prefix, now)
    except StoreRefused as error:
        found = bare_records(store, prefix)  # raises where it is the bucket that is gone
        log.warning("nothing is known of the backups' verdicts, the history is believed: %s", error.fact)
        return found


def _first_look(store: Store, prefix: str, now: datetime) -> datetime:
    key = f"{prefix}{FIRST_LOOK}"
    if store.create(key, b"{}"):
        return now
    found = store.head(key)
    return min(found.modified, now) if found else now


def _from_bucket(records: list[BackupRecord], since: datetime, now: datetime) -> Ages:
    past = [record for record in records if not is_future(record.created_at, now)]
    verified = [record for record in past if record.is_verified]
    proven = [record for record in past if record.is_proven]
    drilled = max((r.proof for r in records if r.proof), key=lambda proof: proof.at, default=None)
    return Ages(
        now=now,
        since=since,
        verified=verified[-1].key if verified else None,
        verified_at=verified[-1].created_at if verified else None,
        proven=proven[-1].key if proven else None,
        proven_at=proven[-1].created_at if proven else None,
        kept=len(records),
        invalid=sum(record.is_invalid for record in records),
        drill_seconds=drilled.seconds if drilled and drilled.state == "proven" else None,
        drill_succeeded=drilled.state == "proven" if drilled else None,
    )


def _recalled(connect: Connect, records: list[BackupRecord]) -> list[BackupRecord]:
    """With what the history knows, as retention sees them: of before tags, or where the bucket takes none."""
    try:
        return recall(records, _rows(connect))
    except DisasterRecoveryError as error:
        log.warning("the history cannot be read, the bucket alone is believed: %s", error.fact)
        return records


def _from_history(connect: Connect, settings: Settings, now: datetime) -> Ages:
    rows, prefix = [row for row in _rows(connect) if row.status == "success"], settings.s3.prefix
    rows = [row for row in rows if not is_future(row.created_at, now)]
    verified = max(_valid(rows, prefix), default=None)
    proven = max(_valid([row for row in rows if _is_proven(row)], prefix), default=None)
    return Ages(
        now=now,
        since=min((row.created_at for row in rows), default=now),
        verified=verified,
        verified_at=opened_at(prefix, verified) if verified else None,
        proven=proven,
        proven_at=opened_at(prefix, proven) if proven else None,
    )


def _rows(connect: Connect) -> list[HistoryRow]:
    with connect() as connection:
        return read_rows(connection, most=1000)


def _valid(rows: list[HistoryRow], prefix: str) -> Iterator[str]:
    """The keys of ours that a row calls verified and not expired. A key begins with its moment: the last is newest."""
    for row in rows:
        key, verdict = f"{prefix}{row.file_name}", row.components.get("verification")
        is_valid = isinstance(verdict, dict) and verdict.get("valid") is True
        if is_valid and not row.components.get("expired") and is_backup_key(prefix, key):
            yield key


def _is_proven(row: HistoryRow) -> bool:
    drill = row.components.get("drill")
    return isinstance(drill, dict) and drill.get("state") == "proven"
