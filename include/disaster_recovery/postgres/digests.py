"""Content digests of stored rows, computed by Postgres over the very JSON that a backup would write of them."""

from collections.abc import Sequence

from psycopg import sql

from include.disaster_recovery.errors import RestoreFailed
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.extract import DIGEST_MODULUS
from include.disaster_recovery.postgres.row_json import Column, columns, row_expression, row_json
from include.disaster_recovery.postgres.session import Connection

_DIGEST = 'select count(*), (coalesce(sum(hashtextextended(j collate "C", 0)), 0))::text from ({}) as q'

_ROW_HASH = '(select hashtextextended({json} collate "C", 0) from (select) as one{fields})'


def named_columns(connection: Connection, table: TableName, names: Sequence[str]) -> list[Column]:
    """The columns of a table by name, in the order asked for: that of the document.

    Raises:
        RestoreFailed: the table has no such column, or it is gone itself.
        TableUnreadable, DatabaseUnavailable: the columns cannot be read.
    """
    found = {column.name: column for column in columns(connection, table)}
    if missing := [name for name in names if name not in found]:
        raise RestoreFailed(
            f"table {table.name_in_document} was altered since the restore was planned: it has no {', '.join(missing)}",
            hint="trigger a new restore; the target is as it was",
        )
    return [found[name] for name in names]


def content_digest(
    connection: Connection,
    source: sql.Composable,
    table_columns: Sequence[Column],
    *,
    where: sql.Composable | None = None,
) -> tuple[int, str]:
    """Rows and digest (16 hex digits) of `source`, a FROM item aliased `a`, or of those of its rows asked for.

    The digest does not depend on the order of rows: the sum of `hashtextextended(row_json, 0)` modulo 2**64.
    """
    query = sql.SQL(_DIGEST).format(row_expression(table_columns, source=source, where=where))
    row = connection.execute(query).fetchone() or (0, "0")
    return int(str(row[0])), hexadecimal(int(str(row[1])))


def row_hash(table_columns: Sequence[Column]) -> sql.Composed:
    """What a content digest sums, of one row aliased `a`, as an expression on its own, as for RETURNING."""
    json, fields = row_json(table_columns)
    return sql.SQL(_ROW_HASH).format(json=json, fields=fields)


def hexadecimal(total: int) -> str:
    """A sum of row hashes as a digest."""
    return f"{total % DIGEST_MODULUS:016x}"


def summed(digests: Sequence[str]) -> str:
    """The digest of a table from those of its fragments."""
    return hexadecimal(sum(int(digest, 16) for digest in digests))
