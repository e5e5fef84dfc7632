"""Airflow connections of the embedded servers, as the JSON that AIRFLOW_CONN_* variables take."""

from __future__ import annotations

import json

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server


def postgres_connection(server: PostgresServer, *, database: str, user: str, password: str) -> str:
    """JSON of a connection to `database` as `user`; it asks for TLS where the server has it. Holds the password."""
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": server.host,
            "port": server.port,
            "schema": database,
            "login": user,
            "password": password,
            "extra": {"sslmode": "require"} if server.tls else {},
        }
    )


def s3_connection(server: S3Server, identity: str = "writer") -> str:
    """JSON of a connection with the keys of `identity`. Holds the secret key."""
    keys = server.identity(identity)
    return json.dumps(
        {
            "conn_type": "aws",
            "login": keys.access_key,
            "password": keys.secret_key,
            "extra": {"region_name": server.region, "endpoint_url": server.endpoint_url},
        }
    )
