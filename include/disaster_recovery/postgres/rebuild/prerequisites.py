"""What DDL takes for granted: the roles it names, the extensions it uses."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import errors as pg
from psycopg import sql

from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.rebuild.statements import Attempts, rebuilding
from include.disaster_recovery.postgres.session import Connection

INHERITANCE_OF_GRANTS_SINCE = 160000  # GRANT role … WITH INHERIT, SET
# of the document's description → CREATE ROLE; SUPERUSER is never among them, nor is LOGIN: a backup has no passwords
ATTRIBUTES = {
    "create_db": "CREATEDB",
    "create_role": "CREATEROLE",
    "replication": "REPLICATION",
    "bypass_rls": "BYPASSRLS",
}


def create_roles(attempts: Attempts, roles: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Create the roles of a backup that the server lacks, as far as ours may; returns their names.

    Raises:
        RebuildFailed, DatabaseUnavailable: a role was refused for another reason than privilege.
    """
    existing = _names(attempts.connection, "select rolname from pg_catalog.pg_roles")
    created = [name for name in roles if name not in existing and _create_role(attempts, name, roles[name])]
    present = existing | set(created)
    for name, role in roles.items():
        for group in role.get("member_of", ()):
            if {name, group} <= present and {name, group} & set(created):
                attempts.attempt(
                    sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(name)),
                    besides=(pg.InvalidGrantOperation,),
                )
    _join(attempts, created)
    if silent := [name for name in created if roles[name].get("login")]:
        attempts.skip(
            f"login of roles {', '.join(silent)}", "a backup holds no passwords; set one with LOGIN if needed"
        )
    return created


def _create_role(attempts: Attempts, name: str, role: Mapping[str, Any]) -> bool:
    inherit = sql.SQL("INHERIT" if role.get("inherit") else "NOINHERIT")
    create = sql.SQL("CREATE ROLE {} WITH NOLOGIN {}").format(sql.Identifier(name), inherit)
    if not attempts.attempt(create, besides=(pg.ReservedName,)):
        return False
    for key, attribute in ATTRIBUTES.items():
        if role.get(key):
            attempts.attempt(sql.SQL("ALTER ROLE {} {}").format(sql.Identifier(name), sql.SQL(attribute)))
    if role.get("superuser"):
        attempts.skip(f"SUPERUSER of role {name}", "a restore makes nobody superuser")
    return True


def _join(attempts: Attempts, created: Sequence[str]) -> None:
    """Join the created roles: only so may another than a superuser give objects to them, and fill these."""
    row = attempts.connection.execute("select current_setting('is_superuser') = 'on'").fetchone()
    if row and row[0]:
        return
    modern = attempts.connection.info.server_version >= INHERITANCE_OF_GRANTS_SINCE
    how = " WITH INHERIT TRUE, SET TRUE" if modern else ""
    for name in created:
        attempts.attempt(
            sql.SQL("GRANT {} TO CURRENT_USER" + how).format(sql.Identifier(name)), besides=(pg.InvalidGrantOperation,)
        )


def create_extensions(attempts: Attempts, extensions: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Create extensions where the backup has them, as far as this server knows them; unknown ones go on the list.

    Returns: the extensions and the schemas created.

    Raises:
        RebuildFailed, DatabaseUnavailable: one was refused for another reason than privilege.
    """
    installed = _names(attempts.connection, "select extname from pg_catalog.pg_extension")
    wanted = {str(each["name"]): each for each in extensions if each["name"] not in installed}
    created: list[str] = []
    schemas: list[str] = []
    needs = _requirements(attempts.connection)
    for name in _in_order(wanted, needs):
        if name not in needs:
            attempts.skip(f"extension {name}", "not available on this server")
        elif _create_extension(attempts, wanted[name], schemas):
            created.append(name)
    return created, schemas


def missing_extensions(connection: Connection, wanted: Sequence[str]) -> list[str]:
    """Those that are not available on this server.

    Raises:
        RebuildFailed, DatabaseUnavailable: the server refused to tell.
    """
    available = _requirements(connection)
    return [name for name in wanted if name not in available]


def _requirements(connection: Connection) -> dict[str, list[str]]:
    """Every extension available, and what it requires."""
    with rebuilding("available extensions"):
        rows = connection.execute(statement("rebuild_extensions")).fetchall()
    return {str(name): requires for name, requires in rows}  # type: ignore[misc]


def _in_order(wanted: Mapping[str, object], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Those wanted, each behind what it requires."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        for required in needs.get(name, ()):
            visit(required)
        if name in wanted and name not in ordered:
            ordered.append(name)

    for name in wanted:
        visit(name)
    return ordered


def _create_extension(attempts: Attempts, extension: Mapping[str, Any], schemas: list[str]) -> bool:
    name, schema = sql.Identifier(extension["name"]), str(extension["schema"])
    create = sql.SQL("CREATE EXTENSION IF NOT EXISTS {} WITH SCHEMA {}").format(name, sql.Identifier(schema))
    if schema not in _names(attempts.connection, "select nspname from pg_catalog.pg_namespace"):
        if not attempts.attempt(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema))):
            return False
        schemas.append(schema)
    # besides: one that must be preloaded, whose schema is fixed, or that requires another one
    besides = (pg.FeatureNotSupported, pg.ObjectNotInPrerequisiteState, pg.InternalError_, pg.UndefinedObject)
    return attempts.attempt(create, besides=besides)


def _names(connection: Connection, query: str) -> set[str]:
    with rebuilding("what the target has"):
        return {str(row[0]) for row in connection.execute(query.encode()).fetchall()}
