"""What the backup's role may do, beside reading the tables themselves, which are tried one by one."""

from collections.abc import Sequence

from include.disaster_recovery.errors import PreflightFailed
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection

SHOWN = 10
ROLE_SCRIPT = "include/supabase/roles/backup_role.sql"


def require_rights(connection: Connection, schemas: Sequence[str], tried: Sequence[TableName]) -> None:
    """Refuse a role that could not describe the schemas, or not write the history.

    Args:
        schemas: those that `pg_dump` will describe: it locks every table in them.
        tried: tables whose reading is tried elsewhere.

    Raises:
        PreflightFailed: rights are missing; each is named.
        DatabaseUnavailable: the connection was lost.
    """
    names = [f"{table.schema_name}.{table.table_name}" for table in tried]
    with translated("rights of the backup role"):
        rows = connection.execute(statement("backup_rights"), {"schemas": list(schemas), "tried": names}).fetchall()
    lacking = [str(right) for (right,) in rows]
    if not lacking:
        return
    more = f", and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
    raise PreflightFailed(
        f"the backup role {connection.info.user} lacks {', '.join(lacking[:SHOWN])}{more}",
        hint=f"grant it; {ROLE_SCRIPT} grants all that a backup needs, and may be run again",
    )
