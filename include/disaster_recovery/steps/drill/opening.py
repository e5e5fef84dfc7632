"""Open a drill: is it due, tidy up behind crashed ones, make the scratch database, plan the restore into it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.disaster_recovery.drill_guard import held_back
from include.disaster_recovery.drill_model import OpenedDrill
from include.disaster_recovery.postgres import scratch
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import LoadUnit, RestorePlan, RestoreRequest
from include.disaster_recovery.s3.documents import read_manifest, read_section
from include.disaster_recovery.s3.reports import bare_name, reported_drills
from include.disaster_recovery.s3.store import Store, StoredObject
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.drill.cleaning import remove_orphans
from include.disaster_recovery.steps.finding import find_backup
from include.disaster_recovery.steps.restore.planning import plan_restore

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The backup to drill, and why not now; `reason` is None if it is due."""

    backup: StoredObject
    reason: str | None


def choose_backup(store: Store, settings: Settings, wanted: str, *, by_hand: bool, now: datetime) -> Choice:
    """Find the backup, and whether it shall be drilled.

    Args:
        wanted: a key, a file name or `latest`.
        by_hand: somebody has asked for this drill: it is never held back.

    Raises:
        RestoreRefused: there is no such backup.
        StoreRefused, StoreUnavailable: a request failed.
    """
    found = find_backup(store, settings, wanted, now=now)
    reason = held_back(
        by_hand=by_hand,
        every=settings.drill.every,
        max_bytes=settings.drill.max_bytes,
        backup=bare_name(found.key),
        size=found.size,
        earlier=[] if by_hand else reported_drills(store, settings.s3.prefix),
        now=now,
    )
    return Choice(backup=found, reason=reason)


def open_scratch(
    connection: Connection,
    store: Store,
    settings: Settings,
    drill: OpenedDrill,
    *,
    conn_id: str,
    is_active: Callable[[str], bool],
) -> int:
    """Make the scratch database, when what crashed drills have left is removed; returns the schema section's bytes.

    Args:
        connection: in any other database of the drill server.
        conn_id: the Airflow connection, for messages.
        is_active: tells whether another run of the drill is still going on.

    Raises:
        RestoreRefused: the role lacks rights for a drill; nothing was touched.
        DocumentError: the document cannot be read from its end; nothing was touched.
        RestoreInProgress: another drill is being opened at this moment.
        RestoreFailed, DatabaseUnavailable, StoreRefused, StoreUnavailable: a request failed.
    """
    manifest, _ = read_manifest(store, drill.key, drill.size)
    schema = read_section(store, drill.key, manifest, "schema")
    scratch.require_rights(connection, conn_id, list(schema.get("roles", {})), hidden=_hides_rows(schema))
    with scratch.locked(connection):
        remove_orphans(connection, store, settings.s3.prefix, drill.run_id, is_active)
        scratch.create(connection, drill.database, drill.run_id, drill.key)
    log.info("created scratch database %s", drill.database)
    return manifest.sections["schema"].length


def _hides_rows(schema: Mapping[str, Any]) -> bool:
    """Whether a table has row-level security that holds for its owner, too: then the drill's role must bypass it."""
    tables = schema.get("tables")
    flags = [each.get("rls") for each in tables.values() if isinstance(each, dict)] if isinstance(tables, dict) else []
    return any(isinstance(each, dict) and each.get("forced") for each in flags)


def plan_drill(
    connection: Connection,
    store: Store,
    settings: Settings,
    drill: OpenedDrill,
    *,
    conn_id: str,
    triggered_by: str | None,
    is_active: Callable[[str], bool],
    most_units: int,
) -> tuple[RestorePlan, list[LoadUnit]]:
    """Plan the restore of the whole backup into the scratch database, and open it: the restore's own plan.

    Args:
        connection: in the scratch database.

    Raises:
        RestoreRefused, DocumentError, RestoreInProgress, RestoreFailed: as `plan_restore`.
        DatabaseUnavailable, StoreRefused, StoreUnavailable: a request failed.
    """
    request = RestoreRequest(
        backup_key=drill.key,
        target_conn_id=conn_id,
        tables=None,
        mode="replace",
        restore_schema=True,
        dry_run=False,
        require_approval=False,
    )
    return plan_restore(
        connection,
        store,
        settings,
        request,
        run_id=drill.run_id,
        triggered_by=triggered_by,
        target_name=drill.target,
        target_is_source=False,
        is_active=is_active,
        most_units=most_units,
        now=drill.started_at,
        database=drill.database,
    )
