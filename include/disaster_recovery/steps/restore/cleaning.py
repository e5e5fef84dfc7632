"""Remove what a restore has left in its target and beside its backup, whatever became of it."""

import logging
from contextlib import suppress

from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.postgres.restore import ledger, staging
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import RestoreRun
from include.disaster_recovery.s3 import leases
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings

log = logging.getLogger(__name__)


def clean_up(connection: Connection, store: Store, settings: Settings, run: RestoreRun) -> None:
    """Drop the run's schema, undo a rebuild that was not applied, and end the lease on the backup.

    The lease goes last: while an earlier try of some task is still at work, it may be reading the backup.

    Raises:
        RestoreInProgress: an earlier try of some task is still at work in the target.
        RestoreFailed, DatabaseUnavailable, StoreUnavailable: a request failed.
    """
    with staging.locked(connection):
        if any(schema == run.staging_schema for schema, _ in staging.marked(connection)):
            remove_staging(connection, run.staging_schema)
            log.info("removed schema %s", run.staging_schema)
    with suppress(StoreRefused):  # a key that may only read has taken none
        leases.release(store, settings.s3.prefix, run.key, run.run_id)


def remove_staging(connection: Connection, schema: str) -> None:
    """Drop a restore's schema; what it has created beyond that is removed first, unless it was applied.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    if not ledger.applied(connection, schema):
        undone = ledger.undo(connection, schema)
        if undone:
            log.warning("removed what the restore had created: %d statements", undone)
    staging.drop(connection, schema)
