"""One moment for everybody: exporting a snapshot, and reading inside it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone

import psycopg
from psycopg import sql

from include.disaster_recovery.errors import BackupInProgress
from include.disaster_recovery.model import Snapshot, TableName
from include.disaster_recovery.postgres.errors import snapshot_errors, translated
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection

BACKUP_LOCK = 0x436F6C6C61623262  # advisory lock held while a backup reads this database: "Collab2b" in ASCII
_BEGIN = "begin isolation level repeatable read read only"


def relation(table: TableName) -> sql.Composed:
    """The quoted name of a table."""
    return sql.Identifier(table.schema_name, table.table_name) + sql.SQL("")


def export(connection: Connection, tables: Sequence[TableName], *, lock_timeout_seconds: int) -> Snapshot:
    """Begin a transaction that locks the tables against DDL and exports its snapshot; it stays open.

    The locks come before the first query, hence before the snapshot: no table is truncated or rewritten in between.
    Partitions are locked with their parent: TRUNCATE of a partition empties it for older snapshots too.

    Raises:
        BackupInProgress: another backup of this database holds its lock.
        TableLocked, TableUnreadable: a table cannot be locked; it is named.
        DatabaseUnavailable: the connection was lost.
    """
    with translated("begin"):
        connection.execute(_BEGIN)
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(f"{lock_timeout_seconds}s")))
    for table in tables:
        with translated(f"table {table.name_in_document} cannot be locked for reading"):
            connection.execute(sql.SQL("lock table {} in access share mode").format(relation(table)))
    with translated("export of a snapshot"):
        row = connection.execute(statement("export_snapshot"), {"lock": BACKUP_LOCK}).fetchone()
    locked, snapshot_id, pid, version = row or (False, "", 0, "")
    if not locked:
        raise _in_progress()
    return Snapshot(
        snapshot_id=str(snapshot_id),
        backend_pid=int(str(pid)),
        exported_at=datetime.now(timezone.utc),
        server_version=str(version),
        tables=list(tables),
    )


def refuse_second_backup(connection: Connection) -> None:
    """Refuse where some session holds the backup lock of this database.

    Raises:
        BackupInProgress: one does.
        DatabaseUnavailable: the connection was lost.
    """
    with translated("look for a running backup"):
        row = connection.execute(statement("backup_lock_holder"), {"lock": BACKUP_LOCK}).fetchone()
    if row is not None:
        raise _in_progress()


def _in_progress() -> BackupInProgress:
    return BackupInProgress(
        "another backup is reading this database",
        hint="wait until it is done, or end its session in pg_stat_activity",
    )


@contextmanager
def reading(connection: Connection, snapshot_id: str) -> Iterator[None]:
    """A transaction that sees the exported snapshot.

    Raises:
        SnapshotLost: the exporting session is gone.
        DatabaseUnavailable: the connection was lost.
    """
    with translated("begin"):
        connection.execute(_BEGIN)
        with snapshot_errors(snapshot_id):
            connection.execute(sql.SQL("set transaction snapshot {}").format(sql.Literal(snapshot_id)))
    try:
        yield
    finally:
        _end(connection)


def _end(connection: Connection) -> None:
    """Roll back; a session in the middle of a COPY that an error left open cannot, and is closed."""
    try:
        if not connection.closed:
            connection.execute("rollback")
    except psycopg.Error:
        connection.close()


def lock_now(connection: Connection, table: TableName) -> None:
    """Lock a table for reading without waiting: a queued ALTER would otherwise deadlock with the snapshot's holder.

    Raises:
        TableLocked: an exclusive lock is held or queued.
        TableUnreadable: the table is gone or refused.
    """
    with translated(f"table {table.name_in_document} cannot be locked for reading"):
        connection.execute(sql.SQL("lock table {} in access share mode nowait").format(relation(table)))
