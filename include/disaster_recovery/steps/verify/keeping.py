"""Where a verdict is kept: on the object itself as tags, and in the backup's row of the history.

The bucket is enough: without a history, or with one out of reach, the verdict stands in the bucket; with a key that may
not tag, in the history. Neither makes a verification fail.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

from include.disaster_recovery.backup_key import file_name
from include.disaster_recovery.backup_record import Verification, verification_of, verification_tags
from include.disaster_recovery.errors import DatabaseUnavailable, SettingsError, StoreRefused, TableUnreadable
from include.disaster_recovery.history.rows import HistoryRow, annotate, read_rows
from include.disaster_recovery.history.verdicts import best_row, verdict_of
from include.disaster_recovery.model import Verdict
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.tags import merge_tags, read_tags
from include.disaster_recovery.verification import as_verification, standing

log = logging.getLogger(__name__)

Connect = Callable[[], Connection]
Found = TypeVar("Found")


def read_history(connect: Connect, consequence: str) -> list[HistoryRow] | None:
    """Every row of the history; None where it is out of reach, with a warning that says the consequence."""
    return _attempt(connect, read_rows, consequence)


def read_row(connect: Connect, key: str) -> HistoryRow | None:
    """The backup's row; None where there is none, or the history is out of reach."""
    rows = _attempt(
        connect, lambda connection: read_rows(connection, file_name=file_name(key)), "the document speaks for itself"
    )
    return best_row(rows or [])


def tagged(store: Store, key: str) -> Verification | None:
    """The verdict in the object's tags; None where there is none, or the key may not read it.

    Raises:
        StoreUnavailable: the request failed.
    """
    try:
        return verification_of(read_tags(store, key) or {})
    except StoreRefused as error:
        log.warning("%s: an earlier verdict on the object cannot be read: %s", key, error.fact)
        return None


def tag(store: Store, key: str, verdict: Verdict) -> None:
    """Set the verdict as tags of the object, unless it is gone, or a full reading stands that says more.

    Raises:
        StoreUnavailable: the request failed.
    """
    later, earlier = as_verification(verdict), tagged(store, key)
    if earlier is not None and not earlier.is_superseded_by(later):
        return
    try:
        if not merge_tags(store, key, verification_tags(later)):
            log.warning("%s is gone, its verdict is not kept on it", key)
    except StoreRefused as error:
        log.warning("%s: the verdict is not kept on the object: %s; hint: %s", key, error.fact, error.hint)


def record(connect: Connect, key: str, verdict: Verdict) -> None:
    """Write the verdict into the backup's row; without one it stands in the bucket and the log."""

    def write(connection: Connection) -> bool:
        row = best_row(read_rows(connection, file_name=file_name(key)))
        kept = standing(verdict_of(row) if row else None, verdict)
        return annotate(connection, file_name(key), {"verification": kept.to_json()})

    if _attempt(connect, write, "the verdict stands in the bucket only") is False:
        log.warning("backup_history has no row of %s: the verdict stands in the bucket only", key)


def _attempt(connect: Connect, act: Callable[[Connection], Found], consequence: str) -> Found | None:
    try:
        with connect() as connection:
            return act(connection)
    except (SettingsError, DatabaseUnavailable, TableUnreadable) as error:
        log.warning("backup_history is out of reach, %s: %s", consequence, error.fact)
        return None
