"""The history as Backup History lists it: many rows with little of each, or one row with all of it."""

from typing import Any

from psycopg.rows import dict_row

from include.disaster_recovery.history.catalog import DENIED
from include.disaster_recovery.history.rows import EVERY_ROW, HistoryRow
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection


class ListedRow(HistoryRow):
    """A row without the counts of single tables. `rows` of all tables, `warnings` are how many."""

    tables: int | None = None
    rows: int | None = None
    warnings: int | None = None


class FullRow(HistoryRow):
    """A row with everything."""

    version: str | None = None
    triggered_by: str | None = None


def list_rows(connection: Connection, *, most: int = EVERY_ROW) -> list[ListedRow]:
    """Rows of the history, newest first; none where there is no history yet.

    Raises:
        TableUnreadable: the role may not read it.
        DatabaseUnavailable: the connection was lost.
    """
    return [ListedRow.model_validate(row) for row in _fetch(connection, "history_listing", {"most": most})]


def full_row(connection: Connection, row_id: str) -> FullRow | None:
    """One row of the history by its id.

    Raises:
        TableUnreadable: the role may not read it.
        DatabaseUnavailable: the connection was lost.
    """
    found = _fetch(connection, "history_row", {"id": row_id})
    return FullRow.model_validate(found[0]) if found else None


def _fetch(connection: Connection, name: str, values: dict[str, object]) -> list[dict[str, Any]]:
    with translated("backup_history cannot be read", denied=DENIED):
        exists = connection.execute(statement("history_exists")).fetchone()
        if not (exists and exists[0]):
            return []
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement(name), values).fetchall()
