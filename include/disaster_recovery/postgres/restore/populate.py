"""Rows of a document back into a table: Postgres parses them, in bounded batches."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from include.disaster_recovery.errors import StagingDiffers
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.digests import named_columns
from include.disaster_recovery.postgres.errors import message, restoring
from include.disaster_recovery.postgres.row_json import Column, decoded, row_expression
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation

_PARSED = (
    "with parsed as materialized ("
    "select {values} from pg_catalog.json_populate_recordset(null::{table}, $1::pg_catalog.json) as r), "
)
_SUMS = " select (select count(*) from parsed), (select {total} from ({whole}) as w)"
_CONTENT_SUM = ", (select {total} from ({content}) as c)"  # only where it is another
_STORED = "stored as (insert into {table} ({names}) overriding system value select {names} from parsed)"
_STORED_NOTHING = "stored as (insert into {table} select from parsed)"  # no columns, or generated ones only
_TOTAL = 'coalesce(sum(hashtextextended(j collate "C", 0)), 0)::text'


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """Rows of a batch, and the sums of the hashes of whole rows and of their restored columns."""

    rows: int
    digest: int
    content_digest: int


class Populator:
    """Inserts batches of rows, given as JSON arrays, into one table."""

    def __init__(
        self,
        connection: Connection,
        table: TableName,
        *,
        names: Sequence[str],
        restored: Sequence[str],
        stored: Sequence[str],
    ) -> None:
        """Prepare the statement.

        Args:
            table: where the rows go.
            names: the columns of the document in its order; the table has all of them.
            restored: those whose digest is the content digest.
            stored: those that are inserted; the others are generated.

        Raises:
            TableUnreadable, DatabaseUnavailable: the columns cannot be read.
        """
        self._cursor = psycopg.RawCursor(connection)
        self._name = table.name_in_document
        whole = named_columns(connection, table, names)
        content = [column for column in whole if column.name in set(restored)]
        self._query = _composed(table, whole, content, stored)

    def insert(self, rows: bytes) -> Parsed:
        """Parse and insert a JSON array.

        Raises:
            StagingDiffers: Postgres does not take the values.
            RestoreFailed, DatabaseUnavailable: the table refuses the rows, the disk is full, the connection was lost.
        """
        with restoring(f"rows of table {self._name} cannot be stored"):
            try:
                row = self._cursor.execute(self._query, [rows.decode()]).fetchone() or (0, 0)
            except (psycopg.DataError, psycopg.IntegrityError) as error:  # the latter: a domain
                raise self._unparsed(error) from None
        count, digest, *content = (int(str(value)) for value in row)
        return Parsed(rows=count, digest=digest, content_digest=content[0] if content else digest)

    def _unparsed(self, error: psycopg.Error) -> StagingDiffers:
        return StagingDiffers(
            f"table {self._name}: Postgres does not take a value of the backup: {message(error)}",
            hint="a type of the target has changed since (an enum lost a label, say); see the notes of plan_restore",
        )


def _composed(
    table: TableName, whole: Sequence[Column], content: Sequence[Column], stored: Sequence[str]
) -> sql.Composed:
    values = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(decoded(column, sql.Identifier("r", column.name)), sql.Identifier(column.name))
        for column in whole
    )
    parsed = sql.SQL("parsed as a")
    stores = _STORED if stored else _STORED_NOTHING
    return sql.SQL(_PARSED + stores + _SUMS + (_CONTENT_SUM if content != whole else "")).format(
        values=values,
        table=relation(table),
        names=sql.SQL(", ").join(map(sql.Identifier, stored)),
        total=sql.SQL(_TOTAL),
        whole=row_expression(whole, source=parsed),
        content=row_expression(content, source=parsed),
    )
