"""Stand-ins for what Supabase brings and a bare Postgres lacks: the schemas auth, storage and extensions.

Only a schema that is not there is made. Where one exists it is Supabase's, and nothing in it is touched.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from psycopg import errors as pg
from psycopg import sql

from include.disaster_recovery.supabase.attempts import Attempts
from include.disaster_recovery.supabase.auth_tables import AuthTable

OWNERS = {"extensions": "postgres", "auth": "supabase_auth_admin", "storage": "supabase_storage_admin"}
API_ROLES = ["anon", "authenticated", "service_role"]
_STORAGE_TABLES = ("buckets", "objects")
_GRANTS = {
    "postgres": "SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRIGGER",
    **dict.fromkeys(API_ROLES, "SELECT, INSERT, UPDATE, DELETE"),
}


def open_database(attempts: Attempts, created: Sequence[str]) -> None:
    """Give the role `postgres`, where it is new, what it has on Supabase: it may create in the database."""
    if "postgres" in created:
        database = sql.Identifier(attempts.connection.info.dbname)
        attempts.attempt(sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO postgres").format(database))


def create_schemas(attempts: Attempts, section: Mapping[str, Any]) -> list[str]:
    """Make those of the three schemas that the backup refers to and the target lacks; returns their names.

    Args:
        section: the document's section `schema`.

    Raises:
        RebuildFailed, DatabaseUnavailable: the target refused.
    """
    rows = attempts.connection.execute("select nspname from pg_catalog.pg_namespace").fetchall()
    missing = [name for name in OWNERS if name not in {row[0] for row in rows} and _is_used(name, section)]
    for name in missing:
        attempts.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        _give_away(attempts, "SCHEMA", sql.Identifier(name), OWNERS[name])
        for role in _present(attempts, ["postgres", *API_ROLES]):
            attempts.attempt(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(*map(sql.Identifier, (name, role))))
    return missing


def fill_schemas(attempts: Attempts, section: Mapping[str, Any], created: Sequence[str]) -> None:
    """Fill the schemas just made: tables of auth as the document describes them, functions, tables of storage.

    Raises:
        RebuildFailed, DatabaseUnavailable: the target refused, or the description is malformed.
    """
    tables = _tables(section, created)
    for phase in (AuthTable.create, AuthTable.add_keys, AuthTable.add_details):
        for table in tables:
            phase(table, attempts)
    for name in ("auth", "storage"):
        if name in created:
            attempts.execute(_script(name), f"stand-in for schema {name}")
    if "storage" in created:
        _finish_storage(attempts)
    for table in tables:
        table.give_away(attempts)


def tie_schemas(attempts: Attempts, section: Mapping[str, Any], created: Sequence[str]) -> None:
    """Add the foreign keys of the tables made for auth: behind the rows, which are loaded in any order.

    Raises:
        RebuildFailed, DatabaseUnavailable: the rows do not hold to one, or the target refused.
    """
    for table in _tables(section, created):
        table.add_foreign_keys(attempts)


def _tables(section: Mapping[str, Any], created: Sequence[str]) -> list[AuthTable]:
    return [AuthTable(name, described) for name, described in section["tables"].items() if _schema(name) in created]


def _finish_storage(attempts: Attempts) -> None:
    for name in _STORAGE_TABLES:
        table = sql.Identifier("storage", name)
        for role in _present(attempts, list(_GRANTS)):
            attempts.attempt(
                sql.SQL("GRANT {} ON TABLE {} TO {}").format(sql.SQL(_GRANTS[role]), table, sql.Identifier(role))
            )
        _give_away(attempts, "TABLE", table, OWNERS["storage"])


def _give_away(attempts: Attempts, kind: str, name: sql.Identifier, owner: str) -> None:
    if _present(attempts, [owner]):
        attempts.attempt(
            sql.SQL("ALTER {} {} OWNER TO {}").format(sql.SQL(kind), name, sql.Identifier(owner)),
            besides=(pg.UndefinedObject,),
        )


def _present(attempts: Attempts, roles: Sequence[str]) -> list[str]:
    query = "select rolname from pg_catalog.pg_roles where rolname = any(%s)"
    found = {row[0] for row in attempts.connection.execute(query, (list(roles),)).fetchall()}
    return [role for role in roles if role in found]


def _is_used(name: str, section: Mapping[str, Any]) -> bool:
    """Whether the DDL mentions the schema, has an extension or a described table in it."""
    return (
        any(re.search(rf"\b{name}\.", text) for text in section["ddl"].values())
        or any(each["schema"] == name for each in section["extensions"])
        or any(_schema(table) == name for table in section["tables"])
    )


def _schema(table: str) -> str:
    """Of `auth.users` its schema, where it is one of ours; a name in the document is bare or `schema.name`."""
    schema, dot, _ = table.partition(".")
    return schema if dot and schema in OWNERS else ""


def _script(name: str) -> str:
    return (Path(__file__).resolve().parent / f"bootstrap_{name}.sql").read_text(encoding="utf-8")
