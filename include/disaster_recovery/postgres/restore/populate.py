"""Rows of a document back into a table: Postgres parses them, in bounded batches, and hashes what it has stored."""

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.adapt import Buffer, Dumper
from psycopg.pq import Format

from include.disaster_recovery.errors import StagingDiffers
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.digests import named_columns, row_hash
from include.disaster_recovery.postgres.errors import message, restoring
from include.disaster_recovery.postgres.row_json import Column, decoded, row_json
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation

# Parsed rows wait in memory, not on disk, before they are stored; batches have a few MiB.
_MEMORY = "set local work_mem = '16MB'"
_PARSED = "select {values} from pg_catalog.json_populate_recordset(null::{table}, $1::pg_catalog.json) as r"
_STORED = "with {parsed}stored as (insert into {table} as a {names} overriding system value {rows} returning {hashes})"
_TOTALS = " select count(*), coalesce(sum({whole}), 0)::text, coalesce(sum({content}), 0)::text from stored"
# offset 0: values are decoded once, rows are serialised once
_HASHED = (
    "select {names}{hashes} from (select {names}{json} as {first} from ({parsed} offset 0) as a{fields} offset 0) as a"
)

_HASH = 'hashtextextended({first} collate "C", {seed})'
# Of tables that generate columns anew, whole rows are known only as they were parsed.
_AS_PARSED = (
    " select count(*), (select coalesce(sum({whole}), 0)::text from parsed as a), coalesce(sum(content), 0)::text"
    " from stored"
)


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """Rows of a batch, and the sums of the hashes of whole rows and of their restored columns."""

    rows: int
    digest: int
    content_digest: int


class Populator:
    """Inserts batches of rows, given as JSON arrays, into one table, inside the caller's transaction."""

    def __init__(
        self,
        connection: Connection,
        table: TableName,
        *,
        names: Sequence[str],
        restored: Sequence[str],
        stored: Sequence[str],
        hashes: Sequence[str],
    ) -> None:
        """Prepare the statement.

        Args:
            table: where the rows go.
            names: the columns of the document in its order; the table has all of them.
            restored: those whose digest is the content digest.
            stored: those that are inserted; the others are generated.
            hashes: two more columns, for hashes of each row's restored columns with the seeds 0 and 1; none where the
                table is the application's own.

        Raises:
            TableUnreadable, DatabaseUnavailable: the columns cannot be read.
        """
        self._cursor = psycopg.RawCursor(connection)
        self._cursor.adapters.register_dumper(bytearray, _Text)
        self._name = table.name_in_document
        whole = named_columns(connection, table, names)
        content = [column for column in whole if column.name in set(restored)]
        self._query = _composed(table, whole, content, stored, hashes)
        with restoring("work_mem cannot be set"):
            connection.execute(_MEMORY)

    def insert(self, rows: bytearray) -> Parsed:
        """Parse and insert a JSON array.

        Raises:
            UnicodeDecodeError: they are not UTF-8.
            StagingDiffers: Postgres does not take the values.
            RestoreFailed, DatabaseUnavailable: the table refuses the rows, the disk is full, the connection was lost.
        """
        with restoring(f"rows of table {self._name} cannot be stored"):
            try:
                row = self._cursor.execute(self._query, [rows]).fetchone() or (0, 0, 0)
            except (psycopg.DataError, psycopg.IntegrityError) as error:  # the latter: a domain
                if isinstance(error, psycopg.errors.CharacterNotInRepertoire):
                    rows.decode()  # names the byte
                raise self._unparsed(error) from None
        count, digest, content = (int(str(value)) for value in row)
        return Parsed(rows=count, digest=digest, content_digest=content)

    def _unparsed(self, error: psycopg.Error) -> StagingDiffers:
        return StagingDiffers(
            f"table {self._name}: Postgres does not take a value of the backup: {message(error)}",
            hint="a type of the target has changed since (an enum lost a label, say); see the notes of plan_restore",
        )


class _Text(Dumper):
    """UTF-8 bytes as they are, for a parameter of a type that the query names."""

    format = Format.BINARY  # nothing is escaped, nothing decoded; that of json is its text

    def dump(self, obj: Buffer) -> Buffer:
        return obj


def _composed(
    table: TableName, whole: Sequence[Column], content: Sequence[Column], stored: Sequence[str], hashes: Sequence[str]
) -> sql.Composed:
    values = sql.SQL(", ").join(
        sql.SQL("{} as {}").format(decoded(column, sql.Identifier("r", column.name)), sql.Identifier(column.name))
        for column in whole
    )
    parsed = sql.SQL(_PARSED).format(values=values, table=relation(table))
    generating = not hashes and list(content) != list(whole)
    text = _STORED + (_AS_PARSED if generating else _TOTALS)
    names = [*stored, *hashes]
    return sql.SQL(text).format(
        parsed=sql.SQL("parsed as materialized ({}), ").format(parsed) if generating else sql.SQL(""),
        table=relation(table),
        names=sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, names))) if names else sql.SQL(""),
        rows=_rows(parsed, stored, content, hashes, generating=generating),
        hashes=_returned(whole, content, hashes),
        whole=row_hash(whole) if generating else sql.Identifier("whole" if hashes and content != whole else "content"),
        content=sql.Identifier("content"),
    )


def _rows(
    parsed: sql.Composed,
    stored: Sequence[str],
    content: Sequence[Column],
    hashes: Sequence[str],
    *,
    generating: bool,
) -> sql.Composed:
    """What is inserted."""
    names = sql.SQL(", ").join(sql.Identifier("a", name) for name in stored)
    if generating:
        return sql.SQL("select {} from parsed as a").format(names)
    if not hashes:
        return parsed
    first = sql.Identifier("a", hashes[0])  # on its way there, the text that is hashed
    json, fields = row_json(content)
    both = (sql.SQL(_HASH).format(first=first, seed=sql.Literal(seed)) for seed, _ in enumerate(hashes))
    return sql.SQL(_HASHED).format(
        names=names + sql.SQL(", " if stored else ""),
        hashes=sql.SQL(", ").join(both),
        json=json,
        fields=fields,
        first=sql.Identifier(hashes[0]),
        parsed=parsed,
    )


def _returned(whole: Sequence[Column], content: Sequence[Column], hashes: Sequence[str]) -> sql.Composed:
    """The hashes of each stored row."""
    if not hashes:
        return sql.SQL("{} as content").format(row_hash(content))
    first = sql.SQL("{} as content").format(sql.Identifier("a", hashes[0]))
    return first if content == whole else first + sql.SQL(", {} as whole").format(row_hash(whole))
