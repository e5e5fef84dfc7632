"""SIGKILL at a random moment of a run: for the process of a task, a component of Airflow's, or a server."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.support.cluster import BACKUP, DRILL, RESTORE, Cluster, wait_for

EACH_TASK = "each-task"
SUPERVISOR = "supervisor"  # of a task: its process is an orphan then, at work beside its own next try
LONGEST_OUTAGE_S = 2.0
ATTEMPTS = 4
# DAG -> its tasks, and about how long each is at work here (s). hold_snapshot is apart: a killed one ends the run.
HOLDER = "hold_snapshot"
SPANS: dict[str, dict[str, float]] = {
    BACKUP: {
        "preflight": 0.8,
        "open_backup": 0.3,
        "plan_extracts": 0.6,
        "extract": 1.0,
        "describe_schema": 1.0,
        "describe_edge_functions": 0.3,
        "assemble": 0.5,
        "verify_backup": 0.5,
        "record_backup": 0.3,
        "watch_backup": 0.8,
        "remove_staging": 0.3,
    },
    RESTORE: {
        "plan_restore": 0.5,
        "load": 1.0,
        "check_staging": 0.4,
        "diff": 0.5,
        "apply": 1.0,
        "compare": 0.8,
        "cleanup": 0.3,
    },
    DRILL: {
        "plan_drill": 0.5,
        "rebuild_schema": 0.5,
        "load": 1.0,
        "check_staging": 0.4,
        "apply": 1.0,
        "compare": 0.8,
        "prove": 0.5,
        "drop_scratch": 0.3,
    },
}


@dataclass
class Killer:
    """One series of random moments; `told` says what was done, so that a failure can be read."""

    cluster: Cluster
    dag_id: str
    moments: random.Random
    told: list[str] = field(default_factory=list)

    def strike(self, victim: str, conf: dict[str, Any]) -> list[str]:
        """Trigger runs until the kill has hit; returns the ids of the runs."""
        if victim == EACH_TASK:
            return self._until_hit(list(SPANS[self.dag_id]), conf)
        if victim in {HOLDER, *SPANS[self.dag_id]}:
            return self._until_hit([victim], conf)
        spans = SPANS[self.dag_id]
        (task_id,) = self.moments.choices(list(spans), weights=list(spans.values()))
        if victim == SUPERVISOR:
            return self._until_hit([task_id], conf, of=parent_of)
        run_id = self.cluster.api.trigger(self.dag_id, conf)
        task = wait_for(f"{task_id} of {run_id}", lambda: self._running(run_id, task_id), every=0.02)
        delay = self.moments.uniform(0, spans[task_id])
        time.sleep(delay)
        revive = self._kill(victim, task)
        outage = self.moments.uniform(0, LONGEST_OUTAGE_S)
        self._tell(f"killed {victim} {delay:.2f} s into {task_id}, back after {outage:.2f} s")
        time.sleep(outage)
        revive()
        return [run_id]

    def _until_hit(self, tasks: Sequence[str], conf: dict[str, Any], of: Callable[[int], int] = int) -> list[str]:
        """Kill a process of each of the tasks; where one was over before its moment, earlier in another run."""
        missed, runs = list(tasks), list[str]()
        for attempt in range(ATTEMPTS):
            run_id = self.cluster.api.trigger(self.dag_id, conf)
            runs.append(run_id)
            part = 0.0 if attempt == ATTEMPTS - 1 else 0.5**attempt
            missed = self._kill_once(run_id, {each: self._delay(each) * part for each in missed}, of)
            if not missed:
                return runs
            self._tell(f"{', '.join(missed)} ended before the moment: once more, earlier")
            self.cluster.finish(self.dag_id, run_id)
        raise AssertionError(f"{', '.join(missed)} could not be caught at work")

    def _delay(self, task_id: str) -> float:
        return self.moments.uniform(0, SPANS[self.dag_id].get(task_id, 3.0))

    def _kill_once(self, run_id: str, delays: dict[str, float], of: Callable[[int], int]) -> list[str]:
        """Kill the process (`of`: or another) of each task so many seconds after it was first seen; which were missed."""
        due, open_ = dict[str, tuple[float, dict[str, Any]]](), dict(delays)
        missed: list[str] = []
        while open_ and self.cluster.run_state(self.dag_id, run_id) in {"queued", "running"}:
            running = {(task["task_id"], task["map_index"]): task for task in self.cluster.tasks(run_id, self.dag_id)}
            for task in running.values():
                if task["task_id"] in open_ and task["task_id"] not in due and is_at_work(task):
                    due[task["task_id"]] = (time.monotonic() + open_[task["task_id"]], task)
            for task_id, (moment, task) in list(due.items()):
                if time.monotonic() >= moment:
                    del due[task_id]
                    now = running[task_id, task["map_index"]]
                    if is_at_work(now) and now["pid"] == task["pid"] and kill(of(task["pid"])):
                        self._tell(
                            f"killed {'' if of is int else 'the supervisor of '}{task_id} of {run_id} after {open_[task_id]:.2f} s"
                        )
                    else:
                        missed.append(task_id)
                    del open_[task_id]
            time.sleep(0.02)
        return [*missed, *open_]

    def _running(self, run_id: str, task_id: str) -> dict[str, Any] | None:
        found = (task for task in self.cluster.tasks(run_id, self.dag_id) if task["task_id"] == task_id)
        return next((task for task in found if is_at_work(task)), None)

    def _kill(self, victim: str, task: dict[str, Any]) -> Callable[[], object]:
        """Kill it; returns how to start it again."""
        stack, airflow = self.cluster.stack, self.cluster.airflow
        servers = {"source": stack.postgres, "target": self.cluster.target, "s3": stack.s3}
        if victim in servers:
            server = servers[victim]
            server.process.signal(signal.SIGKILL)
            return server.start
        name = task["hostname"] if victim == "worker" else victim
        airflow.process(name).signal(signal.SIGKILL)
        return lambda: airflow.restart(name)

    def _tell(self, what: str) -> None:
        self.told.append(what)
        print(what, flush=True)


def is_at_work(task: dict[str, Any]) -> bool:
    return task["state"] == "running" and bool(task["pid"]) and bool(task["hostname"])


def parent_of(pid: int) -> int:
    """The parent's pid; 0 for a process that is gone."""
    try:
        return psutil.Process(pid).ppid()
    except psutil.NoSuchProcess:
        return 0


def kill(pid: int) -> bool:
    """SIGKILL; whether there was such a process."""
    with suppress(ProcessLookupError):
        if not pid:
            return False
        os.kill(pid, signal.SIGKILL)
        return True
    return False
