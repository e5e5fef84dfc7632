"""Restore time next to `pg_restore -j2` of the same data, in the same run, on the same server.

    make bench        # or: PYTHONPATH=. .venv/bin/python bench/restore_time.py --size 20 --compression zstd

A CollabHunts database of `--size` (1 is about 65 000 rows) is dumped by `pg_dump -Fd -Z0` and backed up to an S3 server
on this machine. Both are restored into empty databases, ours with two worker processes for the load, as Airflow's would
be; then ours once more over a populated, diverged copy, by way of staging. What was restored is compared with the
source row by row, outside the measured time. Prints each step's seconds and the ratio to pg_restore's.

S3 server, Postgres, and worker processes share the machine's cores; pg_restore reads local files and checks nothing.
"""

import argparse
import logging
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psycopg

from bench.lab import JOBS, SOURCE, Clock, Lab, store_of, warm_up
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.postgres.session import connect
from include.disaster_recovery.restore_model import LoadedFragment, LoadUnit, RestorePlan
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings, load_settings
from include.disaster_recovery.steps.restore.applying import apply
from include.disaster_recovery.steps.restore.comparing import compare
from include.disaster_recovery.steps.restore.loading import load
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Rig

COPY = "bench_copy"
# Updates, deletes and inserts in a tenth of the rows of the two largest tables, and something in others.
DIVERGE = (
    "set session_replication_role = replica",
    "update public.messages set body = body || ' (changed)' where sequence_number % 10 = 0",
    "delete from public.notifications where get_byte(uuid_send(id), 0) % 10 = 0",
    """insert into public.notifications (user_id, kind, title)
        select user_id, kind, 'new' from public.notifications where get_byte(uuid_send(id), 0) % 10 = 1""",
    "update public.profiles set bio = 'changed' where is_suspended",
    "vacuum analyze",
)


@dataclass
class Bench:
    """A lab, and what our engine needs beside it."""

    lab: Lab
    settings: Settings

    def back_up(self) -> int:
        outcome = Rig(self.lab.parameters(SOURCE), self.lab.store, self.settings).backup_until_assembled()
        return outcome.document.size

    def pg_restore(self, database: str) -> Clock:
        clock = Clock()
        self.lab.server.create_database(database)
        self.lab.execute("postgres", "checkpoint")
        with clock.step("pg_restore"):
            self.lab.tool("pg_restore", f"-j{JOBS}", f"--dbname={database}", str(self.lab.folder / "dump"))
        return clock

    def restore(self, database: str, **wanted: Any) -> Clock:
        """All steps in the order of the DAG."""
        context = multiprocessing.get_context("spawn")  # a task of Airflow's is a process of its own, too
        with ProcessPoolExecutor(JOBS, mp_context=context) as pool:
            list(pool.map(warm_up, range(JOBS)))
            self.lab.execute("postgres", "checkpoint")
            return self._restore(RestoreRig(self.lab.parameters(database), self.lab.store, self.settings), pool, wanted)

    def _restore(self, rig: RestoreRig, pool: ProcessPoolExecutor, wanted: Mapping[str, Any]) -> Clock:
        clock, started_at = Clock(), datetime.now(timezone.utc)
        with clock.step("plan"):
            plan, units = rig.plan(**wanted)
        try:
            rebuilt = None
            if plan.run.request.restore_schema:
                with clock.step("rebuild"):
                    rebuilt = rig.rebuild(plan)
            with clock.step("load"):
                self._load(rig, pool, plan, units)
            with clock.step("check"):
                staged = rig.check(plan)
            with clock.step("diff"):
                found = rig.diff(plan)
            with clock.step("apply"), rig.connect() as connection:
                applied = apply(connection, self.lab.store, plan, found)
            with clock.step("compare"), rig.connect() as connection:
                report = compare(
                    connection,
                    self.lab.store,
                    plan,
                    staged,
                    applied,
                    approved_by=None,
                    skipped_objects=rebuilt.skipped if rebuilt else [],
                    started_at=started_at,
                    now=lambda: datetime.now(timezone.utc),
                )
        finally:
            with clock.step("cleanup"):
                rig.clean_up(plan)
        for check in report.checks:
            if check.outcome == "failed":
                print(f"  compare: {check.subject} {check.detail}"[:200])
        return clock

    def _load(
        self, rig: RestoreRig, pool: ProcessPoolExecutor, plan: RestorePlan, units: list[LoadUnit]
    ) -> list[LoadedFragment]:
        job = self.lab.job(rig.parameters, plan=plan.to_json())
        found = pool.map(load_one, ((job, unit.to_json()) for unit in units))
        return [LoadedFragment.model_validate(each) for each in found]


