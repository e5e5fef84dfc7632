"""A backup, its drill and a restore, each spread over two workers that share no disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from include.demo.restore_story import fingerprints
from include.demo.stack.celery_servers import CeleryServers
from tests.support.cluster import BACKUP, DRILL, POOL_SLOTS, RESTORE, RESTORED, TABLES, Cluster

RESTORED_TABLES = dict.fromkeys(TABLES, 0)
SESSIONS = """
select count(*) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""


@contextmanager
def watched_sessions(cluster: Cluster) -> Iterator[list[int]]:
    """How many sessions the source has, again and again."""
    counts, enough = list[int](), threading.Event()

    def watch() -> None:
        dsn = cluster.stack.postgres.superuser_dsn(cluster.stack.database)
        with psycopg.connect(dsn, autocommit=True) as connection:
            while not enough.wait(0.02):
                (found,) = connection.execute(SESSIONS).fetchone() or (0,)
                counts.append(found)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield counts
    finally:
        enough.set()
        thread.join()


@pytest.fixture(scope="module")
def backed_up(cluster: Cluster) -> tuple[str, list[int]]:
    """The run that Airflow starts by itself, and the sessions on the source meanwhile."""
    with watched_sessions(cluster) as sessions:
        for dag_id in (BACKUP, DRILL, RESTORE):
            cluster.api.unpause(dag_id)
        run_id = cluster.first_run(BACKUP)
        cluster.succeed(BACKUP, run_id)
    return run_id, sessions


def test_a_backup_is_the_work_of_both_workers(cluster: Cluster, backed_up: tuple[str, list[int]]) -> None:
    ran = cluster.workers_of(backed_up[0], BACKUP)
    assert set(ran) == {"worker-1", "worker-2"}
    assert all("extract" in tasks for tasks in ran.values()), ran
    assert cluster.history(backed_up[0])["status"] == "success"


def test_the_sessions_on_the_source_stay_within_the_pool(backed_up: tuple[str, list[int]]) -> None:
    assert 3 <= max(backed_up[1]) <= POOL_SLOTS


def test_the_drill_that_follows_is_the_work_of_both_workers(cluster: Cluster, backed_up: tuple[str, list[int]]) -> None:
    run_id = cluster.first_run(DRILL)
    cluster.succeed(DRILL, run_id)
    assert all("load" in tasks for tasks in cluster.workers_of(run_id, DRILL).values())


def test_a_restore_on_another_server_is_the_work_of_both_workers_and_exact(
    cluster: Cluster, backed_up: tuple[str, list[int]]
) -> None:
    run_id = cluster.run(RESTORE, backup_key="latest", restore_schema=True)
    assert all("load" in tasks for tasks in cluster.workers_of(run_id, RESTORE).values())
    source, restored = (
        cluster.stack.postgres.superuser_dsn(cluster.stack.database),
        cluster.target.superuser_dsn(RESTORED),
    )
    assert fingerprints(restored, RESTORED_TABLES) == fingerprints(source, RESTORED_TABLES)


def test_the_workers_have_imported_the_providers_before_they_fork_a_task(cluster: Cluster) -> None:
    for name in cluster.airflow.celery.names:
        mapped = {each.path for each in psutil.Process(cluster.airflow.process(name).pid).memory_maps()}
        assert [path for path in mapped if "psycopg_binary" in path]


def test_no_task_leaves_anything_on_its_worker_but_its_log(cluster: Cluster, backed_up: tuple[str, list[int]]) -> None:
    celery: CeleryServers = cluster.airflow.celery
    for name in celery.names:
        left = {path.relative_to(celery.folder / name) for path in (celery.folder / name).rglob("*") if path.is_file()}
        kept = {Path("airflow/airflow.cfg"), Path("airflow/config/airflow_local_settings.py")}
        ours = {path for path in left - kept if path.parts[0] != "logs" and "__pycache__" not in path.parts}
        assert ours == set()
        assert [path for path in left if path.parts[:2] == ("logs", f"dag_id={BACKUP}")]
