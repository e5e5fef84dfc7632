"""Plan a restore: find the backup, hold its description against the target, refuse what cannot work, then open it.

Everything is decided before anything is written: the first side effects are the run's own schema and its lease, but for
what a killed run has left, which goes before.
"""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from include.disaster_recovery.backup_key import timestamp
from include.disaster_recovery.document import Manifest
from include.disaster_recovery.errors import (
    PreflightFailed,
    RestoreRefused,
)
from include.disaster_recovery.postgres.digests import summed
from include.disaster_recovery.postgres.rebuild.statements import require_empty
from include.disaster_recovery.postgres.restore import staging, target
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import LoadUnit, Quiet, RestorePlan, RestoreRequest, RestoreRun, TablePlan
from include.disaster_recovery.restore_plan import (
    HISTORY,
    described_references,
    described_table,
    differences,
    key_problems,
    label_notes,
    plan_new_table,
    plan_table,
    problems,
    table_in_document,
)
from include.disaster_recovery.restore_target import ForeignKey, TargetTable
from include.disaster_recovery.s3.documents import read_manifest, read_section
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.backup.preflight import check_session
from include.disaster_recovery.steps.finding import find_backup
from include.disaster_recovery.steps.restore.opening import open_restore, remove_leftovers
from include.disaster_recovery.steps.restore.vetting import vet_columns, vet_schema, vet_tables
from include.disaster_recovery.table_order import order_tables, reference_notes

log = logging.getLogger(__name__)

MANAGED = "auth"  # the schema beside the covered ones whose tables ride along


def plan_restore(
    connection: Connection,
    store: Store,
    settings: Settings,
    request: RestoreRequest,
    *,
    run_id: str,
    triggered_by: str | None,
    target_name: str,
    target_is_source: bool,
    is_active: Callable[[str], bool],
    most_units: int,
    now: datetime,
    database: str | None = None,
) -> tuple[RestorePlan, list[LoadUnit]]:
    """Plan and open a restore.

    Args:
        connection: the target.
        run_id: Airflow's id of this run.
        target_name: host:port/database, for people.
        is_active: tells whether the restore of another run is still going on.
        most_units: how many fragments the scheduler can load.
        database: of a drill the scratch database, in which the connection is.

    Raises:
        RestoreRefused: a parameter, the backup or the target makes it impossible; every reason is named.
        DocumentError: the document is truncated, foreign, damaged, of a newer version, or not signed as it should be.
        RestoreInProgress: another restore into this target is going on.
        RestoreFailed, DatabaseUnavailable, StoreRefused, StoreUnavailable: a request failed.
    """
    found = find_backup(store, settings, request.backup_key, now=now)
    manifest, manifest_sha256 = read_manifest(store, found.key, found.size)
    run = RestoreRun(
        run_id=run_id,
        key=found.key,
        size=found.size,
        manifest_sha256=manifest_sha256,
        request=request,
        staging_schema=_staging_schema(now),
        opened_at=now,
        triggered_by=triggered_by,
        target=target_name,
        target_is_source=target_is_source,
        database=database,
    )
    schema = read_section(store, found.key, manifest, "schema")
    vet_schema(schema)
    _require_session(connection, request.target_conn_id)
    planner = _Planner(connection, manifest, schema, run)
    prefix = settings.s3.prefix
    with staging.locked(connection):  # what a killed run has rebuilt would be in the way of the next
        remove_leftovers(connection, store, prefix, run, is_active)
    plan = planner.plan()
    units = _units(plan, manifest, most_units)
    with staging.locked(connection):
        remove_leftovers(connection, store, prefix, run, is_active)  # another may have come in between
        open_restore(connection, store, prefix, plan, now)
    log.info("restore of %s into %s: %d tables, %d fragments", run.key, run.target, len(plan.tables), len(units))
    log.info("%s is %s", run.key, store.keyring().standing(manifest.signature))
    for note in plan.notes:
        log.warning(note)
    return plan, units


def chosen_tables(manifest: Manifest, wanted: Sequence[str] | None) -> list[str]:
    """The tables to restore, in document order.

    Raises:
        RestoreRefused: a table is not in the backup, or is the history.
    """
    if wanted is None:
        names = [name for name in manifest.tables if name != HISTORY]
        if not names:
            raise RestoreRefused("the backup has no table to restore", hint="choose another backup")
        return names
    names = [name if name in manifest.tables else name.removeprefix("public.") for name in wanted]
    if missing := [name for name in names if name not in manifest.tables]:
        raise RestoreRefused(
            f"tables {', '.join(missing)} are not in the backup", hint=f"it has: {', '.join(manifest.tables)}"
        )
    if HISTORY in names:
        raise RestoreRefused(f"table {HISTORY} is never restored", hint="leave it out: the target keeps its history")
    if not names:
        raise RestoreRefused("tables is empty", hint="leave it unset for all tables, or name some")
    return [name for name in manifest.tables if name in names]


