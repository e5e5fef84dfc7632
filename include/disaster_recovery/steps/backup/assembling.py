"""Assemble the document from staged fragments and sections, on the server's side."""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from include.disaster_recovery import __version__
from include.disaster_recovery.assembly import plan_parts
from include.disaster_recovery.backup_key import CONTENT_TYPE
from include.disaster_recovery.document import Layout, lay_out
from include.disaster_recovery.errors import BackupExists
from include.disaster_recovery.fragments import by_table, check_complete
from include.disaster_recovery.history.catalog import BACKUP_VERSION
from include.disaster_recovery.model import AssembledDocument, BackupRun, Snapshot, StagedFragment, StagedSection
from include.disaster_recovery.s3.compose import compose
from include.disaster_recovery.s3.documents import IN_METADATA
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.stream.codec import frame, stored_frame

log = logging.getLogger(__name__)


def assemble(
    store: Store,
    settings: Settings,
    run: BackupRun,
    snapshot: Snapshot,
    fragments: Sequence[StagedFragment],
    sections: Sequence[StagedSection],
) -> AssembledDocument:
    """Compose the one JSON document. A try repeated after its answer was lost finds its own document and takes it.

    Raises:
        SnapshotLost, VerificationFailed: the fragments are not the whole of one snapshot.
        BackupExists: somebody else's object has this key.
        StoreRefused, StoreUnavailable: a request failed.
    """
    tables = by_table(fragments)
    row_counts = check_complete(tables, sections, snapshot)
    layout = lay_out(
        metadata=_metadata(settings, run, snapshot, row_counts),
        tables=tables,
        sections=sections,
        snapshot=snapshot.snapshot_id,
        writer=__version__,
        compression=settings.compression,
        frame=partial(frame, compression=settings.compression),
        stored_frame=partial(stored_frame, compression=settings.compression),
        sign=partial(store.keyring().sign, run.key),
    )
    parts = plan_parts(layout.pieces)
    _agree(store, run, layout)
    _compose(store, settings, run, layout, parts)
    copied = [part for part in parts if part.copied]
    log.info(
        "assembled %s: %d bytes, %d parts copied, %d uploaded",
        run.key,
        layout.size,
        len(copied),
        len(parts) - len(copied),
    )
    return AssembledDocument(
        key=run.key,
        size=layout.size,
        manifest_sha256=layout.manifest_sha256,
        row_counts=row_counts,
        table_bytes={name: sum(each.length for each in t.fragments) for name, t in layout.manifest.tables.items()},
        parts_copied=len(copied),
        parts_uploaded=len(parts) - len(copied),
        bytes_uploaded=layout.size - sum(part.size for part in copied),
    )


def _agree(store: Store, run: BackupRun, layout: Layout) -> None:
    """Let only one document compete for the key of a run.

    A conditional put has one winner everywhere; a conditional completion of uploads has several on some servers.

    Raises:
        BackupExists: another try is assembling, or has assembled, another document.
    """
    key, mine = f"{run.staging_prefix}document", layout.manifest_sha256.encode()
    if not store.create(key, mine) and store.read(key, 0, len(mine)) != mine:
        raise BackupExists(
            f"another document is being assembled as {run.key}", hint="trigger a new backup: it opens under a new key"
        )


def _compose(store: Store, settings: Settings, run: BackupRun, layout: Layout, parts: Sequence[Any]) -> None:
    metadata = {"backup-id": run.backup_id, IN_METADATA: layout.manifest_sha256, "writer": __version__}
    tags = {"written-by": "collabhunts-disaster-recovery", "backup-type": run.backup_type}
    try:
        content_type = CONTENT_TYPE[settings.compression]
        compose(store, run.key, parts, metadata=metadata, tags=tags, content_type=content_type)
    except BackupExists:
        there = store.head(run.key)
        if there is None or there.metadata.get(IN_METADATA) != layout.manifest_sha256 or there.size != layout.size:
            raise
        log.warning("%s was completed by an earlier try whose answer was lost", run.key)


def _metadata(settings: Settings, run: BackupRun, snapshot: Snapshot, row_counts: dict[str, int]) -> dict[str, Any]:
    return {
        "version": BACKUP_VERSION,
        "created_at": run.created_at.isoformat(),
        "backup_id": run.backup_id,
        "backup_type": run.backup_type,
        "supabase_project_id": settings.supabase.project_id,
        "snapshot": snapshot.snapshot_id,
        "snapshot_taken_at": snapshot.exported_at.isoformat(),
        "server_version": snapshot.server_version,
        "writer": __version__,
        "table_count": len(row_counts),
        "total_rows": sum(row_counts.values()),
        "row_counts": row_counts,
    }
