"""The schema section of a document: what the catalogs say, and the DDL that brings it back."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from include.disaster_recovery.errors import DescriptionFailed
from include.disaster_recovery.postgres.errors import translated
from include.disaster_recovery.postgres.pg_dump import PgDump, dump_section
from include.disaster_recovery.postgres.queries import statement
from include.disaster_recovery.postgres.session import Connection

SECTIONS = (
    "enums",
    "types",
    "functions",
    "triggers",
    "rls_policies",
    "tables",
    "views",
    "sequences",
    "extensions",
    "publications",
    "default_privileges",
    "schemas",
    "roles",
)
PUBLICATION_DETAILS_SINCE = 150000  # column lists and row filters came with Postgres 15
_COLUMN_LIST = """coalesce((
    select ' (' || pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum) || ')'
    from pg_catalog.pg_attribute as a where a.attrelid = r.prrelid and a.attnum = any(r.prattrs)), '')"""
_ROW_FILTER = "coalesce(' WHERE (' || pg_catalog.pg_get_expr(r.prqual, r.prrelid) || ')', '')"


def describe_catalogs(connection: Connection, schemas: Sequence[str]) -> dict[str, Any]:
    """Every section read from the catalogs, inside the caller's snapshot transaction.

    Raises:
        DescriptionFailed: a catalog could not be read.
    """
    described = {section: _section(connection, section, schemas) for section in SECTIONS}
    has_migrations = connection.execute(statement("has_migrations")).fetchone()
    described["migrations"] = (
        _section(connection, "migrations", schemas) if has_migrations and has_migrations[0] else []
    )
    return described


def describe_ddl(
    dump: PgDump, parameters: Mapping[str, str], catalogs: Mapping[str, Any], schemas: Sequence[str], snapshot_id: str
) -> dict[str, str]:
    """The DDL in three texts of plain SQL.

    `pre_data` and `post_data` are pg_dump's; `attached` is what the application hung on objects it does not own and
    pg_dump therefore leaves out: triggers on auth.users, policies on storage.objects, memberships in publications.

    Raises:
        DescriptionFailed: pg_dump failed.
    """
    common: dict[str, Any] = {"schemas": schemas, "snapshot_id": snapshot_id}
    return {
        "pre_data": dump_section(dump, parameters, section="pre-data", **common),
        "post_data": dump_section(dump, parameters, section="post-data", **common),
        "attached": "".join(f"{line};\n" for line in attached_statements(catalogs)),
    }


def attached_statements(catalogs: Mapping[str, Any]) -> list[str]:
    """The statements of `attached`, in an order that works."""
    hung = [
        item["definition"]
        for section in ("triggers", "rls_policies")
        for items in catalogs[section].values()
        for item in items
        if item["attached"]
    ]
    memberships = [t["definition"] for publication in catalogs["publications"].values() for t in publication["tables"]]
    return [*hung, *memberships]


def _section(connection: Connection, section: str, schemas: Sequence[str]) -> Any:
    query: sql.SQL | sql.Composed = sql.SQL(statement(f"describe_{section}"))
    if section == "publications":
        modern = connection.info.server_version >= PUBLICATION_DETAILS_SINCE
        columns, row_filter = (_COLUMN_LIST, _ROW_FILTER) if modern else ("''", "''")
        query = sql.SQL(statement("describe_publications")).format(columns=sql.SQL(columns), filter=sql.SQL(row_filter))
    with translated(f"description of {section}"):
        row = connection.execute(query, {"schemas": list(schemas)}).fetchone()
    if row is None:
        raise DescriptionFailed(
            f"description of {section} is empty", hint="report this: the query always gives one row"
        )
    return row[0]
