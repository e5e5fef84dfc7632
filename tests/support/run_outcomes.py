"""How backups ended, as their history says, and the entry of one that failed."""

from __future__ import annotations

from include.disaster_recovery.errors import DisasterRecoveryError
from include.disaster_recovery.history import catalog
from include.disaster_recovery.model import BackupRun
from tests.support.rig import Rig


def statuses(rig: Rig) -> list[str]:
    with rig.connect() as connection:
        found = connection.execute("select status from public.backup_history order by created_at").fetchall()
    return [str(status) for (status,) in found]


def fail(rig: Rig, run: BackupRun, error: DisasterRecoveryError) -> None:
    with rig.connect() as connection:
        catalog.close_failed(connection, run.run_id, str(error))
