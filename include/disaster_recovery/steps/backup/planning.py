"""Plan the extracts: wait for the published snapshot, then cut its tables into units."""

import logging
import time
from collections.abc import Callable

from include.disaster_recovery.errors import SnapshotLost, SnapshotStarved, TableUnreadable
from include.disaster_recovery.extract_plan import plan_units
from include.disaster_recovery.model import ExtractUnit, Snapshot
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import lock_now, reading
from include.disaster_recovery.postgres.source import relations
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.backup.holding import ENDED, TWO_SLOTS
from include.disaster_recovery.table_selection import select_tables

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5


def await_snapshot(
    published: Callable[[], Snapshot | None], holder_state: Callable[[], str | None], *, wait_seconds: float
) -> Snapshot:
    """Wait until the holder has published its snapshot.

    Raises:
        SnapshotLost: the holder has ended without one.
        SnapshotStarved: the holder did not publish in time.
    """
    until = time.monotonic() + wait_seconds
    while (snapshot := published()) is None:
        if (state := holder_state()) in ENDED:
            raise SnapshotLost(
                f"hold_snapshot ended as {state} without a snapshot", hint="see the log of hold_snapshot"
            )
        if time.monotonic() > until:
            raise SnapshotStarved(
                f"hold_snapshot published no snapshot within {wait_seconds:.0f} s",
                hint=TWO_SLOTS,
            )
        time.sleep(POLL_SECONDS)
    return snapshot


def plan_extracts(connection: Connection, settings: Settings, snapshot: Snapshot) -> list[ExtractUnit]:
    """Cut every table of the snapshot into units, largest first.

    Raises:
        SnapshotLost: the holder is gone.
        TableLocked: another session awaits an exclusive lock; trying again helps once it is gone.
        TableUnreadable: the tables are no longer those that were locked.
    """
    with reading(connection, snapshot.snapshot_id):
        for table in snapshot.tables:
            lock_now(connection, table)
        covered = select_tables(settings.tables, relations(connection, sized=snapshot.tables)).covered
    locked, found = {t.name_in_document for t in snapshot.tables}, {r.table.name_in_document for r in covered}
    if locked != found:
        raise TableUnreadable(
            f"tables came or went while the snapshot was taken: {', '.join(sorted(locked ^ found))}",
            hint="trigger the backup again, outside the migration window",
        )
    units = plan_units(covered, split_bytes=settings.extract.split_bytes, snapshot_id=snapshot.snapshot_id)
    log.info("planned %d units over %d tables: %s", len(units), len(covered), ", ".join(unit.label for unit in units))
    return units
