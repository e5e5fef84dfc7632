"""A real Airflow over a CollabHunts database and a bucket, shared by the tests of one process."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.demo.database.builder import build_database
from include.demo.stack.airflow_client import FINAL_RUN_STATES, POLL_S, AirflowClient
from include.demo.stack.airflow_environment import database_file
from include.demo.stack.airflow_server import PROJECT, AirflowServer
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Store
from tests.support.receivers import Endpoint, Mailbox, http_endpoint, mail_server

DAG = "collabhunts_backup"
SHORT_DAG = "collabhunts_backup_short"
RESTORE_DAG = "collabhunts_restore"
VERIFY_DAG, DRILL_DAG = "collabhunts_verify", "collabhunts_drill"
RETENTION_DAG, WATCH_DAG = "collabhunts_retention", "collabhunts_watch"
SHORT_RESTORE_DAG = "collabhunts_restore_short"
DATABASE, RESTORED = "collabhunts_e2e", "collabhunts_e2e_restored"
RUN_SECONDS = 240.0
CANARY = f"row-canary-{secrets.token_hex(8)}"
BALLAST_ROWS = 500_000  # about 170 MB: long enough to catch an extract at work, large enough to be cut in two
SETTINGS: dict[str, Any] = {
    "tables": {"include": "all", "schemas": ["public"]},
    "extract": {"split_bytes": 83886080, "snapshot_start_seconds": 15},
    "alerts": {"smtp": {"to": ["ops@example.org"]}, "webhook": {"endpoint": "hooks/backups"}},
}
# Each table costs a backup a process, of about a second. The first run is of all tables; later ones need these:
FEW_TABLES = ("profiles", "messages", "backup_history")
FEW_TO_CATCH = (*FEW_TABLES, "ballast")  # one of them long enough to be caught at work
# What only costs time: up to 15 s until a time-out is noticed; the DAG files are read every minute, and do not change.
QUICK = {
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
}
BALLAST = """
create table ballast as
select i as id, repeat('ballast ', 20) as body, jsonb_build_object('n', i, 'canary', {canary}::text) as meta
from generate_series(1, {rows}) as i
"""
CANARY_MESSAGE = """
set session_replication_role = 'replica';
update public.messages set body = body || {canary} where sequence_number = (select min(sequence_number) from messages)
"""


@dataclass
class Platform:
    """Everything an end-to-end test talks to."""

    postgres: PostgresServer
    s3: S3Server
    store: Store
    airflow: AirflowServer
    mailbox: Mailbox
    webhook: Endpoint
    settings: Path
    password: str = field(repr=False)
    channel_secrets: tuple[str, str] = field(repr=False)

    @property
    def api(self) -> AirflowClient:
        return self.airflow.admin

    def sql(self, query: str, *values: Any, database: str = DATABASE) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.postgres.superuser_dsn(database), autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def run(self, dag_id: str, **conf: Any) -> tuple[str, str]:
        """Trigger a DAG and follow the run; returns its id and the state it ended in."""
        run_id = self.api.trigger(dag_id, conf)
        return run_id, self.finish(dag_id, run_id)

    def finish(self, dag_id: str, run_id: str) -> str:
        """Follow a run to its end by its state alone: to list its tasks each time takes the API server from them."""
        until = time.monotonic() + RUN_SECONDS
        while self.api.run_state(dag_id, run_id) not in FINAL_RUN_STATES and time.monotonic() < until:
            self.airflow.check()
            time.sleep(POLL_S)
        return self.api.wait_for_run(dag_id, run_id, timeout_s=0)

    def succeed(self, dag_id: str, run_id: str) -> None:
        """Follow a run to its success; else the failed tasks' logs say why not."""
        if self.finish(dag_id, run_id) != "success":
            failed = [task for task in self.api.task_instances(dag_id, run_id) if task.state == "failed"]
            logs = [
                self.api.task_log(dag_id, run_id, task.task_id, try_number=task.try_number, map_index=task.map_index)
                for task in failed
            ]
            raise AssertionError("\n\n".join([f"{dag_id} failed", *(log[-3000:] for log in logs)]))

    def states(self, dag_id: str, run_id: str) -> dict[str, str]:
        return {task.label: task.state for task in self.api.task_instances(dag_id, run_id)}

    def kill_task(self, dag_id: str, run_id: str, task_id: str, label: str = "") -> None:
        """SIGKILL the process of a running task, as the kernel does when memory runs out."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        running = [
            task["pid"]
            for task in self.api.api("GET", path, limit=100)["task_instances"]
            if task["task_id"] == task_id and task["state"] == "running" and label in (task["rendered_map_index"] or "")
        ]
        os.kill(running[0], signal.SIGKILL)

    def xcoms(self, dag_id: str, run_id: str) -> list[str]:
        """Every XCom of a run, as text."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        entries: list[dict[str, Any]] = []
        while page := self.api.api("GET", f"{path}/~/xcomEntries", limit=100, offset=len(entries))["xcom_entries"]:
            entries += page
        return [
            self.api.request(
                "GET",
                f"{path}/{entry['task_id']}/xcomEntries/{entry['key']}",
                map_index=entry["map_index"],
                stringify=True,
            ).text
            for entry in entries
        ]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api.api("GET", path)["value"]

    def logs(self) -> list[str]:
        return [file.read_text(errors="replace") for file in self.airflow.home.glob("logs/**/*.log")]

    def history(self, run_id: str) -> list[dict[str, Any]]:
        rows = self.sql(
            "select to_jsonb(h.*) from backup_history as h"
            " where components_backed_up -> 'run' ->> 'run_id' = %s order by created_at",
            run_id,
        )
        return [row[0] for row in rows]

    def secrets(self) -> list[str]:
        keys = [self.s3.identity(name).secret_key for name in ("admin", "writer")]
        return [self.password, self.postgres.password, *keys, *self.channel_secrets]

    def documents(self) -> list[str]:
        return self.store.keys("backups/collabhunts-backup-")

    @contextmanager
    def backing_up(self, *tables: str, **extract: Any) -> Iterator[None]:
        """Backups are of these tables alone."""
        every = self.sql(
            "select case schemaname when 'public' then '' else schemaname || '.' end || tablename from pg_tables"
            " where schemaname = 'public' or (schemaname, tablename) in (('auth', 'users'), ('auth', 'identities'))"
        )
        with self.excluding(*sorted({name for (name,) in every} - set(tables)), **extract):
            yield

    @contextmanager
    def excluding(self, *tables: str, **extract: Any) -> Iterator[None]:
        """Backups are without these tables. Each task reads the settings as it starts."""
        changed = {"tables": {"exclude": tables}, "extract": extract}
        write_settings(self.settings, {name: {**value, **changed.get(name, {})} for name, value in SETTINGS.items()})
        try:
            yield
        finally:
            write_settings(self.settings, SETTINGS)


