"""Apply a restore to its target: one transaction, in which everything happens or nothing."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from include.disaster_recovery.errors import RestoreFailed, RestoreRefused
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore import canary, ledger, staging, target
from include.disaster_recovery.postgres.restore.changes import Changer
from include.disaster_recovery.postgres.restore.quiet import lock, quietly
from include.disaster_recovery.postgres.restore.sequences import move_past
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import RestorePlan, TableDiff, TablePlan
from include.disaster_recovery.restore_plan import table_in_document
from include.disaster_recovery.s3.documents import read_section
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.steps.restore.loading import same_document
from include.disaster_recovery.steps.restore.rebuilding import finish_schema

log = logging.getLogger(__name__)

LOCK_TIMEOUT = "60s"


def apply(
    connection: Connection, store: Store, plan: RestorePlan, approved: Sequence[TableDiff] | None
) -> list[TableDiff]:
    """Bring the staged rows into the target.

    A second try of a committed apply returns what the first has done.

    Args:
        approved: what a person has agreed to; anything else is refused. None where nobody was asked.

    Raises:
        RestoreRefused: it is a dry run.
        RestoreFailed: the target refused, a foreign key does not hold, or the target has changed since the approval.
        RestoreInProgress, TableLocked, DatabaseUnavailable: worth another try; nothing was changed.
        RebuildFailed, StagingDiffers, DocumentError, StoreRefused, StoreUnavailable: nothing was changed.
    """
    if plan.run.request.dry_run:
        raise RestoreRefused("a dry run is never applied", hint="trigger the restore again without dry_run")
    schema = read_section(store, plan.run.key, same_document(store, plan), "schema")
    with staging.locked(connection):
        staging.require(connection, plan.run)
        if earlier := ledger.applied(connection, plan.run.staging_schema):
            return earlier
        canary.require(connection, plan.run)
        with restoring("the restore cannot be applied"), connection.transaction():
            done, unchecked = _write(connection, plan, approved)
            rebuilt = plan.run.request.restore_schema
            skipped = finish_schema(connection, store, plan) if rebuilt else []
            moved = move_past(connection, [table.table for table in plan.tables], _remembered(schema), every=rebuilt)
            ledger.record_applied(connection, plan.run, done)
    for line in unchecked:
        log.warning(line)
    for line in [*moved, *skipped]:
        log.info(line)
    log.info("applied: %d inserted, %d updated, %d deleted", *_totals(done))
    return done


def _write(
    connection: Connection, plan: RestorePlan, approved: Sequence[TableDiff] | None
) -> tuple[list[TableDiff], list[str]]:
    """Deletes from referencing tables to referenced ones, then writes the other way round.

    Returns:
        What was done, and the foreign keys that were not checked.
    """
    staged = [table for table in plan.tables if not table.direct]
    names = [table.table for table in staged]
    found = target.target_tables(connection, names)
    keys = target.foreign_keys(connection, names)
    lock(connection, list(found.values()), keys, timeout=LOCK_TIMEOUT)
    changers = [Changer(connection, plan, table) for table in staged]
    decided = {table.name: changer.decide() for table, changer in zip(staged, changers, strict=True)}
    done = [decided.get(table.name) or _loaded(table) for table in plan.tables]
    if approved is not None:
        _require_approved(done, approved)
    with quietly(connection, plan.quiet, list(found.values()), keys) as unchecked:
        for changer in reversed(changers):
            changer.delete()
        for changer in changers:
            changer.write()
    return done, unchecked


def _require_approved(done: Sequence[TableDiff], approved: Sequence[TableDiff]) -> None:
    wanted = {each.table: each for each in approved}
    if changed := [each.table for each in done if wanted.get(each.table) != each]:
        raise RestoreFailed(
            f"the target has changed since the approval in: {', '.join(changed)}",
            hint="stop what writes to it, then trigger the restore again; nothing was changed",
        )


def _loaded(table: TablePlan) -> TableDiff:
    return TableDiff(table=table.name, insert=table.row_count, update=0, delete=0, unchanged=0)


def _remembered(schema: Mapping[str, Any]) -> dict[tuple[str, str], int | None]:
    """The last values of the document's sequences by schema and name."""
    schemas = list(schema.get("schemas", {}))
    found = {}
    for name, facts in schema.get("sequences", {}).items():
        table = table_in_document(name, schemas)
        found[table.schema_name, table.table_name] = facts.get("last_value")
    return found


def _totals(done: Sequence[TableDiff]) -> tuple[int, int, int]:
    return sum(d.insert for d in done), sum(d.update for d in done), sum(d.delete for d in done)
