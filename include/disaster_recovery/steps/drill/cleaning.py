"""Remove what drills leave: scratch databases, the roles they made, leases. Only what bears our mark."""

import logging
from collections.abc import Callable
from contextlib import suppress

from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.postgres import scratch
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.s3 import leases
from include.disaster_recovery.s3.store import Store

log = logging.getLogger(__name__)


def drop_scratch(
    connection: Connection, store: Store, prefix: str, run_id: str, is_active: Callable[[str], bool]
) -> None:
    """Drop the scratch database of a run with its roles, and end its lease on the backup.

    The lease goes last: until its session is ended with the database, an earlier try may be reading the backup.

    Raises:
        RestoreFailed, DatabaseUnavailable, StoreUnavailable: a request failed.
    """
    for name, other in scratch.marked(connection):
        if other == run_id:
            scratch.drop(connection, name)
            log.info("dropped scratch database %s", name)
    _drop_roles(connection, run_id, is_active)
    _release(store, prefix, run_id)


def remove_orphans(
    connection: Connection, store: Store, prefix: str, run_id: str, is_active: Callable[[str], bool]
) -> None:
    """Remove what crashed drills have left, and an earlier try of this one; under the lock of the drill server.

    Raises:
        RestoreFailed, DatabaseUnavailable, StoreUnavailable: a request failed.
    """
    for name, other in scratch.marked(connection):
        if other == run_id or not is_active(other):
            scratch.drop(connection, name)
            _release(store, prefix, other)
            log.warning("dropped scratch database %s, left by drill run %s", name, other)
    for name in scratch.unfinished(connection):
        scratch.drop(connection, name)
        log.warning("dropped scratch database %s, left by a drill that crashed while it was made", name)
    _drop_roles(connection, run_id, is_active)


def _drop_roles(connection: Connection, run_id: str, is_active: Callable[[str], bool]) -> None:
    for role, other in scratch.marked_roles(connection):
        if other != run_id and is_active(other):
            continue
        if reason := scratch.drop_role(connection, role):
            log.warning("role %s, made by drill run %s, stays: %s", role, other, reason)
        else:
            log.info("dropped role %s", role)


def _release(store: Store, prefix: str, run_id: str) -> None:
    with suppress(StoreRefused):  # a key that may only read has taken none
        leases.release_run(store, prefix, run_id)
