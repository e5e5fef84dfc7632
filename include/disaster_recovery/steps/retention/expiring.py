"""Delete what the plan lets go, one backup after the other, so that a run killed anywhere is finished by the next."""

import logging
from datetime import datetime, timezone

from include.disaster_recovery.backup_key import file_name
from include.disaster_recovery.backup_record import EXPIRED_TAG, EXPIRED_VALUE
from include.disaster_recovery.errors import DocumentError, StoreRefused, StoreUnavailable
from include.disaster_recovery.history.recalling import EXPIRED
from include.disaster_recovery.history.rows import annotate
from include.disaster_recovery.model import Value
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.retention import Decision, ExpiryPlan, by_key
from include.disaster_recovery.s3.documents import read_manifest
from include.disaster_recovery.s3.leases import is_in_use
from include.disaster_recovery.s3.pins import is_pinned
from include.disaster_recovery.s3.store import Store, StoredObject
from include.disaster_recovery.s3.tags import merge_tags
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.retention.planning import plan_retention

log = logging.getLogger(__name__)


class ExpiryReport(Value):
    """What became of the backups that were to expire: deleted, or kept after all, each with its reason."""

    expired: list[str]
    kept: dict[str, str]
    summary: str


def expire(
    connection: Connection, store: Store, settings: Settings, plan: ExpiryPlan, *, now: datetime
) -> ExpiryReport:
    """Delete the backups of the plan, oldest first, that by now would still expire.

    The plan may be hours old, where this is tried again: it is made anew, and only what both let go is deleted.

    Raises:
        StoreRefused: the key may not delete.
        TableUnreadable: the role may not mark rows; nothing was deleted whose row is not marked.
        StoreUnavailable, DatabaseUnavailable: a request failed; the next try goes on.
    """
    renewed = plan_retention(connection, store, settings, now)
    today = by_key(renewed)
    _take_back_marks(connection, store, renewed)
    expired, kept = [], {}
    for decision in reversed(plan.expired):
        reason = _expire_one(connection, store, settings.s3.prefix, decision, today.get(decision.key), now)
        if reason is None:
            expired.append(decision.key)
        else:
            kept[decision.key] = reason
            log.warning("%s is kept after all: %s", decision.key, reason)
    summary = renewed.summary(len([key for key in expired if key in today]))
    log.info("%s", summary)
    return ExpiryReport(expired=expired, kept=kept, summary=summary)


def _expire_one(
    connection: Connection, store: Store, prefix: str, planned: Decision, today: Decision | None, now: datetime
) -> str | None:
    """Expire one backup; why it is kept after all, or None where it is gone.

    Args:
        today: what is decided of it by now; None where an earlier try, or somebody, has deleted it already.
    """
    if today is None:
        _mark(connection, planned, now)
        return None
    if today.action == "keep":
        return ", ".join(today.reasons)
    found = store.head(today.key)
    if found is not None and (reason := _obstacle(store, prefix, found, now)):
        if today.is_expiring:
            _take_back(connection, store, today.key)
        return reason
    # Mark, then delete: killed in between, the history promises nothing that is gone, and the next run, which decides
    # the same of an object that is still there, finishes. The tag comes second: where no further run ever comes, the
    # bucket's own rule deletes what carries it, and by then the history must know. Deleting comes last, and is checked:
    # a server that only says it has deleted would leave a row that is expired and an object that is not.
    _mark(connection, today, now)
    _tag(store, today.key)
    if reason := _claim(store, prefix, today.key, now):  # asked again: marking takes a while
        _take_back(connection, store, today.key)
        return reason
    store.delete([today.key])
    _require_gone(store, today.key)
    log.info("expired %s: %s", today.key, ", ".join(today.reasons))
    return None


def _obstacle(store: Store, prefix: str, found: StoredObject, now: datetime) -> str | None:
    """Why an object must not be deleted; pins and leases last, as those may be set at any moment."""
    if found.has_legal_hold:
        return "locked by a legal hold of Object Lock"
    if found.locked_until is not None and found.locked_until > now:
        return f"locked by Object Lock until {found.locked_until.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    try:
        read_manifest(store, found.key, found.size)
    except DocumentError as error:
        return f"not deleted, as it cannot be told to be ours: {error.fact}; look at it, and delete it by hand"
    return _claim(store, prefix, found.key, now)


def _claim(store: Store, prefix: str, key: str, now: datetime) -> str | None:
    """Who wants to keep it since it was planned."""
    if is_pinned(store, prefix, key):
        return "pinned since it was planned"
    return "in use since it was planned" if is_in_use(store, prefix, key, now) else None


def _mark(connection: Connection, decision: Decision, now: datetime) -> None:
    mark = {"at": now.isoformat(), "reason": ", ".join(decision.reasons)}
    if not annotate(connection, file_name(decision.key), {EXPIRED: mark}):
        log.info("%s has no row in the history", decision.key)


def _tag(store: Store, key: str) -> None:
    try:
        merge_tags(store, key, {EXPIRED_TAG: EXPIRED_VALUE})
    except StoreRefused as error:
        log.warning("%s is not tagged before it is deleted: %s; hint: %s", key, error.fact, error.hint)


def _require_gone(store: Store, key: str) -> None:
    if store.head(key) is not None:
        raise StoreUnavailable(
            f"s3://{store.bucket}/{key} is still there, though the server said it was deleted",
            hint="see the server's log; the next run tries it again",
        )


def _take_back_marks(connection: Connection, store: Store, plan: ExpiryPlan) -> None:
    """An earlier run has marked them and was stopped; pinned since, or by a wider policy, they stay."""
    for decision in plan.kept:
        if decision.is_expiring:
            _take_back(connection, store, decision.key)
            log.info("%s is no longer marked as expired: %s", decision.key, ", ".join(decision.reasons))


def _take_back(connection: Connection, store: Store, key: str) -> None:
    """The tag first: it is what the bucket's own rule deletes by."""
    try:
        merge_tags(store, key, {EXPIRED_TAG: None})
    except StoreRefused as error:
        log.warning("%s may still be tagged as expired: %s; hint: %s", key, error.fact, error.hint)
    annotate(connection, file_name(key), {EXPIRED: None})
