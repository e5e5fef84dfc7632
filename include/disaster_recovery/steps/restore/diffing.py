"""What a restore would change, in rows, before anybody approves it."""

import logging

from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore import canary, staging
from include.disaster_recovery.postgres.restore.differences import decide
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import RestorePlan, TableDiff, TablePlan

log = logging.getLogger(__name__)


def diff(connection: Connection, plan: RestorePlan) -> list[TableDiff]:
    """Rows to insert, update and delete, table by table; the target is only read.

    What is found is noted in the staging schema, for `apply`.

    Raises:
        StagingDiffers: the staging schema is gone.
        RestoreInProgress: an earlier try of this step is at work.
        RestoreFailed, DatabaseUnavailable: a table cannot be read.
    """
    with staging.locked(connection):
        canary.require(connection, plan.run)
        found = [_diff(connection, plan, table) for table in plan.tables]
    for each in found:
        log.info(
            "%s: %d to insert, %d to update, %d to delete, %d unchanged",
            each.table, each.insert, each.update, each.delete, each.unchanged,
        )  # fmt: skip
    return found


def _diff(connection: Connection, plan: RestorePlan, table: TablePlan) -> TableDiff:
    if table.direct:
        return TableDiff(table=table.name, insert=table.row_count, update=0, delete=0, unchanged=0)
    with restoring(f"table {table.name} cannot be compared with the backup"), connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        return decide(connection, plan, table)
