"""Airflow with two Celery workers, as if on machines of their own, over a source, a bucket and a server to restore on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.demo.database.builder import build_database
from include.demo.stack.airflow_client import FINAL_RUN_STATES, AirflowClient
from include.demo.stack.airflow_server import PROJECT, AirflowServer
from include.demo.stack.celery_servers import DATABASE as METADATA
from include.demo.stack.connections import postgres_connection
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.stack import OWNER, Stack
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import load_settings
from tests.support.rig import Rig
from tests.support.site import rig_of

BACKUP, DRILL, RESTORE = "collabhunts_backup", "collabhunts_drill", "collabhunts_restore"
RESTORED = "collabhunts_restored"
POOL, POOL_SLOTS = "collabhunts_source", 4
PARALLELISM = 4  # two tasks a worker: the holder of the snapshot and three extracts need both
RUN_SECONDS = 120.0
# Each costs a backup and a restore a process of about a second. What they refer to is among them.
TABLES = ("profiles", "notifications", "ballast", "backup_history")
# One that takes a second or so: a task is caught at it, and not before.
BALLAST = """
create table ballast as
select i as id, repeat('ballast ', 20) as body, jsonb_build_object('n', i) as meta from generate_series(1, 100000) as i;
alter table ballast add primary key (id);
alter table ballast owner to postgres
"""
SETTINGS: dict[str, Any] = {
    "tables": {"include": TABLES},
    "extract": {"snapshot_start_seconds": 15},
}
# What only bounds how long a death goes unnoticed, in seconds: by default it is five minutes, and ten.
ATTENTIVE = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "8",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "1",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "12",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "6",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",  # the DAG files do not change
}
# An administrator's own file, which has taken over the preload: tries follow each other at once.
LOCAL_SETTINGS = """
from datetime import timedelta

from include.disaster_recovery.runtime.preload import preload

__all__ = ["task_policy"]


def task_policy(task):
    task.retry_delay, task.retry_exponential_backoff = timedelta(seconds=1), 0


preload()
"""


@dataclass
class Cluster:
    """Everything a test of many workers talks to; `rig` is the same source, bucket and settings, without Airflow."""

    stack: Stack
    target: PostgresServer
    rig: Rig
    settings: Path

    @property
    def airflow(self) -> AirflowServer:
        return self.stack.airflow

    @property
    def api(self) -> AirflowClient:
        return self.stack.airflow.admin

    @property
    def store(self) -> Store:
        return self.rig.store

    def source_sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Run as the superuser of the source."""
        with psycopg.connect(self.stack.postgres.superuser_dsn(self.stack.database), autocommit=True) as connection:
            cursor = connection.execute(query, values or None)
            return cursor.fetchall() if cursor.description else []

    def tasks(self, run_id: str, dag_id: str = BACKUP) -> list[dict[str, Any]]:
        """The task instances of a run, from Airflow's database: asked every few milliseconds, the API would be busy."""
        query = "select * from task_instance where dag_id = %s and run_id = %s"
        with psycopg.connect(self.airflow.celery.metadata.superuser_dsn(METADATA)) as connection:
            return connection.cursor(row_factory=dict_row).execute(query, (dag_id, run_id)).fetchall()

    def workers_of(self, run_id: str, dag_id: str) -> dict[str, set[str]]:
        """Worker -> tasks that it has ended in success."""
        ran: dict[str, set[str]] = {name: set() for name in self.airflow.celery.names}
        for task in self.tasks(run_id, dag_id):
            if task["state"] == "success":
                ran[task["hostname"]].add(task["task_id"])
        return ran

    def run(self, dag_id: str, **conf: Any) -> str:
        """Trigger a DAG and follow the run to its success; returns its id."""
        run_id = self.api.trigger(dag_id, conf)
        self.succeed(dag_id, run_id)
        return run_id

    def finish(self, dag_id: str, run_id: str, seconds: float = RUN_SECONDS) -> str:
        """Follow a run to its end, whichever component is down meanwhile."""
        until = time.monotonic() + seconds
        while (state := self.run_state(dag_id, run_id)) not in FINAL_RUN_STATES:
            assert time.monotonic() < until, f"{run_id} is {state} after {seconds:g} s: {self.states(dag_id, run_id)}"
            time.sleep(0.3)
        return state

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run, as Airflow's database has it."""
        query = "select state from dag_run where dag_id = %s and run_id = %s"
        with psycopg.connect(self.airflow.celery.metadata.superuser_dsn(METADATA)) as connection:
            ((state,),) = connection.execute(query, (dag_id, run_id)).fetchall()
        return str(state)

    def settle(self, dag_id: str, seconds: float = RUN_SECONDS) -> None:
        """Wait until no run of the DAG is under way, nor about to be."""
        query = "select run_id from dag_run where dag_id = %s and state in ('queued', 'running')"
        with psycopg.connect(self.airflow.celery.metadata.superuser_dsn(METADATA), autocommit=True) as connection:
            until = time.monotonic() + seconds
            while open_ := connection.execute(query, (dag_id,)).fetchall():
                states = [self.states(dag_id, run_id) for (run_id,) in open_]
                assert time.monotonic() < until, f"{dag_id} is not settled after {seconds:g} s: {states}"
                time.sleep(0.3)

    def first_backup(self) -> str:
        """The key of the backup that Airflow takes by itself once the DAG is unpaused."""
        self.api.unpause(BACKUP)
        run_id = self.first_run(BACKUP)
        self.succeed(BACKUP, run_id)
        return f"backups/{self.history(run_id)['file_name']}"

    def first_restore(self, key: str) -> None:
        """Rebuild and fill the target, unless it was done before."""
        self.api.unpause(RESTORE)
        with psycopg.connect(self.target.superuser_dsn(RESTORED)) as connection:
            is_empty = connection.execute("select to_regclass('public.profiles') is null").fetchone() == (True,)
        if is_empty:
            self.run(RESTORE, backup_key=key, restore_schema=True)

    def history(self, run_id: str) -> dict[str, Any]:
        """The row of `backup_history` that a run has left."""
        query = "select to_jsonb(h) from backup_history as h where components_backed_up -> 'run' ->> 'run_id' = %s"
        ((row,),) = self.source_sql(query, run_id)
        return dict(row)

    def succeed(self, dag_id: str, run_id: str) -> None:
        """Follow a run to its success; else the logs of its failed tasks say why not."""
        if self.finish(dag_id, run_id) != "success":
            failed = {task["task_id"] for task in self.tasks(run_id, dag_id) if task["state"] == "failed"}
            folders = self.airflow.home.glob(f"celery/*/logs/dag_id={dag_id}/run_id={run_id}/task_id=*")
            files = [file for folder in folders if folder.name[8:] in failed for file in folder.rglob("*.log")]
            told = [f"{file.relative_to(self.airflow.home)}: {file.read_text()[-3000:]}" for file in files]
            raise AssertionError("\n\n".join([str(self.states(dag_id, run_id)), *told]))

    def states(self, dag_id: str, run_id: str) -> list[tuple[str, int, str, int, str]]:
        """What to look at when a run is not as expected."""
        named = ("task_id", "map_index", "state", "try_number", "hostname")
        return sorted(tuple(task[name] for name in named) for task in self.tasks(run_id, dag_id))

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        """Have no run of the DAG started, or have them started again."""
        self.api.api("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": paused})

    def first_run(self, dag_id: str) -> str:
        """The id of the first run that Airflow has started by itself."""
        path = f"/api/v2/dags/{dag_id}/dagRuns"
        runs = wait_for(f"a run of {dag_id}", lambda: self.api.api("GET", path, order_by="run_after")["dag_runs"])
        return str(runs[0]["dag_run_id"])


