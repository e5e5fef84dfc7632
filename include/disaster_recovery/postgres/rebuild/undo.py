"""What a rebuild changes that was there before it, and the statements that undo the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.rebuild.statements import rebuilding
from include.disaster_recovery.postgres.session import Connection

# Grants on schemas are revoked as their owner only by who is no member of a role that could have granted them.
_LEAVE_ROLE = """BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal}) THEN
        DROP OWNED BY {role};
        REVOKE {role} FROM CURRENT_USER;
    END IF;
END"""
# A role is of the whole server: another database may have begun to use it, then it stays.
_DROP_ROLE = """BEGIN
    DROP ROLE IF EXISTS {role};
EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE WARNING 'role % is used by another database and stays', {literal};
END"""


@dataclass(frozen=True, kw_only=True)
class SchemaState:
    """What can be changed of a schema that exists; `quoted` is its name as the server writes it."""

    owner: str
    comment: str | None
    grants: list[str] | None
    quoted: str

    def is_as(self, described: Mapping[str, Any]) -> bool:
        """Whether it is just as the backup has it."""
        wanted = (described["owner"], described["comment"], sorted(described["grants"] or []))
        return wanted == (self.owner, self.comment, sorted(self.grants or []))


def schema_states(connection: Connection) -> dict[str, SchemaState]:
    """Every schema of the database."""
    with rebuilding("list of schemas"):
        rows = connection.execute(statement("rebuild_schemas")).fetchall()
    return {
        str(name): SchemaState(owner=str(owner), comment=comment, grants=grants, quoted=str(quoted))  # type: ignore[arg-type]
        for name, owner, comment, grants, quoted in rows
    }


@dataclass(kw_only=True)
class Created:
    """What a rebuild has made so far, and what was there before; makes the undo log of it.

    Attributes:
        before: the schemas that existed.
        privileges: statements that put default privileges back.
        roles, schemas, extensions: created, in order.
        stand_ins: those of the schemas that stand in for Supabase's own.
    """

    before: dict[str, SchemaState]
    privileges: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    schemas: list[str] = field(default_factory=list)
    extensions: list[str] = field(default_factory=list)
    stand_ins: list[str] = field(default_factory=list)

    def undo(self, connection: Connection, covered: Sequence[str]) -> list[str]:
        """The statements that remove it all, in the order they are to be run; names are quoted by the server or libpq.

        Args:
            covered: the schemas the backup's DDL has filled.

        Raises:
            RebuildFailed, DatabaseUnavailable: a catalog could not be read.
        """
        kept = [name for name in covered if name in self.before]
        made = [*self.schemas, *(name for name in covered if name not in self.before and name not in self.schemas)]
        with rebuilding("the undo log"):
            objects = connection.execute(statement("rebuild_objects"), {"schemas": kept}).fetchall()
            return [
                *(str(drop) for _, _, drop in objects),
                *(_text(connection, "DROP EXTENSION IF EXISTS {}", name) for name in reversed(self.extensions)),
                *(_text(connection, "DROP SCHEMA IF EXISTS {} CASCADE", name) for name in reversed(made)),
                *(_do(connection, _LEAVE_ROLE, name) for name in reversed(self.roles)),
                *(line for name in kept for line in self._schema(connection, name)),
                *(_do(connection, _DROP_ROLE, name) for name in reversed(self.roles)),
                *self.privileges,
            ]

    def _schema(self, connection: Connection, name: str) -> list[str]:
        state = self.before[name]
        wanted = {"schema": name, "owner": state.owner, "comment": state.comment, "grants": state.grants}
        return [str(line) for (line,) in connection.execute(statement("rebuild_schema_undo"), wanted).fetchall()]


def neutral_default_privileges(connection: Connection, schemas: Sequence[str]) -> tuple[list[str], list[str]]:
    """Statements that take our role's default privileges away, and those that put them back.

    Without them new objects get the backup's grants alone.
    """
    with rebuilding("default privileges of the target"):
        rows = connection.execute(statement("rebuild_default_privileges"), {"schemas": list(schemas)}).fetchall()
    return [line for neutral, _ in rows for line in neutral], [line for _, restored in rows for line in restored]  # type: ignore[attr-defined]


def _text(connection: Connection, template: str, name: str) -> str:
    return sql.SQL(template).format(sql.Identifier(name)).as_string(connection)


def _do(connection: Connection, template: str, role: str) -> str:
    body = sql.SQL(template).format(role=sql.Identifier(role), literal=sql.Literal(role)).as_string(connection)
    return sql.SQL("DO {}").format(sql.Literal(body)).as_string(connection)
