"""Prove what is staged against the manifest, before the target is touched."""

import logging
from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.errors import StagingDiffers
from include.disaster_recovery.postgres.digests import content_digest, named_columns, summed
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore import canary, ledger, staging, target
from include.disaster_recovery.postgres.restore.fitness import require_no_loss, require_own_keys
from include.disaster_recovery.postgres.restore.target import rows_of
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import LoadedFragment, RestorePlan, StagedTable, TablePlan

log = logging.getLogger(__name__)

_ALIAS = sql.SQL(" as a")


def check_staging(connection: Connection, plan: RestorePlan) -> list[StagedTable]:
    """Hold every loaded table against the manifest; convert values where the target's types have changed.

    What was stored is read from the ledger that the loads have written in their own transactions. That it is all there
    and nothing else is counted: rows name the transaction that wrote them. Where they do not, they are digested anew.

    Raises:
        StagingDiffers: rows or digest of a table are not the manifest's, they do not fit the target, or the staging
            schema is gone.
        RestoreFailed, DatabaseUnavailable: the tables cannot be read.
    """
    canary.require(connection, plan.run)
    loaded = ledger.loaded(connection, plan.run)
    tables = [table for table in plan.tables if not (table.direct and plan.run.request.dry_run)]
    checked = [
        _check(connection, plan, table, [each for each in loaded if each.table == table.name]) for table in tables
    ]
    log.info("checked %d tables, %d rows: as in the manifest", len(checked), sum(each.rows for each in checked))
    return checked


def _check(
    connection: Connection, plan: RestorePlan, table: TablePlan, loaded: Sequence[LoadedFragment]
) -> StagedTable:
    rows, digest = sum(each.rows for each in loaded), summed([each.digest for each in loaded])
    if (rows, digest) != (table.row_count, table.digest):
        raise _differs(table, f"{rows} rows with digest {digest} were loaded")
    if not table.direct:
        staging.analyze(connection, plan.run, table)
    content = summed([each.content_digest for each in loaded])
    if not table.direct or target.storage(connection, table.table)[0]:
        _require_untouched(connection, plan, table)
    elif (found := _stored(connection, plan, table)) != (rows, content):
        raise _differs(table, f"{found[0]} rows with digest {found[1]} of their restored columns are staged")
    staged = StagedTable(table=table.name, rows=rows, content_digest=content)
    if table.is_converted:
        staged = _convert(connection, plan, table)
    require_own_keys(connection, plan, table)
    return staged


def _require_untouched(connection: Connection, plan: RestorePlan, table: TablePlan) -> None:
    """Every row of the loads stands there, as they have stored it, and no other.

    Raises:
        StagingDiffers: it is not so.
        RestoreFailed, DatabaseUnavailable: the table cannot be read.
    """
    loads = ledger.transactions(connection, plan.run, table.name)
    rows, loaded = staging.standing(connection, plan.run, table, loads)
    if (rows, loaded) != (table.row_count, table.row_count):
        raise _differs(table, f"{rows} rows are staged, {rows - loaded} of them written by others than the loads")


def _differs(table: TablePlan, found: str) -> StagingDiffers:
    return StagingDiffers(
        f"table {table.name}: {found}, the manifest says {table.row_count} rows with digest {table.digest}",
        hint="trigger a new restore; if it comes back, report it: the target is as it was",
    )


def _stored(connection: Connection, plan: RestorePlan, table: TablePlan) -> tuple[int, str]:
    stored, names = staging.destination(plan.run, table), [column.name for column in table.restored]
    rows = rows_of(stored, is_partitioned=table.is_partitioned)
    with restoring(f"staging of table {table.name} cannot be read"):
        return content_digest(connection, rows + _ALIAS, named_columns(connection, stored, names))


def _convert(connection: Connection, plan: RestorePlan, table: TablePlan) -> StagedTable:
    found = target.target_tables(connection, [table.table])
    staging.convert(connection, plan.run, table)
    require_no_loss(connection, plan, table, {each.name: each for each in found[table.name].columns})
    converted = staging.source(plan.run, table)
    names = [column.name for column in table.restored]
    with restoring(f"staging of table {table.name} cannot be read"):
        rows, digest = content_digest(
            connection, rows_of(converted, is_partitioned=False) + _ALIAS, named_columns(connection, converted, names)
        )
    return StagedTable(table=table.name, rows=rows, content_digest=digest)
