"""Describe schema and edge functions, each into a staged section of the document."""

import logging
import secrets
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from include.disaster_recovery.document import text
from include.disaster_recovery.model import BackupRun, Snapshot, StagedSection
from include.disaster_recovery.postgres.pg_dump import find_pg_dump
from include.disaster_recovery.postgres.probes import probe_rls
from include.disaster_recovery.postgres.schema import describe_catalogs, describe_ddl
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import reading
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.schema_drift import section_counts
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.stream.codec import frame
from include.disaster_recovery.supabase.edge_functions import describe_edge_functions as read_edge_functions
from include.disaster_recovery.table_selection import described_schemas

log = logging.getLogger(__name__)


def describe_schema(
    connection: Connection,
    parameters: Mapping[str, str],
    store: Store,
    settings: Settings,
    run: BackupRun,
    snapshot: Snapshot,
) -> StagedSection:
    """Describe everything needed to rebuild the schema, as of the snapshot.

    Raises:
        SnapshotLost: the holder is gone.
        DescriptionFailed, PreflightFailed: catalogs or pg_dump failed.
        StoreRefused, StoreUnavailable: the section cannot be written.
    """
    schemas = covered_schemas(settings, snapshot)
    dump = find_pg_dump(settings.postgres.pg_dump, server_major=connection.info.server_version // 10000)
    with reading(connection, snapshot.snapshot_id):
        beyond = [table for table in snapshot.tables if table.schema_name not in schemas]
        described = describe_catalogs(connection, schemas, beyond)
        described["rls_probes"] = probe_rls(connection, snapshot.tables).to_json()
        described["ddl"] = describe_ddl(dump, parameters, described, schemas, snapshot.snapshot_id)
    counts = section_counts(described)
    log.info("described schema: %s", ", ".join(f"{count} {name}" for name, count in counts.items()))
    return _stage(store, settings, run, "schema", described, counts, [], snapshot.snapshot_id)


def describe_edge_functions(store: Store, settings: Settings, run: BackupRun) -> StagedSection:
    """Describe the edge functions of the `supabase/` folder.

    Raises:
        DescriptionFailed: `config.toml` is malformed.
        StoreRefused, StoreUnavailable: the section cannot be written.
    """
    described, warnings = read_edge_functions(settings.supabase_folder())
    for warning in warnings:
        log.warning(warning)
    log.info("described %d edge functions", len(described))
    return _stage(store, settings, run, "edge_functions", described, {"edge_functions": len(described)}, warnings, None)


def covered_schemas(settings: Settings, snapshot: Snapshot) -> list[str]:
    """The schemas described: those of the settings, and those of tables named beyond them; never Supabase's auth."""
    return described_schemas(settings.tables.schemas, snapshot.tables)


def _stage(
    store: Store,
    settings: Settings,
    run: BackupRun,
    name: str,
    value: Mapping[str, Any],
    counts: dict[str, int],
    warnings: list[str],
    snapshot_id: str | None,
) -> StagedSection:
    stored = frame(text(value), settings.compression)
    key = f"{run.staging_prefix}{name}-{secrets.token_hex(4)}"
    store.put(key, stored)
    return StagedSection(
        name=name,
        key=key,
        size=len(stored),
        sha256=sha256(stored).hexdigest(),
        counts=counts,
        warnings=warnings,
        snapshot_id=snapshot_id,
    )
