"""The scratch database of a drill, and the roles that it makes on the server: marked, so that none is left over.

A mark is a comment that names the run. CREATE DATABASE cannot share a transaction with it, so a scratch database is
born closed and opens in the transaction that marks it. One that is closed and unmarked was left by a crash in between:
nobody can ever have been connected to it, so that dropping it loses nothing of anybody's.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from include.disaster_recovery.backup_key import timestamp
from include.disaster_recovery.errors import RestoreInProgress, RestoreRefused
from include.disaster_recovery.postgres.errors import message, restoring
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection
from include.disaster_recovery.restore_model import RestoreRun

PREFIX = "collabhunts_drill_"
MARK = "collabhunts drill "
DRILL_LOCK = 0x436F6C6C61623264  # advisory lock of whoever makes or tidies scratch databases: "Collab2d" in ASCII
ROLES_INSTEAD = "or let include/supabase/roles/drill_role.sql make the roles; "
_NAME = re.compile(rf"{PREFIX}\d{{8}}t\d{{9}}z_[0-9a-f]{{8}}")
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}  # pg_database.datlocprovider
_PROVIDERS_SINCE = 150000
_STAYS = (pg.DependentObjectsStillExist, pg.InsufficientPrivilege, pg.ObjectInUse)


def scratch_name(now: datetime) -> str:
    """A new name, by which a scratch database is known even before it is marked."""
    moment = "".join(character for character in timestamp(now).lower() if character.isalnum())
    return f"{PREFIX}{moment}_{secrets.token_hex(4)}"


def require_rights(connection: Connection, name: str, roles: Sequence[str], *, hidden: bool = False) -> None:
    """Check that a scratch database can be made here and filled: what the role may not do is not the backup's fault.

    Args:
        name: the Airflow connection, for messages.
        roles: of the backup, which are created where the server lacks them.
        hidden: whether row-level security of the backup hides rows from owners, too.

    Raises:
        RestoreRefused: the role lacks rights, which are named, or the server takes no writes.
        RestoreFailed, DatabaseUnavailable: the server did not answer.
    """
    with restoring("rights on the drill server"):
        row = connection.execute(statement("scratch_rights"), {"roles": list(roles)}).fetchone()
    who, makes_databases, bypasses, makes_roles, absent, is_standby = row or ("nobody", *5 * (None,))
    if is_standby:
        raise RestoreRefused(
            "the drill server is a standby and takes no writes", hint=f"name another server in the connection {name}"
        )
    needs = {
        "CREATEDB": not makes_databases,
        "BYPASSRLS": hidden and not bypasses,
        "CREATEROLE": absent and not makes_roles,
    }
    if lacking := [right for right, is_lacking in needs.items() if is_lacking]:
        quoted = sql.Identifier(str(who)).as_string(connection)
        why = f"; the server lacks roles of the backup: {', '.join(absent)}" if "CREATEROLE" in lacking else ""  # type: ignore[arg-type]
        raise RestoreRefused(
            f"role {who} of the drill server may not carry out a drill, it has no {', '.join(lacking)}{why}",
            hint=f"as a superuser there: alter role {quoted} {' '.join(lacking).lower()};"
            f" {ROLES_INSTEAD if absent else ''}or name another role in the Airflow connection {name}",
        )


@contextmanager
def locked(connection: Connection) -> Iterator[None]:
    """Keep other drills from making or tidying scratch databases on this server.

    Raises:
        RestoreInProgress: another drill does that at this moment.
        DatabaseUnavailable: the connection was lost.
    """
    with restoring("lock of the drill server"):
        row = connection.execute(f"select pg_try_advisory_lock({DRILL_LOCK})").fetchone()
    if not row or not row[0]:
        raise RestoreInProgress(
            "another drill is being opened on the drill server",
            hint="try again in a minute; pg_stat_activity there shows who it is",
        )
    try:
        yield
    finally:
        if not connection.closed:
            with suppress(psycopg.OperationalError):  # the session is gone, and its lock with it
                connection.execute(f"select pg_advisory_unlock({DRILL_LOCK})")


def create(connection: Connection, name: str, run_id: str, key: str) -> None:
    """Make the scratch database of a run, in UTF-8 and with the locale of the database that the connection names.

    Raises:
        RestoreFailed, DatabaseUnavailable: the server refused; at worst a closed, empty database is left to be tidied.
    """
    database = sql.Identifier(name)
    with restoring(f"scratch database {name} cannot be created"):
        connection.execute(
            sql.SQL("create database {} template template0 encoding 'UTF8'{} allow_connections false").format(
                database, _locale(connection)
            )
        )
        with connection.transaction():
            connection.execute(
                sql.SQL("comment on database {} is {}").format(database, sql.Literal(_mark(run_id, key)))
            )
            connection.execute(sql.SQL("alter database {} allow_connections true").format(database))


def marked(connection: Connection) -> list[tuple[str, str]]:
    """Every scratch database of this role, and the id of the run that made it.

    Raises:
        RestoreFailed, DatabaseUnavailable: the catalog cannot be read.
    """
    found = [(name, _run_of(mark)) for name, mark, _ in _databases(connection) if mark is not None]
    return [(name, run_id) for name, run_id in found if run_id is not None]


def unfinished(connection: Connection) -> list[str]:
    """Scratch databases that a crash has kept from being marked; only under the lock: else one may be just being made.

    Raises:
        RestoreFailed, DatabaseUnavailable: the catalog cannot be read.
    """
    return [
        name for name, mark, is_open in _databases(connection) if mark is None and not is_open and _NAME.fullmatch(name)
    ]


def drop(connection: Connection, name: str) -> None:
    """Drop a scratch database, whoever is connected to it; one that is gone already is no error.

    Raises:
        RestoreFailed, DatabaseUnavailable: the server refused.
    """
    denied = "a session of another role is in it: end that in pg_stat_activity; the next drill tries again"
    with restoring(f"scratch database {name} cannot be dropped", denied=denied):
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def mark_roles(connection: Connection, roles: Sequence[str], run: RestoreRun) -> None:
    """Mark the roles that a drill has created, in the transaction that creates them."""
    for role in roles:
        connection.execute(
            sql.SQL("comment on role {} is {}").format(sql.Identifier(role), sql.Literal(_mark(run.run_id, run.key)))
        )


def marked_roles(connection: Connection) -> list[tuple[str, str]]:
    """Every role that a drill has created, and the id of its run.

    Raises:
        RestoreFailed, DatabaseUnavailable: the catalog cannot be read.
    """
    with restoring("list of the drills' roles"):
        rows = connection.execute(statement("scratch_roles"), {"mark": f"{MARK}%"}).fetchall()
    found = [(str(role), _run_of(str(mark))) for role, mark in rows]
    return [(role, run_id) for role, run_id in found if run_id is not None]


def drop_role(connection: Connection, role: str) -> str | None:
    """Drop a role that a drill has created; why not, where it stays: another database uses it by now, say.

    Raises:
        RestoreFailed, DatabaseUnavailable: the server refused for another reason.
    """
    with restoring(f"role {role} cannot be dropped"):
        try:
            connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))
        except _STAYS as error:
            return message(error)
    return None


def size(connection: Connection) -> int:
    """Bytes of the database we are in.

    Raises:
        RestoreFailed, DatabaseUnavailable: the server did not answer.
    """
    with restoring("size of the scratch database"):
        row = connection.execute("select pg_catalog.pg_database_size(pg_catalog.current_database())").fetchone()
    return int(str(row[0])) if row else 0


def _databases(connection: Connection) -> list[tuple[str, str | None, bool]]:
    with restoring("list of scratch databases"):
        prefix = f"{PREFIX}%".replace("_", r"\_")
        rows = connection.execute(statement("scratch_databases"), {"prefix": prefix}).fetchall()
    return [(str(name), None if mark is None else str(mark), bool(is_open)) for name, mark, is_open in rows]


def _mark(run_id: str, key: str) -> str:
    return MARK + json.dumps({"run_id": run_id, "backup": key})


def _run_of(mark: str) -> str | None:
    """The run that a mark names; None if somebody else wrote that comment."""
    if not mark.startswith(MARK):
        return None
    try:
        content = json.loads(mark.removeprefix(MARK))
    except ValueError:
        return None
    return str(content["run_id"]) if isinstance(content, dict) and "run_id" in content else None


def _locale(connection: Connection) -> sql.Composed:
    """The locale decides what lower() and a plain comparison say, in checks, indexes and generated columns.

    A backup does not tell its own, but whoever names the database in the connection can choose one that is like it.
    """
    row = connection.execute(statement("scratch_locale")).fetchone()
    found: Mapping[str, Any] = dict(row[0]) if row else {}  # type: ignore[call-overload]
    if not row or row[1] != "UTF8":  # its locale may be of another encoding, only C is of all
        wanted = {"lc_collate": "C", "lc_ctype": "C"}
        return _options({**wanted, **_provider(connection, "libc")})
    provider = _PROVIDERS[str(found.get("datlocprovider", "c"))]
    wanted = {"lc_collate": found["datcollate"], "lc_ctype": found["datctype"], **_provider(connection, provider)}
    if provider != "libc":
        wanted[f"{provider}_locale"] = found.get("datlocale") or found["daticulocale"]
    if rules := found.get("daticurules"):
        wanted["icu_rules"] = rules
    return _options(wanted)


def _provider(connection: Connection, name: str) -> dict[str, str]:
    return {"locale_provider": name} if connection.info.server_version >= _PROVIDERS_SINCE else {}


def _options(wanted: Mapping[str, str]) -> sql.Composed:
    return sql.Composed([sql.SQL(" {} {}").format(sql.SQL(name), sql.Literal(each)) for name, each in wanted.items()])
