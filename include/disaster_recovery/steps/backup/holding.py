"""Hold the snapshot: one open transaction that all extracts of the run read from."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from include.disaster_recovery.errors import DisasterRecoveryError, SnapshotLost, SnapshotStarved
from include.disaster_recovery.model import Snapshot
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import export
from include.disaster_recovery.postgres.source import relations
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.table_selection import select_tables

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
TWO_SLOTS = "the backup needs two slots at once: raise the pool's slots or [core] parallelism"
ENDED = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
WAITING = frozenset({None, "none", "scheduled", "queued"})

TaskStates = Mapping[str, str | None]


@dataclass(kw_only=True)
class Progress:
    """What the tasks that read the snapshot are doing, and since when nothing changed (monotonic seconds)."""

    start_seconds: float
    idle_seconds: float
    began: float
    changed: float
    started: bool = False
    states: TaskStates | None = None

    def see(self, states: TaskStates, now: float) -> bool:
        """Take note of the states; whether all tasks have ended.

        Raises:
            SnapshotStarved: none has started in time, or nothing has changed for too long.
        """
        if states != self.states:
            self.states, self.changed = dict(states), now
        if states and all(state in ENDED for state in states.values()):
            return True
        self.started = self.started or any(state not in WAITING for state in states.values())
        if not self.started and now - self.began > self.start_seconds:
            raise SnapshotStarved(
                f"no task of the run got a slot beside the held snapshot within {self.start_seconds:.0f} s",
                hint=TWO_SLOTS,
            )
        if now - self.changed > self.idle_seconds:
            raise SnapshotStarved(
                f"no task of the run has started or ended for {self.idle_seconds:.0f} s",
                hint="see the running tasks' logs; raise extract.snapshot_idle_seconds if they only need longer",
            )
        return False


def hold_snapshot(
    connection: Connection,
    settings: Settings,
    *,
    publish: Callable[[Snapshot], None],
    task_states: Callable[[], TaskStates],
    poll_seconds: float = POLL_SECONDS,
) -> Snapshot:
    """Export a snapshot, publish it, and keep it open until every task that reads it has ended.

    Raises:
        BackupInProgress, TableLocked, TableUnreadable, DatabaseUnavailable: the snapshot cannot be taken.
        SnapshotLost: the connection was lost while others were reading.
        SnapshotStarved: the readers never started, or make no progress.
    """
    tables = [relation.table for relation in select_tables(settings.tables, relations(connection)).covered]
    snapshot = export(connection, tables, lock_timeout_seconds=settings.extract.lock_timeout_seconds)
    publish(snapshot)
    log.info("holding snapshot %s over %d tables", snapshot.snapshot_id, len(tables))
    now = time.monotonic()
    progress = Progress(
        start_seconds=settings.extract.snapshot_start_seconds,
        idle_seconds=settings.extract.snapshot_idle_seconds,
        began=now,
        changed=now,
    )
    while not progress.see(task_states(), time.monotonic()):
        time.sleep(poll_seconds)
        _check_alive(connection, snapshot.snapshot_id)
    _check_alive(connection, snapshot.snapshot_id)
    connection.execute("rollback")
    log.info("released snapshot %s after %.1f s", snapshot.snapshot_id, time.monotonic() - now)
    return snapshot


def _check_alive(connection: Connection, snapshot_id: str) -> None:
    try:
        with translated("snapshot"):
            connection.execute("select")
    except DisasterRecoveryError as error:
        raise SnapshotLost(
            f"snapshot {snapshot_id} is lost: {error.fact}",
            hint="the database ended the session that held it; see its log, then trigger a new backup",
        ) from None