def _require_session(connection: Connection, name: str) -> None:
    """Refuse a transaction pooler: the locks that keep two restores apart belong to a session.

    Raises:
        RestoreRefused: the target is behind one.
        DatabaseUnavailable: the connection was lost.
    """
    try:
        check_session(connection)
    except PreflightFailed as error:
        hint = f"use the direct connection or the session pooler, port 5432, in the Airflow connection {name}"
        raise RestoreRefused(error.fact, hint=hint) from None


class _Planner:
    """Holds a document against a target."""

    def __init__(self, connection: Connection, manifest: Manifest, schema: Mapping[str, Any], run: RestoreRun) -> None:
        self.connection, self.manifest, self.schema, self.run = connection, manifest, schema, run
        self.schemas = [*schema.get("schemas", {}), MANAGED]
        self.tables = {
            name: table_in_document(name, self.schemas) for name in chosen_tables(manifest, run.request.tables)
        }
        vet_tables(self.tables)
        self.described = {name: described_table(schema, name) for name in self.tables}
        for name, described in self.described.items():
            vet_columns(name, described)

    def plan(self) -> RestorePlan:
        if self.run.request.restore_schema:
            require_empty(self.connection, list(self.schema.get("schemas", {})))
        names = list(self.tables.values())
        found = target.target_tables(self.connection, names)
        quiet = target.quiet_by(self.connection)
        types = target.resolved_types(
            self.connection, [c.type for name in found for c in self.described[name].columns or []]
        )
        keys = target.foreign_keys(self.connection, names)
        self._refuse(found, types, quiet, keys)
        references = self._references(keys, found)
        ordered, cycles = order_tables(list(self.tables), references)
        positions = {name: place for place, name in enumerate(self.manifest.tables, 1)}
        return RestorePlan(
            run=self.run,
            tables=[self._table(name, positions[name], found.get(name), types, quiet) for name in ordered],
            quiet=quiet,
            notes=[
                *reference_notes(cycles, references),
                *(line for name in found for line in differences(self.described[name], found[name])),
                *label_notes(self.schema.get("enums", {}), target.enum_labels(self.connection, self.schemas)),
            ],
        )

    def _refuse(
        self, found: Mapping[str, TargetTable], types: Mapping[str, str], quiet: Quiet, keys: Sequence[ForeignKey]
    ) -> None:
        lines = [line for name in found for line in problems(self.described[name], found[name], types, quiet)]
        lines += key_problems(keys, found, quiet, self.run.request.mode)
        if not self.run.request.restore_schema:
            lines += [f"table {name}: the target does not have it" for name in self.tables if name not in found]
        if lines:
            raise RestoreRefused(
                f"the backup does not fit the target {self.run.target}:\n  " + "\n  ".join(lines),
                hint="mend the target, leave the tables out, or restore with restore_schema into an empty database",
            )

    def _references(self, keys: Sequence[ForeignKey], found: Mapping[str, TargetTable]) -> list[tuple[str, str]]:
        """Referencing and referenced table of each key among the tables; of new tables as the document has them."""
        existing = [(key.table.name_in_document, key.references.name_in_document) for key in keys]
        new = [
            pair
            for name in self.tables
            if name not in found
            for pair in described_references(name, self.described[name])
        ]
        return [(at, to) for at, to in [*existing, *new] if at in self.tables and to in self.tables]

    def _table(
        self, name: str, position: int, found: TargetTable | None, types: Mapping[str, str], quiet: Quiet
    ) -> TablePlan:
        entry, described = self.manifest.tables[name], self.described[name]
        facts: dict[str, Any] = {
            "staged_as": f"t{position}",
            "row_count": entry.row_count,
            "digest": summed([fragment.digest for fragment in entry.fragments]),
        }
        if found is None:
            return plan_new_table(described, self.tables[name], **facts)
        empty = target.is_empty(self.connection, found.table, is_partitioned=found.kind == "p")
        return plan_table(described, found, types, was_empty=empty, quiet=quiet, **facts)


def _staging_schema(now: datetime) -> str:
    moment = "".join(character for character in timestamp(now).lower() if character.isalnum())
    return f"{staging.SCHEMA_PREFIX}{moment}_{secrets.token_hex(2)}"


def _units(plan: RestorePlan, manifest: Manifest, most: int) -> list[LoadUnit]:
    """One unit a fragment, the largest first, so that none is left over at the end."""
    units = [
        LoadUnit(table=table.name, part=part, parts=len(fragments), fragment=fragment)
        for table in plan.tables
        for fragments in [manifest.tables[table.name].fragments]
        for part, fragment in enumerate(fragments, 1)
        if not (table.direct and plan.run.request.dry_run)
    ]
    if len(units) > most:
        raise RestoreRefused(
            f"the restore has {len(units)} fragments, Airflow maps a task at most {most} times",
            hint="raise [core] max_map_length, or restore in several runs by naming tables",
        )
    return sorted(units, key=lambda unit: -sum(batch.size for batch in unit.fragment.batches))  # not as compressed
