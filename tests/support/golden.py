"""The golden documents, and a place to restore them to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from include.demo.database.builder import ROLES_FILE, SQL_DIRECTORY
from include.demo.stack.postgres_server import PostgresServer
from tests.support.make_golden import table_contents
from tests.support.rebuilding import platform

FOLDER = Path(__file__).parents[1] / "golden"
DOCUMENTS = ("backup-v1.json", "backup-v1.json.gz", "backup-v1.json.zst")
KEY = "backups/collabhunts-backup-2025-12-07T18-33-07-123Z"


def stored(name: str) -> bytes:
    """The bytes of a golden document."""
    return (FOLDER / name).read_bytes()


def key_of(name: str) -> str:
    """The backup key that a golden document had."""
    return KEY + name.removeprefix("backup-v1")


def expected() -> dict[str, Any]:
    """What the documents hold, as Postgres' own text of each cell; see `make_golden`."""
    found: dict[str, Any] = json.loads((FOLDER / "backup-v1.expected.json").read_text(encoding="utf-8"))
    return found


@contextmanager
def new_project(server: PostgresServer, name: str) -> Iterator[str]:
    """A database like that of a new Supabase project, dropped in the end; its superuser's connection string."""
    with psycopg.connect(server.superuser_dsn("postgres"), autocommit=True) as connection:
        connection.execute((SQL_DIRECTORY / ROLES_FILE).read_bytes())
    try:
        platform(server, name).close()
        yield server.superuser_dsn(name)
    finally:
        server.drop_database(name)


def contents(dsn: str) -> dict[str, Any]:
    """The tables of the documents as they are in a database, in the form of `expected`."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return {name: table_contents(connection, *_parts(name)) for name in expected()}


def _parts(name: str) -> tuple[str, str]:
    schema, _, table = name.partition(".")
    return (schema, table) if schema in ("auth", "ledger") else ("public", name)
