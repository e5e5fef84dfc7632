"""The schema a restore owns in its target: its mark, its lock, the staged rows.

Its comment is the owner mark: what bears none is never dropped.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count, islice

import psycopg
from psycopg import sql

from include.disaster_recovery.errors import RestoreInProgress, StagingDiffers, StagingLost
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.errors import message, restoring
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.restore import ledger
from include.disaster_recovery.postgres.restore.target import rows_of
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.restore_model import PlannedColumn, RestoreRun, TablePlan

SCHEMA_PREFIX = "collabhunts_restore_"
MARK = "collabhunts restore "
MOST_COLUMNS = 1600  # MaxHeapAttributeNumber
_FEW_SAMPLES = "set local default_statistics_target = 10"  # of at least 3000 rows; 100 take seconds
RESTORE_LOCK = 0x436F6C6C61623272  # advisory lock of a restore's writing steps in the target: "Collab2r" in ASCII


@contextmanager
def locked(connection: Connection, *, shared: bool = False) -> Iterator[None]:
    """Keep other restores out of this target: exclusive for whoever changes it, shared for loads.

    Raises:
        RestoreInProgress: another restore, or an earlier try of this task, is at work.
        DatabaseUnavailable: the connection was lost.
    """
    kind = "_shared" if shared else ""
    with restoring("lock of the target"):
        row = connection.execute(f"select pg_try_advisory_lock{kind}({RESTORE_LOCK})").fetchone()
    if not row or not row[0]:
        raise RestoreInProgress(
            "another restore, or an earlier try of this one, is at work in the target",
            hint="wait until it is done, or end its session in pg_stat_activity",
        )
    try:
        yield
    finally:
        if not connection.closed and not connection.info.transaction_status:
            with suppress(psycopg.OperationalError):  # the session is gone, and its lock with it
                connection.execute(f"select pg_advisory_unlock{kind}({RESTORE_LOCK})")


def create(connection: Connection, run: RestoreRun) -> None:
    """Make the schema of a run, with its mark and its ledgers.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    schema = sql.Identifier(run.staging_schema)
    mark = sql.Literal(MARK + json.dumps({"run_id": run.run_id, "backup": run.key}))
    denied = "grant the role CREATE on the database"
    with restoring(f"schema {run.staging_schema} cannot be created", denied=denied), connection.transaction():
        connection.execute(sql.SQL("create schema {}").format(schema))
        for table in ledger.TABLES:
            connection.execute(sql.SQL(table).format(schema=schema))
        connection.execute(sql.SQL("comment on schema {} is {}").format(schema, mark))


def require(connection: Connection, run: RestoreRun) -> None:
    """Check that the run's schema is still there.

    Raises:
        StagingLost: it is gone: cleaned up by another restore.
    """
    if all(schema != run.staging_schema for schema, _ in marked(connection)):
        raise StagingLost(f"schema {run.staging_schema} is gone", hint="trigger a new restore; the target is as it was")


def marked(connection: Connection, *, anybodys: bool = False) -> list[tuple[str, str]]:
    """Every schema with our mark that this role owns (or anybody does), and the id of the run that made it.

    Raises:
        RestoreFailed, DatabaseUnavailable: the catalogs cannot be read.
    """
    with restoring("list of staging schemas"):
        rows = connection.execute(
            statement("staging_schemas"), {"prefix": f"{SCHEMA_PREFIX}%".replace("_", r"\_"), "mark": f"{MARK}%"}
        ).fetchall()
    found = [(str(schema), _run_of(str(mark))) for schema, mark, is_ours in rows if is_ours or anybodys]
    return [(schema, run_id) for schema, run_id in found if run_id is not None]


def _run_of(mark: str) -> str | None:
    """The run that a mark names; None if somebody else wrote that comment."""
    try:
        content = json.loads(mark.removeprefix(MARK))
    except ValueError:
        return None
    return str(content["run_id"]) if isinstance(content, dict) and "run_id" in content else None


