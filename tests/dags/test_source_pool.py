"""The pool that bounds a backup's sessions on the source: named by the environment, Airflow's own where it is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
READ = """
import json, sys
sys.path.insert(0, sys.argv[1])
import collabhunts_backup
print(json.dumps({task.task_id: task.pool for task in collabhunts_backup.start_again.dag.tasks}))
"""


def pools(**environment: str) -> dict[str, str]:
    """Task -> its pool."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(PROJECT / "dags")],
        env={**os.environ, "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


@pytest.mark.parametrize(
    "named, expected", [("collabhunts_source", "collabhunts_source"), ("", "default_pool")], ids=["named", "empty"]
)
def test_the_tasks_of_a_backup_run_in_the_pool_that_the_environment_names(named: str, expected: str) -> None:
    found = pools(DISASTER_RECOVERY_SOURCE_POOL=named)
    assert len(found) > 10
    assert set(found.values()) == {expected}


def test_the_schema_takes_a_slot_for_each_of_its_two_sessions(dag_bag: object) -> None:
    tasks = dag_bag.dags["collabhunts_backup"].tasks  # type: ignore[attr-defined]
    assert {task.task_id: task.pool_slots for task in tasks if task.pool_slots > 1} == {"describe_schema": 2}