def wait_for(what: str, look: Callable[[], Any], seconds: float = 60.0, every: float = 0.05) -> Any:
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, f"{what} did not happen within {seconds:g} s"
        time.sleep(every)
    return found


def write_settings(file: Path, content: Mapping[str, Any]) -> None:
    """At once: a task may be reading them. JSON is YAML."""
    written = file.with_suffix(".written")
    written.write_text(json.dumps(content))
    written.replace(file)


@contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """Start everything below `folder`; all DAGs are paused, the pool of the source exists."""
    folder.mkdir(parents=True, exist_ok=True)
    settings, made = folder / "settings.yaml", list[Cluster]()
    write_settings(settings, SETTINGS)
    (folder / "python").mkdir()
    (folder / "python" / "airflow_local_settings.py").write_text(LOCAL_SETTINGS)
    environment = {**ATTENTIVE, "PYTHONPATH": os.pathsep.join([str(folder / "python"), str(PROJECT)])}
    target = PostgresServer(folder=folder / "target", durable=False)

    def prepare(stack: Stack) -> dict[str, str]:
        build_database(stack.postgres.superuser_dsn(stack.database), owner_password=stack.owner_password, size=0.1)
        made.append(Cluster(stack, target, rig_of(stack, load_settings(settings)), settings))
        made[0].source_sql(BALLAST)
        target.start().ensure_role(OWNER, stack.owner_password)
        target.create_database(RESTORED, owner=OWNER)
        return {
            "AIRFLOW_CONN_COLLABHUNTS_RESTORE_DB": _connection(target, stack, RESTORED),
            "AIRFLOW_CONN_COLLABHUNTS_DRILL_DB": _connection(target, stack, "postgres"),
            "DISASTER_RECOVERY_CONFIG": str(settings),
            "DISASTER_RECOVERY_SOURCE_POOL": POOL,
        }

    try:
        with Stack(
            folder=folder / "stack",
            prepare=prepare,
            keep=False,
            durable=False,
            workers=2,
            parallelism=PARALLELISM,
            environment=environment,
        ) as stack:
            pool = {"name": POOL, "slots": POOL_SLOTS, "description": "sessions on the source database"}
            stack.airflow.admin.api("POST", "/api/v2/pools", {**pool, "include_deferred": False})
            for dag_id in (BACKUP, DRILL, RESTORE):
                stack.airflow.admin.wait_for_dag(dag_id)
            yield made[0]
    finally:
        target.destroy()


def _connection(server: PostgresServer, stack: Stack, database: str) -> str:
    return postgres_connection(server, database=database, user=OWNER, password=stack.owner_password)