def drop(connection: Connection, schema: str) -> None:
    """Drop a staging schema with all that is in it; one that is gone already is no error.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    with restoring(f"schema {schema} cannot be dropped"):
        connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))


def create_table(connection: Connection, run: RestoreRun, plan: TablePlan) -> None:
    """Make the empty staging table of a table: the document's columns and two hashes, no constraints, not logged.

    The names of types are the target's own quoting, see `PlannedColumn.type`. It is a heap, whatever the target's
    default: `standing` goes by that.
    """
    columns = [(column.name, column.type) for column in plan.columns] + [(name, "bigint") for name in hashes(plan)]
    fields = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in columns)
    name = sql.Identifier(run.staging_schema, plan.staged_as)
    with restoring(f"staging of table {plan.name} cannot be created"):
        connection.execute(sql.SQL("create unlogged table {} ({}) using heap").format(name, fields))
        if not plan.was_empty:
            _leave_uncompressed(connection, name)


def _leave_uncompressed(connection: Connection, table: sql.Identifier) -> None:
    """Large values as they come: to compress them takes most of a load, and few of them may go into the target."""
    wanted = {"relation": table.as_string(connection)}
    columns = connection.execute(statement("staging_compressed"), wanted).fetchall()
    actions = [sql.SQL("alter {} set storage external").format(sql.Identifier(str(name))) for (name,) in columns]
    if actions:
        connection.execute(sql.SQL("alter table {} {}").format(table, sql.SQL(", ").join(actions)))


def hashes(plan: TablePlan) -> list[str]:
    """The columns of a staging table for two hashes of each row's restored columns; none of the document's is one.

    A table of the application's own has none, nor the staging of one that is as wide as Postgres allows.
    """
    taken = {column.name for column in plan.columns}
    free = (name for number in count() if (name := f"hash {number}") not in taken)
    return [] if plan.direct or len(taken) + 2 > MOST_COLUMNS else list(islice(free, 2))


def standing(connection: Connection, run: RestoreRun, plan: TablePlan, loads: Sequence[str]) -> tuple[int, int]:
    """How many rows stand where a table was loaded, and how many of them are just as its loads have stored them.

    A version of a row never changes and names the transaction that wrote it, so no value is read again.

    Args:
        loads: the transactions of the loads, see `ledger.transactions`.

    Raises:
        RestoreFailed, DatabaseUnavailable: the table cannot be read.
    """
    query = sql.SQL("select count(*), count(*) filter (where a.xmin = any({})) from {} as a").format(
        sql.SQL("{}::text[]::pg_catalog.xid[]").format(sql.Literal(list(loads))),
        rows_of(destination(run, plan), is_partitioned=plan.direct and plan.is_partitioned),
    )
    with restoring(f"staging of table {plan.name} cannot be read"):
        row = connection.execute(query).fetchone() or (0, 0)
    return int(str(row[0])), int(str(row[1]))


def destination(run: RestoreRun, plan: TablePlan) -> TableName:
    """Where the rows of a table are loaded: its staging table, or the table itself."""
    if plan.direct:
        return plan.table
    return TableName(schema_name=run.staging_schema, table_name=plan.staged_as, name_in_document=plan.name)


def source(run: RestoreRun, plan: TablePlan) -> TableName:
    """Where the rows are that go into the target: staged, and converted where types have changed since."""
    name = f"{plan.staged_as}_converted" if plan.is_converted else plan.staged_as
    return TableName(schema_name=run.staging_schema, table_name=name, name_in_document=plan.name)


def convert(connection: Connection, run: RestoreRun, plan: TablePlan) -> None:
    """Make the staged rows rows of the target's types. A value that does not fit is an error, never cut off.

    The cast goes through text to the type without length; length and precision are then applied by the assignment,
    which refuses what an explicit cast would truncate in silence.

    Raises:
        StagingDiffers: a value does not fit.
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    names = [column.name for column in plan.restored]
    into, columns = relation(source(run, plan)), sql.SQL(", ").join(map(sql.Identifier, names))
    values = sql.SQL(", ").join(
        sql.SQL(_cast(column)).format(sql.Identifier(column.name), sql.SQL(column.target_type or ""))
        if column.converted
        else sql.Identifier(column.name)
        for column in plan.restored
    )
    with restoring(f"table {plan.name} cannot be converted to the types of the target"), connection.transaction():
        connection.execute(sql.SQL("drop table if exists {}").format(into))
        connection.execute(
            sql.SQL("create unlogged table {} as select {} from {} with no data").format(
                into, columns, relation(plan.table)
            )
        )
        try:
            connection.execute(
                sql.SQL("insert into {} select {} from {}").format(into, values, relation(destination(run, plan)))
            )
        except (psycopg.DataError, psycopg.IntegrityError) as error:  # the latter: a domain
            raise StagingDiffers(
                f"table {plan.name}: a value of the backup does not fit the target's type: {message(error)}",
                hint="widen the column, or restore with restore_schema into an empty database",
            ) from None


def _cast(column: PlannedColumn) -> str:
    """The text of a real is shorter than its value: 0.1 is 0.10000000149011612 as double precision."""
    kinds = (column.type.removesuffix("[]"), (column.target_type or "").removesuffix("[]"))
    return "{}::{}" if kinds == ("real", "double precision") else "{}::text::{}"


def analyze(connection: Connection, run: RestoreRun, plan: TablePlan) -> None:
    """Give the planner statistics of what is staged: without, it may join row by row. The number of rows is enough.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    names = [column.name for column in plan.key] or hashes(plan) or [column.name for column in plan.columns[:1]]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    with restoring(f"staging of table {plan.name} cannot be analyzed"), connection.transaction():
        connection.execute(_FEW_SAMPLES)
        connection.execute(sql.SQL("analyze {} ({})").format(relation(destination(run, plan)), columns))
