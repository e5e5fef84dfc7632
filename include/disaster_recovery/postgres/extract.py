"""Reading the rows of one fragment as JSON text, in bounded batches, inside a snapshot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from include.disaster_recovery.document import ROW_SEPARATOR
from include.disaster_recovery.model import ExtractUnit
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.row_json import Column, row_expression
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation

DIGEST_MODULUS = 1 << 64
ROWS_PER_BATCH = 2000
ROW_BATCH_BYTES = 1024**2

LARGE_ROW_BYTES = 8192  # rows from here on are streamed: compressed cells may stand close in the heap, and fill 1 GB

_AGGREGATE = (
    "copy (select string_agg(j, E',\\n') filter (where not large), count(*) filter (where not large),"
    ' (sum(hashtextextended(j collate "C", 0)) filter (where not large))::text, count(*) filter (where large)'
    " from (select j, octet_length(j) >= {large} as large from ({rows} offset 0) as p offset 0) as q"
    ") to stdout (format binary)"
)
_ROWWISE = (
    'copy (select j, hashtextextended(j collate "C", 0) from ({rows} offset 0) as q where octet_length(j) >= {least})'
    " to stdout (format binary)"
)


@dataclass(frozen=True, kw_only=True)
class RowBatch:
    """Rows as JSON text parted by comma and newline, their number, and the sum of their digests modulo 2**64."""

    data: bytes
    rows: int
    digest: int


def read_rows(connection: Connection, unit: ExtractUnit, columns: Sequence[Column]) -> Iterator[RowBatch]:
    """The rows of a unit.

    The digest is the sum over rows of `hashtextextended(row_json, 0)`: it does not depend on their order, and
    Postgres can compute it again over restored rows.

    Raises:
        TableUnreadable: a value or the table cannot be read; the table is named.
        DatabaseUnavailable: the connection was lost.
    """
    with translated(f"table {unit.table.name_in_document} cannot be read"):
        if unit.mode == "rows":
            source = _sliced(unit, unit.first_block, unit.last_block)
            yield from _streamed(connection, row_expression(columns, source=source), least=0)
        else:
            for first, last in _ranges(unit):
                yield from _aggregated(connection, unit, columns, first, last)


def count_rows(connection: Connection, unit: ExtractUnit) -> int:
    """The database's own count of the whole table.

    Raises:
        TableUnreadable, DatabaseUnavailable: see `read_rows`.
    """
    query = sql.SQL("select count(*) from {}").format(_from(unit))
    with translated(f"table {unit.table.name_in_document} cannot be counted"):
        row = connection.execute(query).fetchone()
    return int(str(row[0])) if row else 0


def has_rows_before(connection: Connection, unit: ExtractUnit) -> bool:
    """Whether an earlier fragment of the table has rows, so that this one must begin with a separator."""
    if unit.first_block == 0:
        return False
    query = sql.SQL("select exists (select from {} where {})").format(_from(unit), _block_range(0, unit.first_block))
    with translated(f"table {unit.table.name_in_document} cannot be read"):
        row = connection.execute(query).fetchone()
    return bool(row and row[0])


def _ranges(unit: ExtractUnit) -> Iterator[tuple[int, int | None]]:
    end = unit.blocks if unit.last_block is None else unit.last_block
    starts = list(range(unit.first_block, end, unit.blocks_per_batch)) or [unit.first_block]
    for first in starts[:-1]:
        yield first, first + unit.blocks_per_batch
    yield starts[-1], unit.last_block


def _from(unit: ExtractUnit) -> sql.Composed:
    """`only` leaves inheritance children to their own units; a partitioned table is read with its partitions."""
    return sql.SQL("{}{} as a").format(sql.SQL("" if unit.is_partitioned else "only "), relation(unit.table))


def _block_range(first: int, last: int | None) -> sql.Composable:
    begins = sql.SQL("a.ctid >= {}").format(sql.Literal(f"({first},0)"))
    return begins if last is None else sql.SQL("{} and a.ctid < {}").format(begins, sql.Literal(f"({last},0)"))


def _sliced(unit: ExtractUnit, first: int, last: int | None) -> sql.Composable:
    if unit.is_partitioned or (first == 0 and last is None):
        return _from(unit)
    return sql.SQL("{} where {}").format(_from(unit), _block_range(first, last))


def _aggregated(
    connection: Connection, unit: ExtractUnit, columns: Sequence[Column], first: int, last: int | None
) -> Iterator[RowBatch]:
    """The small rows in one batch, then the large ones, if there are any, one by one."""
    rows = row_expression(columns, source=_sliced(unit, first, last))
    query = sql.SQL(_AGGREGATE).format(rows=rows, large=sql.Literal(LARGE_ROW_BYTES))
    has_large = False
    with connection.cursor().copy(query) as copy:
        for data, count, digest, large in copy.rows():
            has_large = _int8(large) > 0
            if data:
                yield RowBatch(data=data, rows=_int8(count), digest=int(digest) % DIGEST_MODULUS)
    if has_large:
        yield from _streamed(connection, rows, least=LARGE_ROW_BYTES)


def _streamed(connection: Connection, rows: sql.Composed, *, least: int) -> Iterator[RowBatch]:
    """The rows with at least so many bytes, in batches of about a mebibyte."""
    with connection.cursor().copy(sql.SQL(_ROWWISE).format(rows=rows, least=sql.Literal(least))) as copy:
        texts: list[bytes] = []
        size = digest = 0
        for data, hashed in copy.rows():
            texts.append(data)
            size, digest = size + len(data), digest + _int8(hashed)
            if size >= ROW_BATCH_BYTES or len(texts) >= ROWS_PER_BATCH:
                yield RowBatch(data=ROW_SEPARATOR.join(texts), rows=len(texts), digest=digest % DIGEST_MODULUS)
                texts, size, digest = [], 0, 0
        if texts:
            yield RowBatch(data=ROW_SEPARATOR.join(texts), rows=len(texts), digest=digest % DIGEST_MODULUS)


def _int8(data: bytes) -> int:
    """A bigint of binary COPY."""
    return int.from_bytes(data, "big", signed=True)
