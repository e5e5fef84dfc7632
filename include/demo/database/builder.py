"""Builds the CollabHunts database, a marketplace on Supabase, in an empty database of a fresh Postgres server.

The database is made by the files in ``sql/``, in the order of their numbers; psql runs them as well as this module.
Its rows follow from ``size`` alone: two databases of one size are equal, row by row.
"""

from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

SQL_DIRECTORY: Final = Path(__file__).parent / "sql"
ROLES_FILE: Final = "00_roles.sql"
OWNER: Final = "postgres"
SMALLEST_SIZE: Final = 0.01
LARGEST_SIZE: Final = 500.0
OLDEST_SERVER: Final = 140000


class DemoDatabaseError(Exception):
    """The server or the database is not one that CollabHunts can be built in; nothing was changed."""


def build_database(superuser_dsn: str, *, owner_password: str, size: float = 1.0) -> None:
    """Build CollabHunts in the empty database that ``superuser_dsn`` names.

    Roles belong to the server: they are created where missing, and the password of ``postgres`` is set anew each time.
    All else happens in one transaction.

    Args:
        superuser_dsn: a superuser's connection string; the superuser must not be ``postgres``, who owns the result.
        owner_password: the password ``postgres`` will log in with.
        size: how many rows, 0.01 to 500; 1 means about 65 000.

    Raises:
        ValueError: ``size`` is out of range or ``owner_password`` is empty.
        DemoDatabaseError: the server is older than 14, the login is no superuser, or the database is not empty UTF-8.
        psycopg.Error: the server could not be reached, or refused a statement; the database is still empty then.
    """
    if not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise ValueError(f"size is {size}; hint: {SMALLEST_SIZE} to {LARGEST_SIZE}")
    if not owner_password:
        raise ValueError("owner_password is empty; hint: postgres logs in with it")
    with psycopg.connect(superuser_dsn, autocommit=True, client_encoding="UTF8") as connection:
        _check_server(connection)
        _prepare_session(connection, size)
        _run(connection, SQL_DIRECTORY / ROLES_FILE)
        _set_owner_password(connection, owner_password)
        with connection.transaction():
            for file in sql_files():
                _run(connection, file)


def sql_files() -> list[Path]:
    """Return the files that make one database, in order; the roles, which belong to the server, come before them."""
    return sorted(file for file in SQL_DIRECTORY.glob("*.sql") if file.name != ROLES_FILE)


def _check_server(connection: psycopg.Connection) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise DemoDatabaseError(f"server version is {connection.info.server_version}; hint: Postgres 14 or newer")
    row = connection.execute(
        """
        select current_setting('is_superuser') = 'on' and session_user <> 'postgres',
          current_setting('server_encoding') = 'UTF8',
          not exists (select from pg_namespace where nspname in ('auth', 'storage', 'extensions', 'demo_build'))
            and not exists (select from pg_class where relnamespace = to_regnamespace('public'))
        """
    ).fetchone()
    is_superuser, is_utf8, is_empty = row or (False, False, False)
    if not is_superuser:
        raise DemoDatabaseError("login cannot build the demo; hint: a superuser that is not called postgres")
    if not is_utf8 or not is_empty:
        raise DemoDatabaseError(f"database {connection.info.dbname} is not empty, or not UTF8; hint: create another")


def _prepare_session(connection: psycopg.Connection, size: float) -> None:
    # Whatever the server, the database or the login sets by default must not change a single row.
    connection.execute(
        """
        select set_config('demo.size', %s, false), set_config('timezone', 'UTC', false),
          set_config('search_path', 'public', false), set_config('statement_timeout', '0', false),
          set_config('session_replication_role', 'origin', false)
        """,
        (format(size, "f"),),
    )


def _set_owner_password(connection: psycopg.Connection, password: str) -> None:
    # Only a digest is sent: servers write ALTER ROLE to their logs.
    digest = connection.pgconn.encrypt_password(password.encode(), OWNER.encode()).decode()
    command = sql.SQL("alter role {} password {}").format(sql.Identifier(OWNER), sql.Literal(digest))
    with connection.transaction():
        # As in 00_roles.sql: another builder may be changing the same role.
        connection.execute("lock table pg_catalog.pg_authid in share row exclusive mode")
        connection.execute(command)


def _run(connection: psycopg.Connection, file: Path) -> None:
    # Without parameters the whole file goes as one message, and a % in it is nothing special.
    connection.execute(file.read_bytes())
