"""A real Airflow over a CollabHunts database and a bucket, shared by the tests of one process."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.demo.database.builder import build_database
from include.demo.stack.airflow_client import AirflowClient
from include.demo.stack.airflow_server import PROJECT, AirflowServer
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Store

DAG = "collabhunts_backup"
SHORT_DAG = "collabhunts_backup_short"
DATABASE = "collabhunts_e2e"
CANARY = f"row-canary-{secrets.token_hex(8)}"
BALLAST_ROWS = 900_000  # about 300 MB: long enough to catch an extract at work, large enough to be cut in two
SETTINGS = """
tables: {include: all, schemas: [public]}
extract: {split_bytes: 134217728, snapshot_start_seconds: 15}
"""
BALLAST = """
create table ballast as
select i as id, repeat('ballast ', 20) as body, jsonb_build_object('n', i, 'canary', {canary}::text) as meta
from generate_series(1, {rows}) as i
"""


@dataclass
class Platform:
    """Everything an end-to-end test talks to."""

    postgres: PostgresServer
    s3: S3Server
    store: Store
    airflow: AirflowServer
    password: str = field(repr=False)

    @property
    def api(self) -> AirflowClient:
        return self.airflow.admin

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.superuser_dsn(DATABASE), autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def history(self, run_id: str) -> list[dict[str, Any]]:
        rows = self.sql(
            "select to_jsonb(h.*) from backup_history as h"
            " where components_backed_up -> 'run' ->> 'run_id' = %s order by created_at",
            run_id,
        )
        return [row[0] for row in rows]

    def secrets(self) -> list[str]:
        keys = [self.s3.identity(name).secret_key for name in ("admin", "writer")]
        return [self.password, self.postgres.password, *keys]

    def documents(self) -> list[str]:
        return self.store.keys("backups/")


@pytest.fixture(scope="module")
def platform(
    postgres_server: PostgresServer, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """Postgres, S3 and Airflow; the backup DAG is unpaused and its first, scheduled run has ended."""
    folder, password = tmp_path_factory.mktemp("e2e"), "owner-" + secrets.token_hex(12)
    _build(postgres_server, password)
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS)
    environment = {
        "AIRFLOW_CONN_COLLABHUNTS_DB": _database_connection(postgres_server, password),
        "AIRFLOW_CONN_COLLABHUNTS_S3": _store_connection(s3_server),
        "DISASTER_RECOVERY_CONFIG": str(settings),
    }
    store = Store(client=s3_server.client("admin"), bucket=s3_server.bucket)
    with AirflowServer(home=folder / "airflow", dags=_dags(folder), environment=environment) as airflow:
        airflow.admin.wait_for_dag(DAG)
        yield Platform(postgres_server, s3_server, store, airflow, password)


def _build(server: PostgresServer, password: str) -> None:
    server.create_database(DATABASE)
    build_database(server.superuser_dsn(DATABASE), owner_password=password, size=0.1)
    with psycopg.connect(server.superuser_dsn(DATABASE), autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL(BALLAST).format(canary=CANARY, rows=BALLAST_ROWS))
        connection.execute("alter table ballast owner to postgres")


def _dags(folder: Path) -> Path:
    """The real DAG, and the same file with a run time-out so short that it always strikes."""
    dags, source = folder / "dags", PROJECT / "dags" / f"{DAG}.py"
    dags.mkdir()
    shutil.copy(source, dags)
    text = source.read_text()
    assert text.count("dagrun_timeout=timedelta(hours=20)") == text.count(f'dag_id="{DAG}"') == 1
    short = text.replace("dagrun_timeout=timedelta(hours=20)", "dagrun_timeout=timedelta(seconds=6)")
    short = short.replace(f'dag_id="{DAG}"', f'dag_id="{SHORT_DAG}"')
    (dags / f"{SHORT_DAG}.py").write_text(
        short.replace('schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC")', "schedule=None")
    )
    return dags


def _database_connection(server: PostgresServer, password: str) -> str:
    fields = {"host": server.host, "port": server.port, "login": "postgres", "password": password, "schema": DATABASE}
    return json.dumps({"conn_type": "postgres", **fields, "extra": {"sslmode": "require"}})


def _store_connection(server: S3Server) -> str:
    identity = server.identity("writer")
    extra = {"region_name": server.region, "endpoint_url": server.endpoint_url}
    return json.dumps(
        {"conn_type": "aws", "login": identity.access_key, "password": identity.secret_key, "extra": extra}
    )
