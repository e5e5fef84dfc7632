"""Open a restore: clear away what killed ones have left, then make the run's schema and its lease."""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from include.disaster_recovery.errors import RestoreInProgress, RestoreRefused, StoreRefused, StoreUnavailable
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore import canary, staging
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import RestorePlan, RestoreRun
from include.disaster_recovery.s3 import leases
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.steps.restore.cleaning import remove_staging

log = logging.getLogger(__name__)


def open_restore(connection: Connection, store: Store, prefix: str, plan: RestorePlan, now: datetime) -> None:
    """Make the run's schema and its lease, the first things a restore writes.

    Raises:
        RestoreRefused: the backup has been deleted since it was found.
        RestoreFailed, DatabaseUnavailable, StoreUnavailable: a request failed; nothing is left behind.
    """
    run = plan.run
    _protect(store, prefix, run, now)
    try:
        _require_there(store, run.key)
        with restoring("staging cannot be created"), connection.transaction():
            staging.create(connection, run)
            canary.create(connection, run)
            for table in plan.tables:
                if not table.direct:
                    staging.create_table(connection, run, table)
    except BaseException:
        with suppress(StoreRefused, StoreUnavailable):  # it stops counting some day, and must not hide the reason
            leases.release(store, prefix, run.key, run.run_id)
        raise


def _protect(store: Store, prefix: str, run: RestoreRun, now: datetime) -> None:
    """Take the lease. Neither a key that may only read nor a full bucket must keep anybody from restoring."""
    try:
        leases.take(store, prefix, run.key, run.run_id, now)
    except (StoreRefused, StoreUnavailable) as error:
        log.warning("the backup is not protected from retention while it is restored: %s", error.fact)


def _require_there(store: Store, key: str) -> None:
    """From here on the lease keeps retention away, which may have been quicker."""
    if store.head(key) is None:
        raise RestoreRefused(f"{key} has expired while it was planned", hint="choose another backup key")


def remove_leftovers(
    connection: Connection, store: Store, prefix: str, run: RestoreRun, is_active: Callable[[str], bool]
) -> None:
    """Refuse to go on beside another restore; what one that is over has left is removed.

    Raises:
        RestoreInProgress: another restore into this target is going on.
        RestoreFailed, DatabaseUnavailable, StoreUnavailable: a request failed.
    """
    for schema, other in staging.marked(connection, anybodys=True):
        if other != run.run_id and is_active(other):
            raise RestoreInProgress(
                f"restore run {other} into this target is going on (schema {schema})",
                hint="wait for it, or end it in Airflow; then trigger this one again",
            )
    for schema, other in staging.marked(connection):
        remove_staging(connection, schema)
        with suppress(StoreRefused):  # a key that may only read has left no lease either
            leases.release_run(store, prefix, other)
        log.warning("removed schema %s, left by restore run %s", schema, other)
    for schema, other in staging.marked(connection, anybodys=True):
        log.warning("schema %s, left by restore run %s, belongs to another role: drop it as that one", schema, other)
