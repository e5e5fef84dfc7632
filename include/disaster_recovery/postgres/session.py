"""Database sessions set up the way pg_dump sets up its own."""

from collections.abc import Mapping
from contextlib import suppress

import psycopg

from include.disaster_recovery.errors import DatabaseUnavailable, SettingsError
from include.disaster_recovery.postgres.errors import message
from include.disaster_recovery.postgres.queries import statement

Connection = psycopg.Connection[tuple[object, ...]]

CONNECT_DEFAULTS = {
    "connect_timeout": "20",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "client_encoding": "UTF8",
}
_REFUSED = {
    "password authentication failed": "mend login and password of the Airflow connection {name}",
    "does not exist": "mend the login or the database name (schema) of the Airflow connection {name}",
    "permission denied for database": "grant CONNECT on the database to the login of the Airflow connection {name}",
    "no pg_hba.conf entry": "the server allows no such login; try sslmode=require in the extra of connection {name}",
    "server does not support SSL": "check sslmode in the extra of the Airflow connection {name}",
}
# Of the server, of a role or a database; of Supabase's pooler.
_CROWDED = ("too many clients", "connection slots are reserved", "too many connections", "max client connections")
_NO_ROOM = "the server takes no more connections: end idle sessions (pg_stat_activity), or run fewer tasks at once"
_UNREACHED = "check host and port of the Airflow connection {name}, and that the server is up"


def connect(parameters: Mapping[str, str], *, name: str, application: str) -> Connection:
    """Open an autocommit session with pg_dump's session settings.

    Args:
        parameters: libpq connection parameters; they hold the password and are never printed.
        name: the Airflow connection they come from, for messages.
        application: shown in `pg_stat_activity`.

    Raises:
        SettingsError: the server refuses this login or knows no such database.
        DatabaseUnavailable: the server was not reached, or takes no login at the moment.
    """
    wanted = {**CONNECT_DEFAULTS, **parameters, "application_name": application}
    try:
        connection = psycopg.connect(**wanted, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]
        try:
            connection.execute(statement("session"))
            _notice_lost_client(connection)
        except BaseException:
            connection.close()
            raise
    except psycopg.Error as error:
        raise _unavailable(error, parameters, name) from None
    return connection


def _unavailable(error: psycopg.Error, parameters: Mapping[str, str], name: str) -> DatabaseUnavailable | SettingsError:
    # libpq lists every attempt (with TLS, without): the first line tells, the others repeat it.
    said = next(iter(str(error).strip().splitlines()), message(error)).removeprefix("connection failed: ")
    where = f"{parameters.get('host', 'localhost')}:{parameters.get('port', '5432')}/{parameters.get('dbname', '')}"
    fact = f"connection {name} to {where} failed: {said[:300]}"
    for text, hint in _REFUSED.items():
        if text in said:
            return SettingsError(fact, hint=hint.format(name=name))
    is_crowded = any(text in said.lower() for text in _CROWDED)
    return DatabaseUnavailable(fact, hint=_NO_ROOM if is_crowded else _UNREACHED.format(name=name))


def _notice_lost_client(connection: Connection) -> None:
    """Let the server end a long statement, and give up its locks, when its client is gone.

    Since Postgres 14, where the server's system can tell.
    """
    with suppress(psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedObject):
        connection.execute("set client_connection_check_interval = '5s'")