def load_one(task: tuple[Mapping[str, Any], Mapping[str, Any]]) -> dict[str, Any]:
    """One load task, in a worker process."""
    job, unit = task
    plan = RestorePlan.model_validate(job["plan"])
    with connect(job["parameters"], name="bench", application="bench") as connection:
        return load(connection, store_of(job), plan, LoadUnit.model_validate(unit)).to_json()


def fingerprints(bench: Bench, database: str) -> dict[str, tuple[int, str]]:
    """Rows and an order-free hash of each application table and of the auth tables."""
    with psycopg.connect(bench.lab.server.superuser_dsn(database), options="-c timezone=UTC") as connection:
        names = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'public'"
            " and tablename <> 'backup_history' or schemaname = 'auth' and tablename in ('users', 'identities')"
        ).fetchall()
        query = "select count(*), coalesce(sum(hashtextextended(a::text, 0)), 0)::text from {} as a"
        return {n: connection.execute(query.format(n)).fetchone() for (n,) in names}  # type: ignore[misc, arg-type]


def measure(bench: Bench, size: float) -> dict[str, Clock]:
    """All restores; what they restored equals the source."""
    bench.lab.build(size)
    source = fingerprints(bench, SOURCE)
    rows = sum(count for count, _ in source.values())
    print(f"source: {len(source)} tables, {rows} rows", flush=True)
    bench.lab.dump(bench.lab.folder / "dump", "-Fd", "-Z0", f"-j{JOBS}")
    print(f"document: {bench.back_up() / 2**20:.0f} MiB", flush=True)
    results: dict[str, Clock] = {}

    def run(name: str, database: str, restore: Callable[[], Clock]) -> None:
        results[name] = restore()
        print(f"{name}: {results[name].said()}", flush=True)
        differing = [table for table, found in fingerprints(bench, database).items() if source[table] != found]
        if differing:
            sys.exit(f"{name}: not as in the source: {', '.join(differing)}")

    run("pg_restore -j2, empty database", COPY, lambda: bench.pg_restore(COPY))
    bench.lab.server.create_database("bench_new")
    run("with schema, empty database", "bench_new", lambda: bench.restore("bench_new", restore_schema=True))
    run("replace, nothing changed", COPY, lambda: bench.restore(COPY, mode="replace"))
    bench.lab.execute(COPY, *DIVERGE)
    run("replace, diverged", COPY, lambda: bench.restore(COPY, mode="replace"))
    return results


def main() -> int:
    """Measure and tell."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=20.0, help="size of the demo database, 1 is about 65 000 rows")
    parser.add_argument("--compression", default="none", choices=["none", "gzip", "zstd"])
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        PostgresServer(folder=Path(scratch) / "postgres") as server,
        S3Server(folder=Path(scratch) / "s3") as s3,
    ):
        settings = load_settings().model_copy(update={"compression": options.compression})
        store = Store(client=s3.client("admin"), bucket=s3.create_bucket())
        results = measure(Bench(Lab(server, s3, Path(scratch), store), settings), options.size)
    baseline, *ours = results.items()
    print(f"\n{baseline[0]:34} {baseline[1].total:7.1f} s")
    for name, clock in ours:
        proof = clock.seconds["compare"]
        print(
            f"{name:34} {clock.total:7.1f} s  {clock.total / baseline[1].total:4.1f} x"
            f"  (without the proof {clock.total - proof:.1f} s, {(clock.total - proof) / baseline[1].total:.1f} x)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
