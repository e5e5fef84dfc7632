"""Remove what a run staged, whatever became of it."""

import logging

from include.disaster_recovery.model import BackupRun
from include.disaster_recovery.s3.store import Store

log = logging.getLogger(__name__)


def remove_staging(store: Store, run: BackupRun) -> int:
    """Abort unfinished uploads and delete the objects of this run's staging folder; returns how many objects.

    Raises:
        StoreRefused, StoreUnavailable: a request failed.
    """
    store.abort_uploads(run.staging_prefix)
    store.abort_uploads(run.key)  # of an assemble that was killed
    removed = store.delete(store.keys(run.staging_prefix))
    log.info("removed %d staged objects", removed)
    return removed
