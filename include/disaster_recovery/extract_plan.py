"""How tables are cut into fragments. Pure."""

from collections.abc import Iterator, Sequence

from include.disaster_recovery.assembly import MIN_PART
from include.disaster_recovery.model import ExtractUnit, ReadMode
from include.disaster_recovery.table_selection import Relation

BATCH_HEAP_BYTES = 128 * 1024  # heap whose rows are gathered into one text: larger is no faster, and takes memory
TOAST_IN_BATCHES = 32 * 1024**2  # with more TOAST than this, and than heap, most rows are large: no use in gathering
MOST_UNITS = 900  # Airflow maps at most 1024 task instances ([core] max_map_length)


def plan_units(tables: Sequence[Relation], *, split_bytes: int, snapshot_id: str) -> list[ExtractUnit]:
    """Cut the tables into units, the largest first (they take longest).

    A table over `split_bytes` (TOAST counted) is cut into equal ranges of heap blocks, the last one open-ended, so
    that rows beyond the planned end are read too. Partitioned tables have no storage of their own and are read whole.
    """
    total = sum(_size(table) for table in tables)
    share = max(split_bytes, total // max(1, MOST_UNITS - len(tables)))
    units = [
        (_size(table) / parts, unit)
        for position, table in enumerate(document_order(tables))
        for parts in (_parts(table, share),)
        for unit in _units(table, position, parts, snapshot_id)
    ]
    return [unit for _, unit in sorted(units, key=lambda sized: -sized[0])]


def document_order(tables: Sequence[Relation]) -> list[Relation]:
    """Small tables first, each group in its given order.

    What is under the 5 MiB part minimum must pass through the worker; side by side, small tables share parts.
    """
    return sorted(tables, key=lambda table: _size(table) >= MIN_PART)


def _size(table: Relation) -> int:
    return table.heap_bytes + table.toast_bytes


def _parts(table: Relation, share: int) -> int:
    if table.kind == "p":
        return 1
    blocks = table.heap_bytes // table.block_bytes
    return max(1, min(-(-_size(table) // share), blocks))


def _units(table: Relation, position: int, parts: int, snapshot_id: str) -> Iterator[ExtractUnit]:
    blocks = table.heap_bytes // table.block_bytes
    bounds = [blocks * part // parts for part in range(parts)]
    for part, first in enumerate(bounds, start=1):
        yield ExtractUnit(
            table=table.table,
            position=position,
            part=part,
            parts=parts,
            mode=_mode(table),
            is_partitioned=table.kind == "p",
            first_block=first,
            last_block=bounds[part] if part < parts else None,
            blocks=blocks,
            blocks_per_batch=max(1, BATCH_HEAP_BYTES // table.block_bytes),
            snapshot_id=snapshot_id,
        )


def _mode(table: Relation) -> ReadMode:
    is_large = table.toast_bytes > max(TOAST_IN_BATCHES, table.heap_bytes)
    return "rows" if table.kind == "p" or is_large else "batches"
