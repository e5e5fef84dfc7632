"""What the target of a restore looks like: its tables, foreign keys and types, and what the role may do."""

from collections.abc import Sequence

from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from include.disaster_recovery.errors import RestoreFailed
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.restore_model import Quiet
from include.disaster_recovery.restore_target import ForeignKey, TargetTable
from include.disaster_recovery.table_selection import table_name


def target_tables(connection: Connection, tables: Sequence[TableName]) -> dict[str, TargetTable]:
    """Those of the tables that the target has, by their names in the document.

    Raises:
        RestoreFailed, DatabaseUnavailable: the catalogs cannot be read.
    """
    with restoring("tables of the target cannot be read"):
        rows = connection.execute(statement("target_tables"), _wanted(tables)).fetchall()
        found = [
            TargetTable.model_validate({**dict(facts), "table": table_name(str(schema), str(name))})  # type: ignore[call-overload]
            for schema, name, facts in rows
        ]
    return {each.table.name_in_document: each for each in found}


def foreign_keys(connection: Connection, tables: Sequence[TableName]) -> list[ForeignKey]:
    """The foreign keys that lead from or to the tables.

    Raises:
        RestoreFailed, DatabaseUnavailable: the catalogs cannot be read.
    """
    with restoring("foreign keys of the target cannot be read"):
        rows = connection.execute(statement("target_foreign_keys"), _wanted(tables)).fetchall()
    return [ForeignKey.model_validate(facts) for (facts,) in rows]


def enum_labels(connection: Connection, schemas: Sequence[str]) -> dict[str, list[str]]:
    """The labels of the target's enums, by their names in the document.

    Raises:
        RestoreFailed, DatabaseUnavailable: the catalogs cannot be read.
    """
    with restoring("enums of the target cannot be read"):
        row = connection.execute(statement("describe_enums"), {"schemas": list(schemas)}).fetchone()
    return dict(row[0]) if row else {}  # type: ignore[call-overload]


def resolved_types(connection: Connection, types: Sequence[str]) -> dict[str, str]:
    """The target's own name of each type a document mentions, without length or precision; unknown ones are left out.

    `to_regtype` parses a text as a type's name and nothing else, so a hostile one is at worst unknown.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    found: dict[str, str] = {}
    for each in sorted(set(types)):
        try:
            with restoring(f"type {each} cannot be looked up"):
                rows = connection.execute(statement("resolve_types"), {"types": [each]}).fetchall()
        except RestoreFailed:  # a malformed name is an error, an unknown one is not
            continue
        found.update({str(name): str(resolved) for name, resolved in rows})
    return found


def quiet_by(connection: Connection) -> Quiet:
    """How this role can keep triggers from firing: for its session, or only table by table.

    Raises:
        RestoreFailed, DatabaseUnavailable: the target does not tell.
    """
    with restoring("settings of the target cannot be tried"):
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("set local session_replication_role = replica")
        except InsufficientPrivilege:
            return "tables"
    return "replica"


def is_empty(connection: Connection, table: TableName, *, is_partitioned: bool) -> bool:
    """Whether a table has no row of its own."""
    query = sql.SQL("select not exists (select from {})").format(rows_of(table, is_partitioned=is_partitioned))
    with restoring(f"table {table.name_in_document} cannot be read"):
        row = connection.execute(query).fetchone()
    return bool(row and row[0])


def rows_of(table: TableName, *, is_partitioned: bool) -> sql.Composed:
    """A FROM item with the rows a backup keeps for a table: inheritance children are tables of their own."""
    return sql.SQL("" if is_partitioned else "only ") + relation(table)


def storage(connection: Connection, table: TableName) -> tuple[bool, str]:
    """Whether a table with all its partitions is stored as heaps, and a hash of their columns in the catalog.

    Raises:
        RestoreFailed, DatabaseUnavailable: the catalogs cannot be read.
    """
    wanted = {"relation": relation(table).as_string(connection)}
    with restoring(f"table {table.name_in_document} cannot be looked up"):
        is_heap, columns = connection.execute(statement("target_storage"), wanted).fetchone() or (False, "")
    return bool(is_heap), str(columns)


def _wanted(tables: Sequence[TableName]) -> dict[str, list[str]]:
    return {"schemas": [table.schema_name for table in tables], "names": [table.table_name for table in tables]}
