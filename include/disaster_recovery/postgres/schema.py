"""The schema section of a document: what the catalogs say, and the DDL that brings it back."""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from include.disaster_recovery.errors import DescriptionFailed
from include.disaster_recovery.model import TableName
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
PLATFORM_SCHEMAS = ["auth", "storage", "realtime"]  # Supabase's own, on which applications hang triggers and policies
PUBLICATION_DETAILS_SINCE = 150000  # column lists, row filters and whole schemas came with Postgres 15
_COLUMN_LIST = """coalesce((
    select ' (' || pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' order by a.attnum) || ')'
    from pg_catalog.pg_attribute as a where a.attrelid = r.prrelid and a.attnum = any(r.prattrs)), '')"""
_ROW_FILTER = "coalesce(' WHERE (' || pg_catalog.pg_get_expr(r.prqual, r.prrelid) || ')', '')"

_WHOLE_SCHEMAS = """(
    select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
        'schema', n.nspname,
        'covered', n.nspname = any(%(schemas)s),
        'definition', pg_catalog.format('ALTER PUBLICATION %%I ADD TABLES IN SCHEMA %%I', p.pubname, n.nspname)
    ) order by n.nspname), '[]')
    from pg_catalog.pg_publication_namespace as r
    join pg_catalog.pg_namespace as n on n.oid = r.pnnspid
    where r.pnpubid = p.oid)"""

_NO_DETAILS = ("''", "''", "'[]'::json")


def describe_catalogs(
    connection: Connection, schemas: Sequence[str], tables: Sequence[TableName] = (), *, with_migrations: bool = True
) -> dict[str, Any]:
    """Every section read from the catalogs, inside the caller's snapshot transaction.

    Args:
        schemas: the schemas covered.
        tables: tables of other schemas that are described as tables all the same (auth.users).
        with_migrations: also those that were applied, which is reading a table, not a catalog.

    Raises:
        DescriptionFailed: a catalog could not be read.
    """
    wanted = {
        "schemas": list(schemas),
        "platform": PLATFORM_SCHEMAS,
        "table_schemas": [table.schema_name for table in tables],
        "table_names": [table.table_name for table in tables],
    }
    described = {section: _section(connection, section, wanted) for section in SECTIONS}
    described["migrations"] = (
        _section(connection, "migrations", wanted) if with_migrations and _has_migrations(connection) else []
    )
    return described


def _has_migrations(connection: Connection) -> bool:
    with translated("description of migrations"):
        row = connection.execute(statement("has_migrations")).fetchone()
    return bool(row and row[0])


def describe_ddl(
    dump: PgDump, parameters: Mapping[str, str], catalogs: Mapping[str, Any], schemas: Sequence[str], snapshot_id: str
) -> dict[str, str]:
    """The DDL in three texts of plain SQL.

    `pre_data` and `post_data` are pg_dump's; `attached` is what the application hung on objects it does not own and
    pg_dump therefore leaves out: triggers on auth.users, policies on storage.objects, publications and memberships in
    them, default privileges of all schemas.

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
        statement
        for section in ("triggers", "rls_policies")
        for items in catalogs[section].values()
        for item in items
        if item["attached"]
        for statement in (item["definition"], *item["follow_up"])
    ]
    published = [line for publication in catalogs["publications"].values() for line in _published(publication)]
    defaults = [line for item in catalogs["default_privileges"] for line in item["definition"] or ()]
    return [*hung, *published, *defaults]


def _published(publication: Mapping[str, Any]) -> list[str]:
    members = [*publication["schemas"], *publication["tables"]]
    return [publication["definition"], *(member["definition"] for member in members if member["covered"])]


def _section(connection: Connection, section: str, wanted: Mapping[str, list[str]]) -> Any:
    query: sql.SQL | sql.Composed = sql.SQL(statement(f"describe_{section}"))
    if section == "publications":
        modern = connection.info.server_version >= PUBLICATION_DETAILS_SINCE
        columns, row_filter, schemas_too = (_COLUMN_LIST, _ROW_FILTER, _WHOLE_SCHEMAS) if modern else _NO_DETAILS
        query = sql.SQL(statement("describe_publications")).format(
            columns=sql.SQL(columns), filter=sql.SQL(row_filter), schemas=sql.SQL(schemas_too)
        )
    with translated(f"description of {section}"):
        row = connection.execute(query, wanted).fetchone()
    if row is None:
        raise DescriptionFailed(
            f"description of {section} is empty", hint="report this: the query always gives one row"
        )
    return row[0]
