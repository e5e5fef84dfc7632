"""Reading rows of `public.backup_history`, and adding to them what is learnt of a backup later."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from include.disaster_recovery.history.catalog import DENIED
from include.disaster_recovery.model import Value
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection

EVERY_ROW = 10_000  # newest first: 27 years of daily backups


class HistoryRow(Value):
    """One row, as far as anything here goes by it. Bytes, milliseconds; `components` is `components_backed_up`."""

    id: str
    backup_type: str
    status: str
    file_name: str | None
    s3_url: str | None = None
    file_size: int | None
    execution_time_ms: int | None
    components: dict[str, Any]
    error_message: str | None
    created_at: datetime

    @property
    def run_id(self) -> str | None:
        """Airflow's id of the run that wrote it; None for a row of another program, as the old edge function."""
        run = self.components.get("run")
        found = run.get("run_id") if isinstance(run, dict) else None
        return str(found) if found else None


def read_rows(
    connection: Connection, *, status: str | None = None, file_name: str | None = None, most: int = EVERY_ROW
) -> list[HistoryRow]:
    """Rows of the history, newest first; none where there is no history yet.

    Args:
        status: `in_progress`, `success` or `failed`; None means any.
        file_name: of one backup; None means any.
        most: how many rows at most.

    Raises:
        TableUnreadable: the role may not read it.
        DatabaseUnavailable: the connection was lost.
    """
    with translated("backup_history cannot be read", denied=DENIED):
        exists = connection.execute(statement("history_exists")).fetchone()
        if not (exists and exists[0]):
            return []
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement("history_rows"), {"status": status, "file_name": file_name, "most": most})
            return [HistoryRow.model_validate(row) for row in cursor.fetchall()]


def annotate(connection: Connection, file_name: str, components: Mapping[str, Any]) -> bool:
    """Merge into `components_backed_up` of a backup's row, at its top level; whether there is such a row.

    Raises:
        TableUnreadable: the role may not write it.
        DatabaseUnavailable: the connection was lost.
    """
    with translated("backup_history cannot be written", denied=DENIED):
        exists = connection.execute(statement("history_exists")).fetchone()
        if not (exists and exists[0]):
            return False
        values = {"file_name": file_name, "components": Jsonb(dict(components))}
        return connection.execute(statement("history_annotate"), values).fetchone() is not None
