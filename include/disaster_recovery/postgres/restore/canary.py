"""Whether what a restore has staged outlived the server.

Staging tables are not logged: a crash of the server, or a failover to its standby, empties them, while the ledgers
beside them stay. So it empties this one, which tells.
"""

from psycopg import sql

from include.disaster_recovery.errors import StagingLost
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore import staging
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import RestoreRun

NAME = "alive"


def create(connection: Connection, run: RestoreRun) -> None:
    """Make it, in the transaction that makes the run's schema.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    query = sql.SQL("create unlogged table {} using heap as select true as is_alive").format(_table(run))
    with restoring(f"schema {run.staging_schema} cannot be created"):
        connection.execute(query)


def require(connection: Connection, run: RestoreRun) -> None:
    """Check that the run's schema is there with its rows: without them the backup would lack every row of the target.

    It cannot be lost later than this in the same session: a crash ends all of them.

    Raises:
        StagingLost: the schema was removed, or the server has crashed or failed over since it was made.
        RestoreFailed, DatabaseUnavailable: the schema cannot be read.
    """
    staging.require(connection, run)
    with restoring("staging cannot be read"):
        found = connection.execute(sql.SQL("select from {}").format(_table(run))).fetchone()
    if found is None:
        raise StagingLost(
            f"what was staged in {run.staging_schema} is lost: the target has crashed or failed over since",
            hint="trigger a new restore; the target is as it was",
        )


def _table(run: RestoreRun) -> sql.Identifier:
    return sql.Identifier(run.staging_schema, NAME)
