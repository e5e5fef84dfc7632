"""Airflow connections as clients: of each one's extra, only an allow-list is used."""

import json
import logging
import os
from functools import cache

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk import BaseHook
from airflow.sdk import Connection as AirflowConnection
from botocore.config import Config

from include.disaster_recovery.errors import SettingsError
from include.disaster_recovery.postgres.session import Connection, connect
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings, load_settings

log = logging.getLogger(__name__)

SOURCE, STORE = "collabhunts_db", "collabhunts_s3"
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


class _AllowedExtraHook(S3Hook):
    """The provider's hook over a connection of which only the allow-list of extras is passed on."""

    @classmethod
    def get_connection(cls, conn_id: str) -> AirflowConnection:
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


def store() -> Store:
    """The bucket of the settings.

    Raises:
        SettingsError: the Airflow connection is missing.
    """
    wanted = settings().s3
    region = wanted.region or _connection(STORE).extra_dejson.get("region_name") or os.environ.get("AWS_REGION")
    hook = _AllowedExtraHook(aws_conn_id=STORE, region_name=region, config=AWS_CONFIG)
    return Store(
        client=hook.get_conn(),
        bucket=wanted.bucket,
        encryption=Encryption(algorithm=wanted.sse, kms_key_id=wanted.kms_key_id),
    )


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
