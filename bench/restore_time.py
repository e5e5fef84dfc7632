"""Restore time next to a download and `pg_restore -j2` of the same data, on the same servers and cores, in one run.

    make bench        # or: PYTHONPATH=. .venv/bin/python bench/restore_time.py --size 20 --large-mib 384 --growth

The source is a CollabHunts of `--size` (1 is about 65 000 rows), a table of `--large-mib` MiB, and `--cells` TOASTed
cells of 3 MiB. It is dumped by `pg_dump -Fd -Z0` and backed up; dump and document lie in the same bucket. A round
restores the dump into an empty database, the document into another one, schema included, and the document once more
over the first, populated and diverged by then, by way of staging. What was restored is compared with the source row by
row, outside the measured time. The table has medians, ratios and bars; our time ends with the commit, as pg_restore's
does, the proof behind it stands apart. With `--growth` all is measured at half the size first.

S3 server, Postgres and worker processes share the machine's cores; pg_restore checks nothing.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import bars
from bench.backup_time import LARGE, TOASTED, everything
from bench.lab import JOBS, SOURCE, Clock, Lab
from bench.restore_steps import Measured, restore
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from tests.support.rig import Rig

COPY, NEW = "bench_copy", "bench_new"
BASELINE, REBUILT, STAGED = "download, pg_restore -j2", "ours, empty database", "ours, over a populated one"
ROWS = {"restore": REBUILT, "staged": STAGED}
AFTER_COMMIT = ("compare", "cleanup")  # the proof, which pg_restore has none of, and tidying
MIB = 2**20
KEYS = tuple(f"alter table public.{table} add primary key (id)" for table in ("large", "toasted"))
# Updates, deletes and inserts in a tenth of the rows of the three largest tables, and something in others.
DIVERGE = (
    "set session_replication_role = replica",
    "update public.large set body = body || ' (changed)' where id % 10 = 0",
    "update public.messages set body = body || ' (changed)' where sequence_number % 10 = 0",
    "delete from public.notifications where get_byte(uuid_send(id), 0) % 10 = 0",
    """insert into public.notifications (user_id, kind, title)
        select user_id, kind, 'new' from public.notifications where get_byte(uuid_send(id), 0) % 10 = 1""",
    "update public.profiles set bio = 'changed' where is_suspended",
    "vacuum analyze",
)


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is told of a way: seconds and CPU seconds of the target's sessions up to the commit, seconds of the proof
    behind it, and a worker's peak in bytes.
    """

    seconds: float
    cpu: float
    proof: float = 0.0
    peak: int = 0


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A lab with dump and document in its bucket."""

    lab: Lab
    settings: Settings

    def prepare(self) -> None:
        """Dump and document of the source."""
        dump, store = self.lab.folder / "dump", self.lab.store
        self.lab.dump(dump, "-Fd", "-Z0", f"-j{JOBS}")
        size = sum(file.stat().st_size for file in dump.iterdir())
        for file in dump.iterdir():
            store.client.upload_file(str(file), store.bucket, f"dump/{file.name}")
        shutil.rmtree(dump)
        outcome = Rig(self.lab.parameters(SOURCE), store, self.settings).backup_until_assembled()
        print(f"dump: {size / MIB:.0f} MiB, document: {outcome.document.size / MIB:.0f} MiB", flush=True)

    def pg_restore(self) -> Figures:
        """What an operator would script."""
        clock, dump, store = Clock(), self.lab.folder / "dump", self.lab.store
        dump.mkdir()
        self.lab.execute("postgres", "checkpoint")
        before = self.lab.server_cpu()
        with clock.step("download"), ThreadPoolExecutor(JOBS) as pool:
            names = [key.removeprefix("dump/") for key in store.keys("dump/")]
            list(pool.map(lambda n: store.client.download_file(store.bucket, f"dump/{n}", str(dump / n)), names))
        with clock.step("pg_restore"):
            self.lab.tool("pg_restore", f"-j{JOBS}", f"--dbname={COPY}", str(dump))
        shutil.rmtree(dump)
        cpu = self.lab.server_cpu() - before
        print(f"{BASELINE}: {clock.said()}; CPU of the target {cpu:.1f} s", flush=True)
        return Figures(seconds=clock.total, cpu=cpu)

    def ours(self, name: str, measured: Measured) -> Figures:
        print(f"{name}: {measured.said()}; peak of a worker {measured.peak / MIB:.0f} MiB", flush=True)
        for failed in measured.failed:
            print(f"  failed: {failed}"[:200])
        seconds = measured.clock.seconds
        proof = sum(seconds[step] for step in AFTER_COMMIT)
        cpu = sum(took for step, took in measured.server_cpu.items() if step not in AFTER_COMMIT)
        return Figures(seconds=measured.clock.total - proof, cpu=cpu, proof=seconds["compare"], peak=measured.peak)

    def round(self, source: Mapping[str, tuple[int, str]]) -> dict[str, Figures]:
        """All ways, each of whose results equals the source."""
        for database in (COPY, NEW):
            self.lab.server.create_database(database)
        found = {BASELINE: self.pg_restore()}
        self._require_equal(source, COPY, BASELINE)
        found[REBUILT] = self.ours(REBUILT, restore(self.lab, self.settings, NEW, restore_schema=True))
        self._require_equal(source, NEW, REBUILT)
        self.lab.execute(COPY, *DIVERGE)
        found[STAGED] = self.ours(STAGED, restore(self.lab, self.settings, COPY, mode="replace"))
        self._require_equal(source, COPY, STAGED)
        self.lab.execute("postgres", *(f"drop database {database}" for database in (COPY, NEW)))
        return found

    def _require_equal(self, source: Mapping[str, tuple[int, str]], database: str, way: str) -> None:
        found = fingerprints(self.lab, database)
        if differing := [table for table in source if source[table] != found.get(table)]:
            sys.exit(f"{way}: not as in the source: {', '.join(differing)}")


def fingerprints(lab: Lab, database: str) -> dict[str, tuple[int, str]]:
    """Rows and an order-free hash of each application table and of the auth tables."""
    with psycopg.connect(lab.server.superuser_dsn(database), options="-c timezone=UTC") as connection:
        names = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = 'public'"
            " and tablename <> 'backup_history' or schemaname = 'auth' and tablename in ('users', 'identities')"
        ).fetchall()
        query = "select count(*), coalesce(sum(hashtextextended(a::text, 0)), 0)::text from {} as a"
        return {n: connection.execute(query.format(n)).fetchone() for (n,) in names}  # type: ignore[misc, arg-type]


def measure(options: argparse.Namespace, share: float) -> dict[str, Figures]:
    """The medians of all rounds over a `share` of the rows asked for, on servers of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        PostgresServer(folder=Path(scratch) / "postgres") as server,
        S3Server(folder=Path(scratch) / "s3") as s3,
    ):
        lab = Lab(server, s3, Path(scratch), Store(client=s3.client("admin"), bucket=s3.create_bucket()))
        large, toasted = int(options.large_mib * share), int(options.cells * share)
        lab.build(options.size * share, LARGE.format(mib=large), TOASTED.format(cells=toasted), *KEYS)
        source = fingerprints(lab, SOURCE)
        print(f"\nsource: {len(source)} tables, {sum(rows for rows, _ in source.values())} rows", flush=True)
        bench = Bench(lab=lab, settings=everything().model_copy(update={"compression": options.compression}))
        bench.prepare()
        rounds = [bench.round(source) for _ in range(options.rounds)]
    return {name: _median([each[name] for each in rounds]) for name in rounds[0]}


