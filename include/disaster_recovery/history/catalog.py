"""The rows of `public.backup_history`: opened, then closed as success or failed."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from psycopg import errors as pg
from psycopg.types.json import Jsonb

from include.disaster_recovery.backup_key import file_name
from include.disaster_recovery.errors import DatabaseUnavailable
from include.disaster_recovery.model import BackupRun, BackupType
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection

BACKUP_VERSION = "1.0"  # of the document, as the guide's history column wants it
MESSAGE_LIMIT = 1000
DENIED = (
    "grant the backup role SELECT, INSERT and UPDATE on public.backup_history, or where that is missing"
    " CREATE on schema public"
)


def ensure_table(connection: Connection) -> None:
    """Create `backup_history` where it is missing; never alter it.

    Raises:
        TableUnreadable: the role may not create it.
        DatabaseUnavailable: the connection was lost.
    """
    with translated("backup_history cannot be created", denied=DENIED):
        exists = connection.execute(statement("history_exists")).fetchone()
        if exists and exists[0]:
            return
        # Another run may be creating it at this moment; which of these it trips over is a matter of microseconds.
        with suppress(pg.UniqueViolation, pg.DuplicateTable, pg.DuplicateObject):
            connection.execute(statement("history_create"))


def open_row(connection: Connection, run: BackupRun, s3_url: str) -> None:
    """Insert the `in_progress` row of a run.

    Raises:
        TableUnreadable: the role may not write it.
        DatabaseUnavailable: the connection was lost.
    """
    values = {
        "id": run.backup_id,
        "backup_type": run.backup_type,
        "file_name": file_name(run.key),
        "s3_url": s3_url,
        "components": Jsonb({"run": {"run_id": run.run_id, "triggered_by": run.triggered_by}}),
        "version": BACKUP_VERSION,
        "triggered_by": _uuid(run.triggered_by),
        "created_at": run.created_at,
    }
    with translated("backup_history cannot be written", denied=DENIED):
        connection.execute(statement("history_open"), values)


def close_success(
    connection: Connection, run: BackupRun, values: Mapping[str, Any], components: Mapping[str, Any]
) -> None:
    """Close the row of a run as success.

    Args:
        values: `file_size` bytes, `execution_time_ms`, `tables`, `migration_count`, `function_count`.
        components: merged into `components_backed_up`.

    Raises:
        DatabaseUnavailable: the row is gone, or the connection was lost.
    """
    with translated("backup_history cannot be written", denied=DENIED):
        row = connection.execute(
            statement("history_succeed"), {**values, "id": run.backup_id, "components": Jsonb(dict(components))}
        ).fetchone()
    if row is None:
        raise DatabaseUnavailable(
            f"the backup_history row {run.backup_id} is gone",
            hint="the document in the bucket is verified; something deleted the row during the backup",
        )


def close_failed(connection: Connection, run_id: str | None, error: str) -> list[str]:
    """Close open rows as failed; returns their file names.

    Args:
        run_id: the Airflow run whose row is meant; None means every open row.
        error: why, cut to one line.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    line = _line(error)
    with translated("backup_history cannot be written", denied=DENIED):
        rows = connection.execute(statement("history_fail"), {"run_id": run_id, "error": line}).fetchall()
    return [str(row[1]) for row in rows]


def explain_failed(connection: Connection, run_id: str, error: str) -> None:
    """Put the reason of a whole run before what its tasks said.

    Raises:
        DatabaseUnavailable: the connection was lost.
    """
    values = {"run_id": run_id, "error": _line(error), "limit": MESSAGE_LIMIT}
    with translated("backup_history cannot be written", denied=DENIED):
        connection.execute(statement("history_explain"), values)


def record_unopened(
    connection: Connection, *, run_id: str, backup_type: BackupType, triggered_by: str | None, error: str
) -> bool:
    """Write a `failed` row for a run that failed before it opened one; whether one was written.

    Raises:
        TableUnreadable: the role may not write it.
        DatabaseUnavailable: the connection was lost.
    """
    ensure_table(connection)
    values = {
        "run_id": run_id,
        "backup_type": backup_type,
        "error": _line(error),
        "components": Jsonb({"run": {"run_id": run_id, "triggered_by": triggered_by}}),
        "version": BACKUP_VERSION,
        "triggered_by": _uuid(triggered_by),
    }
    with translated("backup_history cannot be written", denied=DENIED):
        return connection.execute(statement("history_fail_unopened"), values).fetchone() is not None


def _line(error: str) -> str:
    """One line of text that a `text` column takes: no NUL, no half of a surrogate pair."""
    storable = error.replace("\0", " ").encode("utf-8", "replace").decode()
    return " ".join(storable.split())[:MESSAGE_LIMIT]


def _uuid(name: str | None) -> UUID | None:
    """The column holds a platform user; an Airflow user name that is no UUID is kept in `components_backed_up.run`."""
    try:
        return UUID(name) if name else None
    except ValueError:
        return None