def write_settings(file: Path, content: dict[str, Any]) -> None:
    """At once: a task may be reading them. JSON is YAML."""
    written = file.with_suffix(".written")
    written.write_text(json.dumps(content))
    written.replace(file)


def wait_for(what: str, look: Callable[[], Any], seconds: float = 60.0, every: float = 0.03) -> Any:
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, f"{what} did not happen within {seconds} s"
        time.sleep(every)
    return found


@pytest.fixture(scope="session")
def platform(
    postgres_server: PostgresServer, s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """Postgres, S3 and Airflow, once for all end-to-end tests; every DAG is paused at first."""
    folder, password = tmp_path_factory.mktemp("e2e"), "owner-" + secrets.token_hex(12)
    settings = folder / "settings.yaml"
    write_settings(settings, SETTINGS)
    login, token = ("backup", "mail-" + secrets.token_hex(12)), "token-" + secrets.token_hex(12)
    connections = {
        "AIRFLOW_CONN_COLLABHUNTS_DB": _database_connection(postgres_server, DATABASE, password),
        "AIRFLOW_CONN_COLLABHUNTS_RESTORE_DB": _database_connection(postgres_server, RESTORED, password),
        "AIRFLOW_CONN_COLLABHUNTS_DRILL_DB": _database_connection(postgres_server, "postgres", password),
        "AIRFLOW_CONN_COLLABHUNTS_S3": _store_connection(s3_server),
        "DISASTER_RECOVERY_CONFIG": str(settings),
    }
    store = Store(client=s3_server.client("admin"), bucket=s3_server.bucket)
    with mail_server(login) as mailbox, http_endpoint() as webhook:
        environment = {
            **QUICK,
            **connections,
            "AIRFLOW_CONN_COLLABHUNTS_SMTP": _mail_connection(mailbox, login),
            "AIRFLOW_CONN_COLLABHUNTS_WEBHOOK": _webhook_connection(webhook, token),
        }
        server = AirflowServer(home=folder / "airflow", dags=_dags(folder), environment=environment)
        with ThreadPoolExecutor() as pool:
            migrated = pool.submit(server.migrate)
            _build(postgres_server, password)
            migrated.result()
        shutil.copy(database_file(server.home), database_file(_lone_home(server)))
        with server as airflow:
            airflow.admin.wait_for_dag(DAG)
            channel_secrets = (login[1], token)
            yield Platform(
                postgres_server, s3_server, store, airflow, mailbox, webhook, settings, password, channel_secrets
            )


@pytest.fixture(scope="session")
def lone_airflow(platform: Platform) -> dict[str, str]:
    """The environment of `airflow dags test`, on a database of its own: the scheduler would join in."""
    other = AirflowServer(home=_lone_home(platform.airflow))
    lone = other._component("test", ()).env or {}
    other.close()
    own = {name: lone[name] for name in ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")}
    return {**os.environ, **(platform.airflow.process("scheduler").env or {}), **own}


@pytest.fixture(scope="session")
def first_run(platform: Platform) -> str:
    """The run that Airflow starts by itself when the DAG is unpaused."""
    platform.api.unpause(DAG)
    runs = wait_for(
        "the first run", lambda: platform.api.api("GET", f"/api/v2/dags/{DAG}/dagRuns")["dag_runs"], seconds=60
    )
    run_id = str(runs[0]["dag_run_id"])
    assert platform.finish(DAG, run_id) == "success"
    return run_id


@pytest.fixture(scope="session")
def key(platform: Platform, first_run: str) -> str:
    """The backup that restores are of."""
    (row,) = platform.history(first_run)
    platform.api.wait_for_dag(RESTORE_DAG)
    platform.api.unpause(RESTORE_DAG)
    return "backups/" + str(row["file_name"])


@pytest.fixture(scope="session")
def target(platform: Platform) -> str:
    """The database that `collabhunts_restore_db` names, empty until something is restored into it."""
    platform.postgres.create_database(RESTORED, owner="postgres")
    return RESTORED


@pytest.fixture
def few_tables(platform: Platform, first_run: str) -> Iterator[None]:
    """Backups of a few tables: of all of them there is one already."""
    with platform.backing_up(*FEW_TABLES):
        yield


@pytest.fixture
def few_to_catch(platform: Platform, first_run: str) -> Iterator[None]:
    """Backups of a few tables, one of them so large that a task can be caught at it."""
    with platform.backing_up(*FEW_TO_CATCH):
        yield


@dataclass(frozen=True)
class TimedOut:
    """A run whose time was up while it was at work; the documents before and after it."""

    run_id: str
    state: str
    documents: tuple[list[str], list[str]]


@pytest.fixture(scope="session")
def timed_out(platform: Platform, first_run: str) -> TimedOut:
    platform.api.wait_for_dag(SHORT_DAG)
    platform.api.unpause(SHORT_DAG)
    before = platform.documents()
    run_id, state = platform.run(SHORT_DAG)
    return TimedOut(run_id, state, (before, platform.documents()))


def _build(server: PostgresServer, password: str) -> None:
    server.create_database(DATABASE)
    build_database(server.superuser_dsn(DATABASE), owner_password=password, size=0.1)
    with psycopg.connect(server.superuser_dsn(DATABASE), autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL(BALLAST).format(canary=CANARY, rows=BALLAST_ROWS))
        connection.execute("alter table ballast owner to postgres")
        connection.execute(psycopg.sql.SQL(CANARY_MESSAGE).format(canary=CANARY))


def _lone_home(server: AirflowServer) -> Path:
    home = server.home.with_name("airflow-alone")
    home.mkdir(exist_ok=True)
    return home


def _dags(folder: Path) -> Path:
    """The real DAGs, and copies of two with a time-out so short that it always strikes."""
    dags = folder / "dags"
    dags.mkdir()
    for name in (DAG, RESTORE_DAG, VERIFY_DAG, DRILL_DAG, RETENTION_DAG, WATCH_DAG):
        shutil.copy(PROJECT / "dags" / f"{name}.py", dags)
    _copy(dags, DAG, SHORT_DAG, "dagrun_timeout=timedelta(hours=20)", "dagrun_timeout=timedelta(seconds=6)")
    unscheduled = (dags / f"{SHORT_DAG}.py").read_text()
    (dags / f"{SHORT_DAG}.py").write_text(
        unscheduled.replace('schedule=CronTriggerTimetable("0 0 * * *", timezone="UTC")', "schedule=None")
    )
    hours, seconds = "response_timeout=timedelta(hours=24)", "response_timeout=timedelta(seconds=5)"
    _copy(dags, RESTORE_DAG, SHORT_RESTORE_DAG, hours, seconds)
    return dags


def _copy(dags: Path, original: str, copy: str, timeout: str, shorter: str) -> None:
    text = (dags / f"{original}.py").read_text()
    own = f'\n    dag_id="{original}"'  # not that of a run it triggers
    assert text.count(timeout) == text.count(own) == 1
    text = text.replace(timeout, shorter).replace(own, f'\n    dag_id="{copy}"')
    (dags / f"{copy}.py").write_text(text)


def _database_connection(server: PostgresServer, database: str, password: str) -> str:
    fields = {"host": server.host, "port": server.port, "login": "postgres", "password": password, "schema": database}
    return json.dumps({"conn_type": "postgres", **fields, "extra": {"sslmode": "require"}})


def _store_connection(server: S3Server) -> str:
    identity = server.identity("writer")
    extra = {"region_name": server.region, "endpoint_url": server.endpoint_url}
    return json.dumps(
        {"conn_type": "aws", "login": identity.access_key, "password": identity.secret_key, "extra": extra}
    )


def _mail_connection(mailbox: Mailbox, login: tuple[str, str]) -> str:
    extra = {"from_email": "backup@example.org", "disable_ssl": True, "disable_tls": True}
    fields = {"host": mailbox.host, "port": mailbox.port, "login": login[0], "password": login[1]}
    return json.dumps({"conn_type": "smtp", **fields, "extra": extra})


def _webhook_connection(webhook: Endpoint, token: str) -> str:
    extra = {"Authorization": f"Bearer {token}"}
    return json.dumps({"conn_type": "http", "host": webhook.url, "extra": extra})
