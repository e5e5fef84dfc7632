"""Preflight: everything a backup needs is checked before anything is written, and every failure is reported at once."""

import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import sql

from include.disaster_recovery.errors import DisasterRecoveryError, PreflightFailed, RetryableError
from include.disaster_recovery.model import TableName
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.pg_dump import find_pg_dump
from include.disaster_recovery.postgres.rights import require_rights
from include.disaster_recovery.postgres.row_json import columns
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.postgres.source import relations
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.table_selection import Relation, Selection, described_schemas, select_tables

log = logging.getLogger(__name__)

OLDEST_SERVER = 140000  # TID range scans, which splitting needs, came with Postgres 14
TRANSACTION_POOLER_PORT = 6543  # Supabase documentation, "Connect to your database"
PROBE_TRIES = 5
MOST_LOCK_SECONDS = 10  # for each table that is locked
HISTORY_TO_COME = Relation(
    schema_name="public",
    name="backup_history",
    kind="r",
    is_partition=False,
    persistence="p",
    of_extension=False,
    heap_bytes=0,
    toast_bytes=0,
    block_bytes=8192,
)


@dataclass
class Report:
    """What passed and what failed so far."""

    passed: list[str] = field(default_factory=list)
    failed: list[DisasterRecoveryError] = field(default_factory=list)

    @contextmanager
    def check(self, name: str) -> Iterator[None]:
        """Run one check; its failure is kept, not raised."""
        try:
            yield
        except DisasterRecoveryError as error:
            log.error("%s: %s", name, error)  # noqa: TRY400 - the hint says more than a traceback
            self.failed.append(error)
        else:
            log.info("%s: ok", name)
            self.passed.append(name)

    def conclude(self) -> None:
        """Raise what was found, all of it with the hints.

        Raises:
            PreflightFailed: at least one check failed for good.
            RetryableError: checks failed, but all for reasons that may pass; of the first one's type.
        """
        if self.failed:
            total = len(self.passed) + len(self.failed)
            facts = "; ".join(error.fact for error in self.failed)
            hints = "; ".join(dict.fromkeys(error.hint for error in self.failed))
            passing = all(isinstance(error, RetryableError) for error in self.failed)
            kind = type(self.failed[0]) if passing else PreflightFailed
            raise kind(f"{len(self.failed)} of {total} checks failed: {facts}", hint=hints)


def preflight(
    settings: Settings,
    *,
    connect: Callable[[], Connection],
    connect_store: Callable[[], Store],
    slots: Callable[[], None],
) -> list[str]:
    """Check scheduler slots, database, `pg_dump` and bucket; returns the tables that no backup covers.

    Args:
        connect: opens a session to the source database.
        connect_store: gives the bucket.
        slots: raises where two tasks cannot run at once.

    Raises:
        PreflightFailed: at least one check failed; each names its cause and the next action.
        RetryableError: all that failed may pass by itself, such as a server that is not reached.
    """
    report, uncovered = Report(), []
    with report.check("two tasks can run at once"):
        slots()
    with report.check("source database answers"), connect() as connection:
        uncovered = _check_database(report, connection, settings)
    with report.check("bucket answers"):
        _check_bucket(report, connect_store(), settings)
    report.conclude()
    return uncovered


