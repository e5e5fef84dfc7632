"""Airflow connections as clients: of each one's extra, only an allow-list is used."""

import json
import logging
import os
from functools import cache
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseHook
from airflow.sdk import Connection as AirflowConnection
from botocore.config import Config

from include.disaster_recovery.errors import DatabaseUnavailable, SettingsError
from include.disaster_recovery.postgres.identity import database_identity
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Purpose, Settings, load_settings
from include.disaster_recovery.signing import Keyring, SigningKey, signing_key

log = logging.getLogger(__name__)

SOURCE, STORE, DRILL = "collabhunts_db", "collabhunts_s3", "collabhunts_drill_db"
DAG_PREFIX, RUNNING_DAG = "collabhunts_", "AIRFLOW_CTX_DAG_ID"  # which Airflow sets in the process of a task
POSTGRES_TYPES = {"postgres", "postgresql"}
LIBPQ_EXTRA = {
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "channel_binding",
    "connect_timeout",
    "hostaddr",
    "options",
    "target_session_attrs",
}
AWS_EXTRA = {"region_name", "endpoint_url", "role_arn"}
# `standard` retries with back-off; v4 signatures are what every server takes, also for presigned URLs.
AWS_CONFIG = Config(
    signature_version="s3v4",
    retries={"mode": "standard", "max_attempts": 6},
    connect_timeout=20,
    read_timeout=120,
    max_pool_connections=16,
)


@cache
def settings() -> Settings:
    """The settings, read once per process.

    Raises:
        SettingsError: they are wrong.
    """
    return load_settings()


def source_parameters() -> dict[str, str]:
    """Libpq parameters of the source database.

    Raises:
        SettingsError: the Airflow connection is missing.
    """
    return libpq_parameters(_connection(SOURCE))


def libpq_parameters(connection: AirflowConnection) -> dict[str, str]:
    """An Airflow connection as libpq parameters; of its extra only what is listed above."""
    named = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
    }
    extra = {name: value for name, value in connection.extra_dejson.items() if name in LIBPQ_EXTRA}
    return {name: str(value) for name, value in {**extra, **named}.items() if value not in (None, "")}


def source() -> Connection:
    """A session on the source database.

    Raises:
        SettingsError, DatabaseUnavailable: the connection is missing, or refused.
    """
    return connect(source_parameters(), name=SOURCE, application="collabhunts_backup")


def target(conn_id: str, database: str | None = None) -> Connection:
    """A session on the database to restore into: the connection's own, or another one of its server.

    Raises:
        SettingsError, DatabaseUnavailable: the connection is missing, of another type, or refused.
    """
    return connect(_target_parameters(conn_id, database), name=conn_id, application="collabhunts_restore")


def target_text(conn_id: str, database: str | None = None) -> str:
    """host:port/database of a target, for people.

    Raises:
        SettingsError: the Airflow connection is missing, or of another type.
    """
    named = _target_parameters(conn_id, database)
    return f"{named.get('host', 'localhost')}:{named.get('port', '5432')}/{named.get('dbname', '')}"


def is_source(connection: Connection, conn_id: str) -> bool:
    """Whether the target's session is in the source database. A source that cannot be reached is not the target.

    Raises:
        DatabaseUnavailable: the session was lost.
    """
    if conn_id == SOURCE:
        return True
    found = database_identity(connection)
    try:
        with source() as other:
            return database_identity(other) == found
    except (SettingsError, DatabaseUnavailable) as error:
        log.warning("the target is not the source database, which is out of reach: %s", error.fact)
        return False


def _target_parameters(conn_id: str, database: str | None) -> dict[str, str]:
    try:
        connection = _connection(conn_id)
    except SettingsError as error:
        raise SettingsError(f"target_conn_id is {conn_id}: {error.fact}", hint=error.hint) from None
    if connection.conn_type not in POSTGRES_TYPES:
        raise SettingsError(
            f"target_conn_id is {conn_id}: that Airflow connection is of type {connection.conn_type}",
            hint="name a connection of type postgres",
        )
    return {**libpq_parameters(connection), **({"dbname": database} if database else {})}


class AllowedExtra:
    """Mixed into the provider's hooks: of a connection's extra only the allow-list is passed on."""

    @classmethod
    def get_connection(cls, conn_id: str) -> AirflowConnection:
        """The connection, without what is not listed above."""
        connection = _connection(conn_id)
        extra = connection.extra_dejson
        if ignored := sorted(set(extra) - AWS_EXTRA):
            log.warning("connection %s: extra %s is not used", conn_id, ", ".join(ignored))
        kept = {name: value for name, value in extra.items() if name in AWS_EXTRA}
        return AirflowConnection(
            conn_id=conn_id,
            conn_type="aws",
            login=connection.login,
            password=connection.password,
            extra=json.dumps(kept),
        )

    def _get_caller(self, target_function_name: str = "execute") -> str:  # noqa: ARG002 - the provider's signature
        """What the user agent says; to find it on the stack, as the provider does, costs a task 0.1 s and more."""
        return "collabhunts-disaster-recovery"


class _AllowedExtraHook(AllowedExtra, S3Hook):
    """The provider's hook for S3."""


def region_of(conn_id: str, wanted: str | None) -> str | None:
    """The region of the settings, else the connection's, else `AWS_REGION`.

    Raises:
        SettingsError: the Airflow connection is missing.
    """
    return wanted or _connection(conn_id).extra_dejson.get("region_name") or os.environ.get("AWS_REGION")


def store_connection(purpose: Purpose | None = None) -> str:
    """The Airflow connection for the bucket: what the settings name for this purpose, else `collabhunts_s3`.

    The purpose is that of the running DAG unless given. Callbacks that the dag-processor runs have none.
    """
    asked: Any = purpose or os.environ.get(RUNNING_DAG, "").removeprefix(DAG_PREFIX)
    return settings().s3.connections.get(asked, STORE)


def store(config: Config = AWS_CONFIG, purpose: Purpose | None = None) -> Store:
    """The bucket of the settings.

    Args:
        config: how patient the client is.
        purpose: whose identity is used; by default that of the running DAG.

    Raises:
        SettingsError: the Airflow connection is missing.
    """
    wanted, chosen = settings().s3, store_connection(purpose)
    hook = _AllowedExtraHook(aws_conn_id=chosen, region_name=region_of(chosen, wanted.region), config=config)
    return Store(
        client=hook.get_conn(),
        bucket=wanted.bucket,
        encryption=Encryption(algorithm=wanted.sse, kms_key_id=wanted.kms_key_id),
        keyring=cache(keyring),
    )


def keyring() -> Keyring:
    """The signing keys of the settings.

    Raises:
        SettingsError: an Airflow connection is missing, or holds no signing key.
    """
    wanted = settings().signing
    return Keyring(
        signer=_signing_key(wanted.conn_id) if wanted.conn_id else None,
        accepted=tuple(_signing_key(each) for each in wanted.accepted_conn_ids),
        unsigned_before=wanted.unsigned_before,
    )


def _signing_key(conn_id: str) -> SigningKey:
    connection = _connection(conn_id)
    return signing_key(conn_id, connection.login, connection.password)


def _connection(conn_id: str) -> AirflowConnection:
    try:
        return BaseHook.get_connection(conn_id)
    except Exception as error:
        if "NotFound" not in type(error).__name__ and "isn't defined" not in str(error):
            raise
        raise SettingsError(
            f"Airflow connection {conn_id} is missing",
            hint=f"create it under Admin > Connections, or set AIRFLOW_CONN_{conn_id.upper()}",
        ) from None
