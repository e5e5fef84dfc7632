"""Writing without side effects: no trigger or rule fires, no foreign key acts while a restore's transaction writes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from psycopg import sql

from include.disaster_recovery.postgres.errors import restoring
from include.disaster_recovery.postgres.restore.deferrable import validate_deferrable
from include.disaster_recovery.postgres.restore.validation import validate
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.postgres.snapshot import relation
from include.disaster_recovery.restore_model import Quiet
from include.disaster_recovery.restore_plan import QUIETED
from include.disaster_recovery.restore_target import ForeignKey, TargetTable, Trigger

_ENABLE = {"O": "enable", "A": "enable always", "R": "enable replica"}


@contextmanager
def quietly(
    connection: Connection, how: Quiet, tables: Sequence[TargetTable], keys: Sequence[ForeignKey]
) -> Iterator[list[str]]:
    """Inside a transaction: silence triggers, rules and foreign keys of the tables, and prove the keys on leaving.

    `replica`: `session_replication_role` silences all; triggers that are set to fire even then are disabled by name.
    Keys are checked by queries afterwards. `tables`: triggers are disabled by name, keys are dropped and added again,
    which makes Postgres check them; keys of tables that belong to others stay in force.

    Yields:
        A list that holds, on leaving, the keys that nobody checks, each with the reason.

    Raises:
        RestoreFailed: a foreign key does not hold, or the target refused.
        DatabaseUnavailable: the connection was lost.
    """
    loud = [trigger for table in tables for trigger in table.triggers if trigger.state in QUIETED[how]]
    dropped = [key for key in keys if how == "tables" and key.is_owned]
    with restoring("triggers of the target cannot be kept from firing"):
        if how == "replica":
            connection.execute("set local session_replication_role = replica")
        for trigger in loud:
            connection.execute(_alter(trigger, "disable"))
        for key in dropped:
            connection.execute(_alter_key(key, "drop constraint {name}"))
    unchecked: list[str] = []
    yield unchecked
    with restoring("foreign keys do not hold after the restore"):
        connection.execute("set constraints all immediate")  # those still in force, before tables are altered again
        for key in dropped:
            _add(connection, key)
        for trigger in loud:
            connection.execute(_alter(trigger, _ENABLE[trigger.state]))
        if how == "replica":
            connection.execute("set local session_replication_role = origin")
    if how == "replica":
        validate_deferrable(connection, [table.table for table in tables])
        unchecked += validate(connection, keys)


def lock(connection: Connection, tables: Sequence[TargetTable], keys: Sequence[ForeignKey], *, timeout: str) -> None:
    """Keep writers out of the tables and of those that reference them, until the transaction ends.

    Raises:
        TableLocked: another session holds on to a table for longer than the timeout.
        RestoreFailed, DatabaseUnavailable: the target refused.
    """
    names = {(t.table.schema_name, t.table.table_name): t.table for t in tables}
    for key in keys:
        for table, allowed in ((key.table, key.can_lock), (key.references, key.can_lock_referenced)):
            if allowed:
                names[table.schema_name, table.table_name] = table
    with restoring("tables of the target cannot be locked"):
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(timeout)))
        for _, table in sorted(names.items()):
            connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(relation(table)))


def _alter(trigger: Trigger, action: str) -> sql.Composed:
    """ONLY: the triggers of partitions have their own state, and are altered one by one."""
    return sql.SQL("alter table {} {} {} {}").format(
        sql.SQL("only " if trigger.kind == "trigger" else "")
        + sql.Identifier(trigger.table_schema, trigger.table_name),
        sql.SQL(action),
        sql.SQL(trigger.kind),
        sql.Identifier(trigger.name),
    )


def _alter_key(key: ForeignKey, action: str) -> sql.Composed:
    return sql.SQL("alter table {table} " + action).format(
        table=relation(key.table),
        name=sql.Identifier(key.name),
        definition=sql.SQL(key.definition),  # pg_get_constraintdef's own text
    )


def _add(connection: Connection, key: ForeignKey) -> None:
    connection.execute(_alter_key(key, "add constraint {name} {definition}"))
    if key.comment is not None:
        connection.execute(
            sql.SQL("comment on constraint {} on {} is {}").format(
                sql.Identifier(key.name), relation(key.table), sql.Literal(key.comment)
            )
        )
