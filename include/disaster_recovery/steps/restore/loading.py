"""Load one fragment: a ranged read of the document, its SHA-256 checked, its rows parsed by Postgres in batches."""

import logging
from collections.abc import Iterator
from hashlib import sha256

from include.disaster_recovery.backup_key import compression_of
from include.disaster_recovery.document import ROW_SEPARATOR, Manifest
from include.disaster_recovery.errors import DocumentError, RestoreFailed, StagingDiffers
from include.disaster_recovery.postgres.digests import hexadecimal
from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore import canary, ledger, staging
from include.disaster_recovery.postgres.restore.populate import Parsed, Populator
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import LoadedFragment, LoadUnit, RestorePlan, TablePlan
from include.disaster_recovery.s3.documents import read_manifest
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.stream.codec import expand_stream
from include.disaster_recovery.stream.feed import Feed, StreamEnded

log = logging.getLogger(__name__)

WAIT_FOR_EARLIER_TRY = "10min"


class _Checked:
    """Stored bytes on their way, hashed."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.hash = sha256()
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.hash.update(chunk)
            yield chunk


def load(connection: Connection, store: Store, plan: RestorePlan, unit: LoadUnit) -> LoadedFragment:
    """Load a fragment in one transaction; nothing is kept of it unless every byte and row is as the manifest says.

    A second try returns what the first has committed.

    Raises:
        DocumentError: the fragment is damaged; table and fragment are named.
        StagingDiffers: the staging schema is gone, or Postgres does not take a value.
        RestoreInProgress: the target is being changed.
        RestoreFailed, DatabaseUnavailable, StoreRefused, StoreUnavailable: a request failed.
    """
    table = next(each for each in plan.tables if each.name == unit.table)
    with staging.locked(connection, shared=True):
        canary.require(connection, plan.run)
        require_there(store, plan)
        with restoring(f"table {unit.table} cannot be loaded"), connection.transaction():
            connection.execute(f"set local lock_timeout = '{WAIT_FOR_EARLIER_TRY}'")
            earlier = ledger.begin_load(connection, plan.run, unit.table, unit.part)
            if earlier is not None:
                return earlier
            try:
                loaded = _load(connection, store, plan, table, unit)
            except DocumentError:
                same_document(store, plan)  # another one in its place is the reason, if it is
                raise
            ledger.end_load(connection, plan.run, loaded)
    log.info("loaded %d rows of %s, fragment %d of %d", loaded.rows, unit.table, unit.part, unit.parts)
    return loaded


def same_document(store: Store, plan: RestorePlan) -> Manifest:
    """The manifest, as it was when the restore was planned.

    Raises:
        DocumentError: the object was removed or replaced since, or is damaged.
        StoreRefused, StoreUnavailable: a request failed.
    """
    require_there(store, plan)
    manifest, found = read_manifest(store, plan.run.key, plan.run.size)
    if found != plan.run.manifest_sha256:
        raise _another(plan)
    return manifest


def require_there(store: Store, plan: RestorePlan) -> None:
    """Check that the document is still there and as large as it was. A manifest of many fragments takes longer to read.

    Raises:
        DocumentError: it was removed or replaced since the restore was planned.
        StoreRefused, StoreUnavailable: the request failed.
    """
    stored = store.head(plan.run.key)
    if stored is None:
        raise DocumentError(
            f"{plan.run.key} is gone since the restore was planned", hint="bring it back, or restore another backup"
        )
    if stored.size != plan.run.size:
        raise _another(plan)


def _another(plan: RestorePlan) -> DocumentError:
    return DocumentError(f"{plan.run.key} is not the document that was planned", hint="trigger a new restore")


def _load(connection: Connection, store: Store, plan: RestorePlan, table: TablePlan, unit: LoadUnit) -> LoadedFragment:
    populator = Populator(
        connection,
        staging.destination(plan.run, table),
        names=[column.name for column in table.columns],
        restored=[column.name for column in table.restored],
        stored=[column.name for column in table.columns if not (table.direct and column.generated)],
        hashes=staging.hashes(table),
    )
    stored = _Checked(store.stream(plan.run.key, unit.fragment.offset, unit.fragment.length))
    try:
        chunks = expand_stream(iter(stored), compression_of(plan.run.key))
        parsed = [populator.insert(rows) for rows in _batches(Feed(chunks), unit)]
    except (DocumentError, StagingDiffers, RestoreFailed, ValueError) as error:
        _drain(stored)
        _check_hash(stored, unit)  # damaged bytes are the reason, whatever went wrong first
        if isinstance(error, ValueError):
            raise _damaged(unit, str(error)) from None
        raise
    _check_hash(stored, unit)
    return _checked(unit, parsed)


def _batches(feed: Feed, unit: LoadUnit) -> Iterator[bytearray]:
    """The rows of each batch as a JSON array."""
    try:
        for place, batch in enumerate(unit.fragment.batches):
            if place and bytes(feed.take_all(len(ROW_SEPARATOR))) != ROW_SEPARATOR:
                raise _damaged(unit, "its batches are not where the manifest says")
            rows = bytearray(b"[")
            for piece in feed.take(batch.size):
                rows += piece
            rows += b"]"
            yield rows
        if not feed.at_end():
            raise _damaged(unit, "there are bytes behind its rows")
    except StreamEnded as end:
        raise _damaged(unit, f"it ends {end.missing} bytes early") from None


def _drain(stored: _Checked) -> None:
    """Read the rest, so that the hash tells whether the bytes or the target are to blame."""
    for _ in stored:
        pass


def _check_hash(stored: _Checked, unit: LoadUnit) -> None:
    if stored.hash.hexdigest() != unit.fragment.sha256:
        raise _damaged(unit, "its SHA-256 differs from the manifest's")


def _damaged(unit: LoadUnit, how: str) -> DocumentError:
    return DocumentError(
        f"table {unit.table}, fragment {unit.part} of {unit.parts} is damaged: {how}",
        hint="choose another backup; the target is as it was",
    )


def _checked(unit: LoadUnit, parsed: list[Parsed]) -> LoadedFragment:
    counts = [each.rows for each in parsed]
    if counts != [batch.rows for batch in unit.fragment.batches] or sum(counts) != unit.fragment.rows:
        raise _damaged(unit, f"it has {sum(counts)} rows, the manifest says {unit.fragment.rows}")
    digest = hexadecimal(sum(each.digest for each in parsed))
    if digest != unit.fragment.digest:
        raise _damaged(unit, f"its content digest is {digest}, the manifest says {unit.fragment.digest}")
    content = hexadecimal(sum(each.content_digest for each in parsed))
    return LoadedFragment(table=unit.table, part=unit.part, rows=sum(counts), digest=digest, content_digest=content)
