"""Reading the rows of one fragment as JSON text, in bounded batches, inside a snapshot."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from include.disaster_recovery.document import ROW_SEPARATOR
from include.disaster_recovery.model import ExtractUnit
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.row_json import Column, row_expression
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation

DIGEST_MODULUS = 1 << 64
ROWS_PER_BATCH = 2000
ROW_BATCH_BYTES = 1024**2
RANGES_PER_QUERY = 256
# Rows from here on are read one by one: compressed cells may stand close in the heap, and a few thousand fill a range.
LARGE_ROW_BYTES = 32 * 1024
BEYOND_ALL_BLOCKS = 2**32 - 1

_ROWWISE = 'copy (select j, hashtextextended(j collate "C", 0) from ({rows} offset 0) as q) to stdout (format binary)'


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
            where = _block_range(unit.first_block, unit.last_block) if _is_slice(unit) else None
            yield from _streamed(connection, row_expression(columns, source=_from(unit), where=where))
        else:
            end = unit.blocks if unit.last_block is None else unit.last_block
            step = unit.blocks_per_batch * RANGES_PER_QUERY
            for first in range(unit.first_block, max(end, unit.first_block + 1), step):
                yield from _gathered(connection, unit, columns, first, min(first + step, end))


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


def _from(unit: ExtractUnit) -> sql.Composed:
    """`only` leaves inheritance children to their own units; a partitioned table is read with its partitions."""
    return sql.SQL("{}{} as a").format(sql.SQL("" if unit.is_partitioned else "only "), relation(unit.table))


def _block_range(first: int, last: int | None) -> sql.Composable:
    begins = sql.SQL("a.ctid >= {}").format(sql.Literal(f"({first},0)"))
    return begins if last is None else sql.SQL("{} and a.ctid < {}").format(begins, sql.Literal(f"({last},0)"))


def _is_slice(unit: ExtractUnit) -> bool:
    return not (unit.is_partitioned or (unit.first_block == 0 and unit.last_block is None))


def _gathered(
    connection: Connection, unit: ExtractUnit, columns: Sequence[Column], first: int, end: int
) -> Iterator[RowBatch]:
    """The small rows of the blocks, a batch a range; then the large ones, if there are any."""
    large: list[bytes] = []
    with connection.cursor().copy(_ranges_query(unit, columns, first, end)) as copy:
        for data, count, digest, places in copy.rows():
            if places:
                large.append(places.strip(b"{}"))
            if data:
                yield RowBatch(data=data, rows=_int8(count), digest=int(digest) % DIGEST_MODULUS)
    if large:
        there = sql.SQL("a.ctid = any ({}::tid[])").format(sql.Literal("{" + b",".join(large).decode() + "}"))
        yield from _streamed(connection, row_expression(columns, source=_from(unit), where=there))


def _ranges_query(unit: ExtractUnit, columns: Sequence[Column], first: int, end: int) -> sql.Composed:
    """Ranges of `blocks_per_batch` from `first`; the last one ends at `end`, or with the table."""
    is_last = unit.last_block is None and end >= unit.blocks
    where = sql.SQL(
        "a.ctid >= format('(%s,0)', g.block)::tid and a.ctid < format('(%s,0)',"
        " case when g.block + {step} < {end} then g.block + {step} else {stop} end)::tid"
    ).format(
        step=sql.Literal(unit.blocks_per_batch),
        end=sql.Literal(end),
        stop=sql.Literal(BEYOND_ALL_BLOCKS if is_last else end),
    )
    query = sql.SQL(statement("extract_ranges")).format(
        first=sql.Literal(first),
        last=sql.Literal(max(first, end - 1)),
        step=sql.Literal(unit.blocks_per_batch),
        large=sql.Literal(LARGE_ROW_BYTES),
        rows=row_expression(columns, source=_from(unit), where=where, place=True),
    )
    return sql.SQL("copy ({}) to stdout (format binary)").format(query)


def _streamed(connection: Connection, rows: sql.Composed) -> Iterator[RowBatch]:
    """Rows one by one, in batches of about a mebibyte."""
    with connection.cursor().copy(sql.SQL(_ROWWISE).format(rows=rows)) as copy:
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