def _median(rounds: list[Figures]) -> Figures:
    return Figures(
        seconds=statistics.median(each.seconds for each in rounds),
        cpu=statistics.median(each.cpu for each in rounds),
        proof=statistics.median(each.proof for each in rounds),
        peak=max(each.peak for each in rounds),
    )


def tell(found: Mapping[str, Figures], half: Mapping[str, Figures] | None) -> None:
    """Medians, then the bars; CPU seconds of the target grow the same on a machine with others on it."""
    print(f"\n{'up to the commit, median':34}{'seconds':>8}{'CPU':>7}{'proof':>7}{'2x rows':>9}{'CPU':>7}")
    for name, each in found.items():
        growth = (each.seconds / half[name].seconds, each.cpu / half[name].cpu) if half else ()
        line = f"{name:34}{each.seconds:8.1f}{each.cpu:7.1f}{each.proof:7.1f}  "
        print(line + "".join(f"{factor:7.2f}" for factor in growth))
    for row, name in ROWS.items():
        bars.keep(row, found[name].seconds / found[BASELINE].seconds)
        bars.keep("memory", found[name].peak / MIB)
        if half:
            bars.keep("restore growth", found[name].seconds / half[name].seconds)


def main() -> int:
    """Measure and tell."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=10.0, help="size of the demo database, 1 is about 65 000 rows")
    parser.add_argument("--large-mib", type=int, default=128, help="MiB of the one large table")
    parser.add_argument("--cells", type=int, default=20, help="TOASTed cells of 3 MiB")
    parser.add_argument("--compression", default="zstd", choices=["none", "gzip", "zstd"])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--growth", action="store_true", help="measure half of it first, and tell the growth")
    options = parser.parse_args()
    half = measure(options, 0.5) if options.growth else None
    tell(measure(options, 1.0), half)
    return 0


if __name__ == "__main__":
    sys.exit(main())
