"""Peak memory of each step of a backup above an idle worker, over sizes of data, each step in a process of its own.

    make bench        # or: PYTHONPATH=. .venv/bin/python bench/memory.py --mib 10 1024 5120 --compression zstd

Of each `--mib` of JSON, half stands in one table of short rows and half in one of 3 MiB cells. Prints a row a size:
flat means that the steps stream. The restore's steps are measured by restore_time.py, where they have data to restore.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import bars
from bench.backup_time import everything
from bench.lab import SOURCE, Lab, most_memory, store_of
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from tests.support.rig import Rig

MIB = 2**20
TABLES = (
    """create table public.short as
        select i as id, gen_random_uuid() as owner, repeat('message body ', 20) as body,
            jsonb_build_object('n', i) as meta
        from generate_series(1, {short}) as i""",
    """create table public.toasted as
        select i as id, (select string_agg(md5((i * 100000 + k)::text), '') from generate_series(1, 98304) as k) as cell
        from generate_series(1, {cells}) as i""",
)
SHORT_BYTES, CELL_BYTES = 355, 3 * MIB  # JSON of a row


def main() -> int:
    """Measure and tell."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, nargs="+", default=[10, 1024], help="sizes of the JSON")
    parser.add_argument("--compression", default="none", choices=["none", "gzip", "zstd"])
    options = parser.parse_args()
    settings = everything().model_copy(update={"compression": options.compression})
    worst = 0.0
    for mib in options.mib:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            peaks = measure(Path(folder), mib, settings)
        print(f"{mib:6} MiB: " + ", ".join(f"{step} +{peak / MIB:.0f} MiB" for step, peak in peaks.items()), flush=True)
        worst = max(worst, *peaks.values())
    bars.keep("memory", worst / MIB)
    return 0


def measure(folder: Path, mib: int, settings: Settings) -> dict[str, int]:
    """Peak bytes above an idle worker, by step."""
    with (
        PostgresServer(folder=folder / "postgres", durable=False) as server,
        S3Server(folder=folder / "s3") as s3,
    ):
        lab = Lab(server, s3, folder, Store(client=s3.client("admin"), bucket=s3.create_bucket()))
        rows = {"short": mib * MIB // 2 // SHORT_BYTES, "cells": max(1, mib * MIB // 2 // CELL_BYTES)}
        lab.build(0.1, *(table.format(**rows) for table in TABLES))
        return _steps(lab, settings)


def _steps(lab: Lab, settings: Settings) -> dict[str, int]:
    rig = Rig(lab.parameters(SOURCE), lab.store, settings)
    job, peaks = lab.job(rig.parameters, settings=settings), dict[str, int]()

    def step(name: str, *arguments: Any) -> Any:
        result, above = alone(job, name, *arguments)
        peaks[name] = max(above, peaks.get(name, 0))
        return result

    run = rig.open()
    with rig.held() as snapshot:
        units = step("plan", snapshot)
        fragments = [step("extract", run, unit) for unit in units]
        sections = step("describe", run, snapshot)
    document = step("assemble", run, snapshot, fragments, sections)
    step("verify", document)
    remove_staging(lab.store, run)
    return peaks


def alone(job: Mapping[str, Any], step: str, *arguments: Any) -> tuple[Any, int]:
    """A step of the rig in a process of its own: its result, and the most bytes it held above an idle one.

    Raises:
        EOFError: the process has failed; it has told why.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=perform, args=(there, job, step, arguments))
    process.start()
    there.close()
    result, above = here.recv()
    process.join()
    return result, above


def perform(answer: Any, job: Mapping[str, Any], step: str, arguments: tuple[Any, ...]) -> None:
    """What the process does: it connects, looks at itself, works and looks again."""
    logging.disable(logging.CRITICAL)
    rig = Rig(job["parameters"], store_of(job), job["settings"])
    rig.store.head("no such key")  # what an idle worker has imported, too
    rig.connect().close()
    idle = most_memory()
    answer.send((getattr(rig, step)(*arguments), most_memory() - idle))


if __name__ == "__main__":
    sys.exit(main())
