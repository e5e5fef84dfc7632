"""Record the outcome: the history row of a verified backup, and what the asset event says."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from include.disaster_recovery.history import catalog
from include.disaster_recovery.model import AssembledDocument, BackupRun, Snapshot, StagedSection, Verdict
from include.disaster_recovery.postgres.session import Connection

log = logging.getLogger(__name__)


def record_backup(
    connection: Connection,
    run: BackupRun,
    snapshot: Snapshot,
    document: AssembledDocument,
    sections: Sequence[StagedSection],
    verdict: Verdict,
    *,
    now: datetime,
) -> dict[str, Any]:
    """Close the history row as success; returns the extra of the asset event.

    Raises:
        DatabaseUnavailable, TableUnreadable: the row cannot be written.
    """
    counts = {name: count for section in sections for name, count in section.counts.items()}
    warnings = [*verdict.warnings, *(warning for section in sections for warning in section.warnings)]
    values = {
        "file_size": document.size,
        "execution_time_ms": _milliseconds(run.created_at, now),
        "tables": list(document.row_counts),
        "migration_count": counts.get("migrations", 0),
        "function_count": counts.get("functions", 0),
    }
    components = {
        "row_counts": document.row_counts,
        "table_bytes": document.table_bytes,
        "manifest_sha256": document.manifest_sha256,
        "checksum": verdict.checksum,  # of what was written: later verdicts have one of their own
        "total_rows": verdict.rows,
        "schema": {name: count for name, count in counts.items() if name != "edge_functions"},
        "edge_functions": counts.get("edge_functions", 0),
        "snapshot": snapshot.snapshot_id,
        "warnings": warnings,
        "verification": verdict.to_json(),
    }
    catalog.close_success(connection, run, values, components)
    log.info("backup %s succeeded: %d tables, %d rows, %d bytes", run.key, verdict.tables, verdict.rows, document.size)
    return {
        "key": run.key,
        "size": document.size,
        "rows": verdict.rows,
        "tables": verdict.tables,
        "backup_id": run.backup_id,
    }


def _milliseconds(began: datetime, ended: datetime) -> int:
    """What the column holds; nothing where the clock was set back meanwhile."""
    return min(2**31 - 1, max(0, round((ended - began).total_seconds() * 1000)))
