"""A restore's steps in worker processes, as Airflow runs them: two for the loads, one for what is done alone."""

from __future__ import annotations

import logging
import multiprocessing
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from bench.lab import JOBS, Clock, Lab, most_memory, store_of, warm_up
from include.disaster_recovery.restore_model import RestorePlan, RestoreReport, StagedTable, TableDiff
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.restore.comparing import compare
from tests.support.restore_rig import RestoreRig

_here: dict[str, Any] = {}  # of a worker process: its rig, and the most memory it had held when it was idle


@dataclass(kw_only=True)
class Measured:
    """A restore: seconds and CPU seconds of the server by step, and the most memory a worker took above an idle one."""

    clock: Clock = field(default_factory=Clock)
    server_cpu: dict[str, float] = field(default_factory=dict)
    peak: int = 0
    failed: list[str] = field(default_factory=list)

    @contextmanager
    def step(self, lab: Lab, name: str) -> Iterator[None]:
        before = lab.server_cpu()
        with self.clock.step(name):
            yield
        time.sleep(0.3)  # its sessions end on their own
        self.server_cpu[name] = lab.server_cpu() - before

    def said(self) -> str:
        """Seconds by step, with the CPU seconds that the server's sessions took."""
        steps = (f"{name} {took:.1f} ({self.server_cpu.get(name, 0):.1f})" for name, took in self.clock.seconds.items())
        return f"{self.clock.total:.1f} s (CPU of the target): {', '.join(steps)}"


@contextmanager
def workers(job: Mapping[str, Any]) -> Iterator[tuple[ProcessPoolExecutor, ProcessPoolExecutor]]:
    """Processes that have imported everything: the two of the loads, and the one of the other steps."""
    context = multiprocessing.get_context("spawn")  # a task of Airflow's is a process of its own, too
    with (
        ProcessPoolExecutor(JOBS, mp_context=context, initializer=prepare, initargs=(job,)) as loaders,
        ProcessPoolExecutor(1, mp_context=context, initializer=prepare, initargs=(job,)) as other,
    ):
        list(loaders.map(warm_up, range(JOBS)))
        other.submit(warm_up, 0).result()
        yield loaders, other


def prepare(job: Mapping[str, Any]) -> None:
    """Connect a worker process, and look at it while it is idle."""
    logging.disable(logging.CRITICAL)
    _here["rig"] = RestoreRig(job["parameters"], store_of(job), job["settings"])
    _here["rig"].store.head("no such key")  # what an idle worker has imported, too
    _here["rig"].connect().close()
    _here["idle"] = most_memory()


def perform(step: str, *arguments: Any) -> tuple[Any, int]:
    """One step in a worker process; with the bytes it holds at most above an idle one."""
    rig = _here["rig"]
    result = _compare(rig, *arguments) if step == "compare" else getattr(rig, step)(*arguments)
    return result, most_memory() - _here["idle"]


def plan(wanted: Mapping[str, Any]) -> tuple[Any, int]:
    """The first step."""
    return _here["rig"].plan(**wanted), most_memory() - _here["idle"]


def restore(lab: Lab, settings: Settings, database: str, **wanted: Any) -> Measured:
    """All steps in the order of the DAG."""
    measured = Measured()
    job = lab.job(lab.parameters(database), settings=settings)
    with workers(job) as (loaders, other):
        lab.execute("postgres", "checkpoint")

        def alone(name: str, step: str, *arguments: Any) -> Any:
            with measured.step(lab, name):
                result, peak = other.submit(perform, step, *arguments).result()
            measured.peak = max(measured.peak, peak)
            return result

        with measured.step(lab, "plan"):
            (planned, units), measured.peak = other.submit(plan, wanted).result()
        try:
            if planned.run.request.restore_schema:
                alone("rebuild", "rebuild", planned)
            with measured.step(lab, "load"):
                loads = [loaders.submit(perform, "load", planned, unit) for unit in units]
                peaks = [each.result()[1] for each in loads]
            measured.peak = max(measured.peak, *peaks)
            staged = alone("check", "check", planned)
            found = alone("diff", "diff", planned)
            applied = alone("apply", "apply", planned, found)
            report = alone("compare", "compare", planned, staged, applied)
            measured.failed = [f"{each.subject}: {each.detail}" for each in report.checks if each.outcome == "failed"]
        finally:
            alone("cleanup", "clean_up", planned)
    return measured


def _compare(
    rig: RestoreRig, planned: RestorePlan, staged: list[StagedTable], applied: list[TableDiff]
) -> RestoreReport:
    with rig.connect() as connection:
        return compare(
            connection,
            rig.store,
            planned,
            staged,
            applied,
            approved_by=None,
            skipped_objects=[],
            started_at=planned.run.opened_at,
            now=lambda: datetime.now(timezone.utc),
        )
