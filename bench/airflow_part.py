"""Airflow's own part of a backup: trigger to success of 18 small tables, on a real scheduler.

    make bench        # or: PYTHONPATH=. .venv/bin/python bench/airflow_part.py --runs 5

The tables hold so little that the engine's share is under two seconds; what is left is scheduling and starting the
27 or so tasks, on the machine's cores, beside Airflow's own servers, Postgres and the S3 server.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from bench import bars
from include.demo.backup_story import DAG, DemoFailed
from include.demo.database.builder import build_database
from include.demo.stack.stack import Stack

TIMEOUT_S = 600.0


def main() -> int:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        Stack(folder=Path(folder) / "stack", prepare=prepare, keep=False, durable=False) as stack,
    ):
        seconds = [run(stack) for _ in range(options.runs + 1)][1:]  # the first one follows the DAG's first parsing
    print(f"trigger to success: {', '.join(f'{each:.1f}' for each in seconds)} s")
    bars.keep("airflow", statistics.median(seconds))
    return 0


def prepare(stack: Stack) -> Mapping[str, str]:
    """A small marketplace, and no run but those that are triggered."""
    dsn = stack.postgres.superuser_dsn(stack.database)
    build_database(dsn, owner_password=stack.owner_password, size=0.05)
    return {}


def run(stack: Stack) -> float:
    """Seconds of one backup.

    Raises:
        DemoFailed: it did not succeed.
    """
    api = stack.airflow.admin
    api.wait_for_dag(DAG)
    api.unpause(DAG)
    _wait_until_idle(stack)
    began = time.monotonic()
    run_id = api.trigger(DAG)
    state = api.wait_for_run(DAG, run_id, TIMEOUT_S)
    if state != "success":
        raise DemoFailed(f"run {run_id} is {state}")
    return time.monotonic() - began


def _wait_until_idle(stack: Stack) -> None:
    """The first unpausing starts the run of the last midnight."""
    api, until = stack.airflow.admin, time.monotonic() + TIMEOUT_S
    time.sleep(2)
    while time.monotonic() < until:
        runs = api.api("GET", f"/api/v2/dags/{DAG}/dagRuns", state=["queued", "running"])["dag_runs"]
        if not runs:
            return
        time.sleep(0.5)
    raise DemoFailed(f"{DAG} did not come to rest within {TIMEOUT_S:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
