"""Extract one fragment: read its rows inside the snapshot, stream them into staging."""

import logging
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from include.disaster_recovery.document import ROW_SEPARATOR, VALUE_OPENING, closing_text, key_text
from include.disaster_recovery.model import BackupRun, Batch, ExtractUnit, StagedFragment
from include.disaster_recovery.postgres.extract import (
    DIGEST_MODULUS,
    RowBatch,
    count_rows,
    has_rows_before,
    read_rows,
)
from include.disaster_recovery.postgres.row_json import columns
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import lock_now, reading
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.s3.upload import StreamUpload
from include.disaster_recovery.settings import Compression
from include.disaster_recovery.stream.codec import new_frame, stored_frame

log = logging.getLogger(__name__)

BATCH_BYTES = 4 * 1024**2  # rows that a restore parses in one go


@dataclass
class _Tally:
    """What is learnt about the rows on their way."""

    hash: Any = field(default_factory=sha256)
    stored: int = 0
    rows: int = 0
    digest: int = 0
    batches: list[Batch] = field(default_factory=list)
    _size: int = 0
    _rows: int = 0

    def plain(self, batch: RowBatch) -> None:
        if self._size >= BATCH_BYTES:
            self.close_batch()
        self._size += len(batch.data) + (len(ROW_SEPARATOR) if self._size else 0)
        self._rows += batch.rows
        self.rows += batch.rows
        self.digest = (self.digest + batch.digest) % DIGEST_MODULUS

    def close_batch(self) -> None:
        if self._rows:
            self.batches.append(Batch(size=self._size, rows=self._rows))
        self._size = self._rows = 0

    def kept(self, data: bytes) -> bytes:
        self.hash.update(data)
        self.stored += len(data)
        return data


def extract(
    connection: Connection,
    store: Store,
    run: BackupRun,
    unit: ExtractUnit,
    compression: Compression,
    *,
    try_number: int,
) -> StagedFragment:
    """Extract one fragment under a key of this try's own; nothing is visible before it is complete.

    Raises:
        SnapshotLost: the holder is gone.
        TableLocked, TableUnreadable, DatabaseUnavailable: the table cannot be read; it is named.
        StoreRefused, StoreUnavailable: the fragment cannot be written.
    """
    started, key = time.monotonic(), _key(run, unit, try_number)
    with reading(connection, unit.snapshot_id):
        lock_now(connection, unit.table)
        with StreamUpload(store, key) as upload:
            staged = _write(connection, upload, unit, compression, key)
            upload.finish()
    seconds = time.monotonic() - started
    log.info("extracted %s: %d rows, %d bytes in %.1f s", unit.label, staged.rows, staged.size, seconds)
    return staged


def _key(run: BackupRun, unit: ExtractUnit, try_number: int) -> str:
    """A lost worker's first try may still be running beside the second: each writes an object of its own."""
    return (
        f"{run.staging_prefix}table-{unit.position:04d}/fragment-{unit.part:04d}-try{try_number}-{secrets.token_hex(4)}"
    )


def _write(
    connection: Connection, upload: StreamUpload, unit: ExtractUnit, compression: Compression, key: str
) -> StagedFragment:
    name, tally = unit.table.name_in_document, _Tally()
    value_at = 0
    if unit.part == 1:
        opening = stored_frame(key_text(name, first=unit.position == 0), compression)
        value_at = len(opening)
        upload.write(opening + stored_frame(VALUE_OPENING, compression))
    needs_separator = has_rows_before(connection, unit)
    for data in _rows(connection, unit, compression, tally):
        if needs_separator:
            upload.write(stored_frame(ROW_SEPARATOR, compression))
            needs_separator = False
        upload.write(tally.kept(data))
    opening_size = upload.size - tally.stored
    table_rows = count_rows(connection, unit) if unit.part == unit.parts else None
    closing = b"" if table_rows is None else stored_frame(closing_text(table_rows), compression)
    upload.write(closing)
    return StagedFragment(
        table=name,
        position=unit.position,
        part=unit.part,
        parts=unit.parts,
        key=key,
        value_at=value_at,
        opening_size=opening_size,
        rows_size=tally.stored,
        closing_size=len(closing),
        rows=tally.rows,
        table_rows=table_rows,
        sha256=tally.hash.hexdigest(),
        digest=f"{tally.digest:016x}",
        batches=tally.batches,
        snapshot_id=unit.snapshot_id,
    )


def _rows(connection: Connection, unit: ExtractUnit, compression: Compression, tally: _Tally) -> Iterator[bytes]:
    """The stored bytes of the rows: one frame, nothing at all if there is no row."""
    compressor = new_frame(compression)
    for batch in read_rows(connection, unit, columns(connection, unit.table)):
        separator = ROW_SEPARATOR if tally.rows else b""
        tally.plain(batch)
        for data in (compressor.compress(separator), compressor.compress(batch.data)):
            if data:
                yield data
    tally.close_batch()
    if tally.rows and (data := compressor.flush()):
        yield data
