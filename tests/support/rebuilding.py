"""A schema rebuilt from a document's DDL in a database that has only what Supabase brings."""

from __future__ import annotations

from include.demo.database.builder import SQL_DIRECTORY
from include.demo.stack.postgres_server import PostgresServer
from include.disaster_recovery.postgres.session import Connection, connect

PLATFORM_FILES = ("05_database.sql", "10_extensions_schema.sql", "15_auth_schema.sql", "20_storage_schema.sql")


def platform(server: PostgresServer, name: str) -> Connection:
    """A fresh database with roles and stubs of Supabase's own schemas, and nothing of the application."""
    server.create_database(name)
    parameters = {"host": server.host, "port": str(server.port), "user": server.superuser, "password": server.password}
    connection = connect({**parameters, "dbname": name}, name="test", application="test")
    for file in PLATFORM_FILES:
        connection.execute((SQL_DIRECTORY / file).read_bytes())
    return connection


def rebuild(connection: Connection, ddl: dict[str, str]) -> None:
    for part in ("pre_data", "post_data", "attached"):
        connection.execute(ddl[part].encode())
    connection.execute("reset all")
