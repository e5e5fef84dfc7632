"""Whether the staged rows fit the target: each has its own key there, and no value loses anything by conversion."""

from psycopg import sql

from include.disaster_recovery.errors import StagingDiffers
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.operators import collated
from include.disaster_recovery.postgres.restore.staging import destination, source
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.restore_model import PlannedColumn, RestorePlan, TablePlan
from include.disaster_recovery.restore_target import TargetColumn

_KEYS = (
    "select coalesce(sum(n) filter (where has_all and n > 1), 0), coalesce(sum(n) filter (where not has_all), 0)"
    " from (select count(*) as n, {has_all} as has_all from {staged} as s group by {columns}) as keys"
)
_TEXTS = {"text", "character varying", "bpchar", "character", '"char"', "name"}
# What a cast rounds or cuts off in silence; other types either take a value or refuse it.
_LOSSY = {"numeric", "real", "double precision", "interval", "bit", '"bit"', "bit varying", *_TEXTS} | {
    *("timestamp without time zone", "timestamp with time zone", "date"),
    *("time without time zone", "time with time zone"),
}


def require_own_keys(connection: Connection, plan: RestorePlan, table: TablePlan) -> None:
    """Check that the staged rows differ in the target's key and that all have one.

    Raises:
        StagingDiffers: the key of the target is not one of the backup.
        RestoreFailed, DatabaseUnavailable: the staging table cannot be read.
    """
    if not table.key:
        return
    columns = [sql.Identifier("s", column.name) for column in table.key]
    compared = [
        collated(name, key.collation_schema, key.collation) for name, key in zip(columns, table.key, strict=True)
    ]
    query = sql.SQL(_KEYS).format(
        has_all=sql.SQL(" and ").join(sql.SQL("bool_and(num_nulls({}) = 0)").format(name) for name in columns),
        staged=relation(source(plan.run, table)),
        columns=sql.SQL(", ").join(compared),
    )
    with restoring(f"keys of table {table.name} cannot be compared"):
        row = connection.execute(query).fetchone() or (0, 0)
    shared, missing = (int(str(count)) for count in row)
    if missing:
        raise _unfit(table, f"{missing} rows of the backup have no value in key {table.key_name} of the target")
    if shared:
        raise _unfit(table, f"{shared} rows of the backup share key {table.key_name} of the target with another")


def require_no_loss(
    connection: Connection, plan: RestorePlan, table: TablePlan, found: dict[str, TargetColumn]
) -> None:
    """Check that values which become another type could be turned back.

    Raises:
        StagingDiffers: the target's type would round some, or cut them off.
        RestoreFailed, DatabaseUnavailable: the staging table cannot be read.
    """
    columns = [each for each in table.restored if each.converted and _may_lose(each, found[each.name])]
    if not columns:
        return
    lost = sql.SQL(", ").join(
        sql.SQL("count(*) filter (where {value}::text::{into}::text::{type} is distinct from {value})").format(
            value=sql.Identifier(column.name),
            into=sql.SQL(found[column.name].full_type),  # format_type's own quoting, as PlannedColumn.type
            type=sql.SQL(column.type),
        )
        for column in columns
    )
    query = sql.SQL("select {} from {}").format(lost, relation(destination(plan.run, table)))
    with restoring(f"table {table.name} cannot be converted to the types of the target"):
        row = connection.execute(query).fetchone() or ()
    for column, count in zip(columns, row, strict=True):
        if count:
            kind = found[column.name].full_type
            raise _unfit(table, f"{count} values of column {column.name} do not fit {kind} and would be cut")


def _may_lose(column: PlannedColumn, into: TargetColumn) -> bool:
    """A text that becomes a number is written otherwise, but loses nothing."""
    kind, other = column.type.removesuffix("[]"), into.base_type.removesuffix("[]")
    return kind in _LOSSY and (kind not in _TEXTS or other in _TEXTS)


def _unfit(table: TablePlan, why: str) -> StagingDiffers:
    return StagingDiffers(
        f"table {table.name}: {why}",
        hint="change the table of the target, or restore with restore_schema into an empty database",
    )
