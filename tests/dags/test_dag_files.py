"""The DAG files as Airflow sees them: every file listed, light to import, wired as documented."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DAG_FILES = {
    "collabhunts_backup.py": "collabhunts_backup",
    "collabhunts_restore.py": "collabhunts_restore",
    "collabhunts_drill.py": "collabhunts_drill",
    "collabhunts_verify.py": "collabhunts_verify",
    "collabhunts_watch.py": "collabhunts_watch",
    "collabhunts_retention.py": "collabhunts_retention",
    "collabhunts_preflight.py": "collabhunts_preflight",
}
# Imports the file with every way to the outside world closed: sockets, child processes, and the settings file.
IMPORT_WITHOUT_IO = """
import runpy, sys
import airflow.sdk, pendulum
import airflow.providers.standard.operators.hitl, airflow.providers.standard.operators.trigger_dagrun
import include.disaster_recovery.errors, include.disaster_recovery.model
airflow.sdk.Asset("s3://bucket/warm-up")  # Airflow loads its providers for the first Asset of a process

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
        raise RuntimeError(f"I/O at import: {event} {arguments}")
    if event == "open" and not str(arguments[0]).endswith((".py", ".pyc")) and "site-packages" not in str(arguments[0]):
        raise RuntimeError(f"file opened at import: {arguments}")

before = set(sys.modules)  # Airflow itself may have loaded some
sys.addaudithook(refuse)
runpy.run_path(sys.argv[1])
clients = {"boto3", "psycopg", "include.disaster_recovery.settings", "include.disaster_recovery.runtime.connections"}
print("imported", sorted(clients & (set(sys.modules) - before)))
"""


@pytest.fixture(scope="module")
def backup_dag(dag_bag: Any) -> Any:
    return dag_bag.dags["collabhunts_backup"]


def test_every_dag_file_is_listed_and_imports(dag_bag: Any) -> None:
    assert dag_bag.import_errors == {}
    assert {file.name for file in (PROJECT / "dags").glob("*.py")} == set(DAG_FILES)
    assert set(dag_bag.dags) == set(DAG_FILES.values())


@pytest.mark.parametrize("name", sorted(DAG_FILES))
def test_importing_a_dag_takes_no_io_and_no_client_library(name: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT_IO, str(PROJECT / "dags" / name)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("imported []")


def test_the_backup_runs_daily_at_midnight_utc_once_at_a_time(backup_dag: Any) -> None:
    timetable = backup_dag.timetable
    assert (timetable.expression, str(timetable.timezone)) == ("0 0 * * *", "UTC")
    assert backup_dag.catchup is False
    assert backup_dag.max_active_runs == 1
    assert backup_dag.dagrun_timeout <= timedelta(days=1)
    assert {"collabhunts", "backup"} <= set(backup_dag.tags)
    assert backup_dag.doc_md.strip().startswith("### CollabHunts backup")
    assert backup_dag.has_on_failure_callback


@pytest.mark.parametrize("dag_id", sorted(DAG_FILES.values()))
def test_the_page_of_a_dag_names_every_task(dag_bag: Any, dag_id: str) -> None:
    dag = dag_bag.dags[dag_id]
    for task in dag.tasks:
        assert f"`{task.task_id}`" in dag.doc_md, task.task_id


def test_tasks_are_wired_in_the_order_of_the_invariants(backup_dag: Any) -> None:
    upstream = {task.task_id: set(task.upstream_task_ids) for task in backup_dag.tasks}
    assert upstream["open_backup"] == {"preflight"}
    assert upstream["hold_snapshot"] == upstream["plan_extracts"] == {"open_backup"}
    assert {"plan_extracts"} <= upstream["extract"]
    assert {"hold_snapshot", "extract", "describe_schema", "describe_edge_functions"} <= upstream["assemble"]
    assert "assemble" in upstream["verify_backup"]
    assert "verify_backup" in upstream["record_backup"]
    assert upstream["watch_backup"] == {"record_backup", "preflight"}
    assert "record_backup" in upstream["remove_staging"]
    assert backup_dag.get_task("remove_staging").is_teardown


def test_only_the_holder_is_never_retried_and_every_task_has_a_time_limit(backup_dag: Any) -> None:
    assert backup_dag.get_task("hold_snapshot").retries == 0
    for task in backup_dag.tasks:
        assert task.execution_timeout is not None, task.task_id
        assert task.execution_timeout < backup_dag.dagrun_timeout
        if task.task_id != "hold_snapshot":
            assert task.retries >= 1, task.task_id
            assert task.retry_exponential_backoff


def test_extracts_are_limited_in_number_and_labelled(backup_dag: Any) -> None:
    extract = backup_dag.get_task("extract")
    assert extract.max_active_tis_per_dagrun == 4
    assert "name_in_document" in extract.map_index_template