def _check_database(report: Report, connection: Connection, settings: Settings) -> list[str]:
    with report.check("server version"):
        check_version(connection)
    with report.check("session, not a transaction pooler"):
        check_session(connection)
    with report.check("pg_dump"):
        find_pg_dump(settings.postgres.pg_dump, server_major=connection.info.server_version // 10000)
    selection = Selection(covered=[], uncovered=[])
    with report.check("tables exist"):
        selection = select_tables(settings.tables, with_history(relations(connection)))
    for table in selection.covered:
        if table is HISTORY_TO_COME:
            continue
        with report.check(f"table {table.table.name_in_document} is readable"):
            check_readable(connection, table.table, lock_timeout_seconds=settings.extract.lock_timeout_seconds)
    covered = [table.table for table in selection.covered]
    with report.check("rights of the backup role"):
        require_rights(connection, described_schemas(settings.tables.schemas, covered), covered)
    return [table.table.name_in_document for table in selection.uncovered]


def with_history(found: Sequence[Relation]) -> list[Relation]:
    """The relations as they will be once the backup is opened, which creates a missing `backup_history`."""
    missing = all((each.schema_name, each.name) != ("public", "backup_history") for each in found)
    return [*found, *([HISTORY_TO_COME] if missing else [])]


def check_version(connection: Connection) -> None:
    """Refuse servers that are too old, and databases whose text may not be UTF-8.

    Raises:
        PreflightFailed: one of both.
    """
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        raise PreflightFailed(f"the server is version {version // 10000}", hint="upgrade to Postgres 14 or newer")
    encoding = connection.info.parameter_status("server_encoding")
    if encoding == "SQL_ASCII":
        raise PreflightFailed(
            "the database's encoding is SQL_ASCII", hint="convert it to UTF8: JSON cannot hold bytes of unknown meaning"
        )


def check_session(connection: Connection) -> None:
    """Refuse a transaction pooler, which hands each transaction to another session.

    Raises:
        PreflightFailed: the port is the transaction pooler's, or a session setting was lost.
    """
    hint = "use the direct connection or the session pooler, port 5432, in the Airflow connection collabhunts_db"
    if connection.info.port == TRANSACTION_POOLER_PORT:
        raise PreflightFailed(f"port {TRANSACTION_POOLER_PORT} is Supabase's transaction pooler", hint=hint)
    token = secrets.token_hex(8)
    with translated("session check"):
        connection.execute("select set_config('collabhunts.probe', %s, false)", (token,))
        for _ in range(PROBE_TRIES):
            row = connection.execute("select current_setting('collabhunts.probe', true)").fetchone()
            if row is None or row[0] != token:
                raise PreflightFailed(
                    "a session setting was lost between two transactions: this is a transaction pooler", hint=hint
                )


def check_readable(connection: Connection, table: TableName, *, lock_timeout_seconds: int) -> None:
    """Refuse a table that the role may not read in full; `row_security=off` turns hidden rows into an error.

    Raises:
        TableUnreadable, TableLocked, DatabaseUnavailable: the table is named.
    """
    with translated(f"table {table.name_in_document} cannot be read"), connection.transaction():
        seconds = min(MOST_LOCK_SECONDS, lock_timeout_seconds)
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(f"{seconds}s")))
        connection.execute(sql.SQL("lock table only {} in access share mode").format(relation(table)))
        connection.execute(sql.SQL("select from {} limit 1").format(relation(table)))
    columns(connection, table)


def _check_bucket(report: Report, store: Store, settings: Settings) -> None:
    with report.check("signing keys"):
        store.keyring()
    store.keys(settings.s3.staging_prefix + "preflight/")
    with report.check(f"bucket {store.bucket} is writable below {settings.s3.staging_prefix}"):
        probe_bucket(store, settings.s3.staging_prefix + "preflight/")
    with report.check(f"bucket {store.bucket} takes backups below {settings.s3.prefix}"):
        store.probe_upload(f"{settings.s3.prefix}preflight-{secrets.token_hex(8)}")


def probe_bucket(store: Store, prefix: str) -> None:
    """Write, look at and delete a small object.

    Raises:
        PreflightFailed: the object is not encrypted as configured.
        StoreRefused, StoreUnavailable: a request was denied or failed.
    """
    key = f"{prefix}preflight-{secrets.token_hex(8)}"
    store.put(key, b"{}")
    try:
        found = store.head(key)
        wanted = store.encryption.algorithm
        if found is None or (wanted and found.sse != wanted):
            raise PreflightFailed(
                f"an object written with encryption {wanted} is stored with {found.sse if found else 'nothing'}",
                hint="mend s3.sse in the settings, or the bucket's default encryption",
            )
    finally:
        store.delete([key])
