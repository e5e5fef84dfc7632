"""Backup time next to what an expert would script with pg_dump, on the same data, servers and cores, in one run.

    make bench        # or: PYTHONPATH=. .venv/bin/python bench/backup_time.py --size 60 --large-mib 1024 --rounds 3

The source is a CollabHunts of `--size` (1 is about 65 000 rows), a table of `--large-mib` MiB, and `--cells` TOASTed
cells of 3 MiB. Ours is every step from the snapshot to the verified document, extracts in two worker processes as
Airflow's would be. The baselines write to local files first and upload those, as scripts do; they verify nothing.
Rounds are interleaved; the table has the medians and their ratios. With `--growth`, ours is measured at half the size
first.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from bench import bars
from bench.lab import JOBS, SOURCE, Clock, Lab, store_of, warm_up
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.model import BackupRun, ExtractUnit, StagedFragment
from include.disaster_recovery.postgres.session import connect
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings, load_settings
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from include.disaster_recovery.steps.backup.extracting import extract
from tests.support.rig import Rig

LARGE = """
create table public.large as
select i as id, gen_random_uuid() as owner, md5(i::text) || repeat(' message body', 20) as body,
    now() - i * interval '1 second' as at, jsonb_build_object('n', i, 'even', i % 2 = 0) as meta
from generate_series(1, {mib} * 2400) as i
"""
TOASTED = """
create table public.toasted as
select i as id, (select string_agg(md5((i * 100000 + k)::text), '') from generate_series(1, 100000) as k) as cell
from generate_series(1, {cells}) as i
"""
MIB = 2**20
DIRECTORY, SCRIPTED = "pg_dump -Fd -j2 -Z0, upload", "pg_dump -Fd -j2 -Z0, zstd -1, upload"
CUSTOM, OURS, PLAIN = "pg_dump -Fc, upload", "ours, zstd", "ours, plain JSON"


@dataclass(frozen=True, kw_only=True)
class Ways:
    """Everything that is measured, by its name; the first is the yardstick of the rest."""

    lab: Lab
    settings: Settings
    through_worker: dict[str, float] = field(default_factory=dict)  # percent of the document, by compression

    def all(self) -> dict[str, Callable[[], Clock]]:
        """In the order in which each round runs them."""
        return {
            DIRECTORY: lambda: self._directory(compress=False),
            SCRIPTED: lambda: self._directory(compress=True),
            CUSTOM: self._custom,
            OURS: lambda: self.ours("zstd"),
            PLAIN: lambda: self.ours("none"),
        }

    def _directory(self, *, compress: bool) -> Clock:
        clock, target = Clock(), self.lab.folder / "dump"
        with clock.step("dump"):
            self.lab.dump(target, "-Fd", "-Z0", f"-j{JOBS}")
        if compress:
            with clock.step("compress"), ThreadPoolExecutor(JOBS) as pool:
                list(pool.map(_zstd, sorted(target.iterdir(), key=lambda file: -file.stat().st_size)))
        with clock.step("upload"):
            self._upload(sorted(target.iterdir()))
        shutil.rmtree(target)
        return clock

    def _custom(self) -> Clock:
        clock, target = Clock(), self.lab.folder / "dump.custom"
        with clock.step("dump"):
            self.lab.dump(target, "-Fc")
        with clock.step("upload"):
            self._upload([target])
        target.unlink()
        return clock

    def _upload(self, files: list[Path]) -> None:
        store = self.lab.store
        with ThreadPoolExecutor(JOBS) as pool:
            list(pool.map(lambda file: store.client.upload_file(str(file), store.bucket, f"dump/{file.name}"), files))
        store.delete(store.keys("dump/"))

    def ours(self, compression: str) -> Clock:
        settings = self.settings.model_copy(update={"compression": compression})
        rig, clock = Rig(self.lab.parameters(SOURCE), self.lab.store, settings), Clock()
        context = multiprocessing.get_context("spawn")  # a task of Airflow's is a process of its own, too
        with ProcessPoolExecutor(JOBS, mp_context=context) as pool:
            list(pool.map(warm_up, range(JOBS)))
            with clock.step("open"):
                run = rig.open()
            with rig.held() as snapshot:
                with clock.step("plan"):
                    units = rig.plan(snapshot)
                with clock.step("extract, describe"), ThreadPoolExecutor(1) as beside:
                    described = beside.submit(rig.describe, run, snapshot)
                    fragments = self._extracts(rig, pool, run, units)
                    sections = described.result()
            with clock.step("assemble"):
                document = rig.assemble(run, snapshot, fragments, sections)
            with clock.step("verify"):
                rig.verify(document)
        print(
            f"    document: {document.size / MIB:.0f} MiB, {document.parts_copied} parts copied,"
            f" {document.parts_uploaded} uploaded with {document.bytes_uploaded / MIB:.1f} MiB",
            flush=True,
        )
        self.through_worker[compression] = 100 * document.bytes_uploaded / document.size
        remove_staging(self.lab.store, run)
        self.lab.store.delete([run.key])
        return clock

    def _extracts(
        self, rig: Rig, pool: ProcessPoolExecutor, run: BackupRun, units: list[ExtractUnit]
    ) -> list[StagedFragment]:
        job = self.lab.job(rig.parameters, run=run.to_json(), compression=rig.settings.compression)
        found = list(pool.map(extract_one, ((job, unit.to_json()) for unit in units)))
        print(f"    {len(units)} extracts, peak of a worker {max(peak for _, peak in found) / MIB:.0f} MiB", flush=True)
        return [StagedFragment.model_validate(each) for each, _ in found]


def extract_one(task: tuple[Mapping[str, Any], Mapping[str, Any]]) -> tuple[dict[str, Any], int]:
    """One extract task, in a worker process; with the peak resident bytes of that."""
    job, unit = task
    run = BackupRun.model_validate(job["run"])
    with connect(job["parameters"], name="bench", application="bench") as connection:
        wanted = ExtractUnit.model_validate(unit)
        staged = extract(connection, store_of(job), run, wanted, job["compression"], try_number=1)
    return staged.to_json(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _zstd(file: Path) -> None:
    """As `zstd -1 --rm` does, by the same library; it lets the other thread run."""
    with file.open("rb") as source, file.with_suffix(file.suffix + ".zst").open("wb") as target:
        zstandard.ZstdCompressor(level=1).copy_stream(source, target)
    file.unlink()


def measure(ways: Ways, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds of each way, and CPU seconds of the source's sessions, a round after the other."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways.all()}
    for number in range(1, rounds + 1):
        for name, run in ways.all().items():
            ways.lab.execute("postgres", "checkpoint")
            before = ways.lab.server_cpu()
            clock = run()
            cpu = ways.lab.server_cpu() - before
            found[name].append((clock.total, cpu))
            print(f"round {number}: {name}: {clock.said()}; CPU of the source {cpu:.1f} s", flush=True)
    return found


def main() -> int:
    """Measure and tell."""
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=10.0, help="size of the demo database, 1 is about 65 000 rows")
    parser.add_argument("--large-mib", type=int, default=128, help="MiB of the one large table")
    parser.add_argument("--cells", type=int, default=20, help="TOASTed cells of 3 MiB")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--growth", action="store_true", help="measure at half the size, too")
    options = parser.parse_args()
    once = 0.0
    if options.growth:
        with built(options.size / 2, options.large_mib // 2, options.cells // 2) as half:
            once = min(half.ours("zstd").total for _ in range(options.rounds))
    with built(options.size, options.large_mib, options.cells) as ways:
        found = measure(ways, options.rounds)
    seconds, cpu = (
        {name: statistics.median(each[column] for each in rounds) for name, rounds in found.items()}
        for column in (0, 1)
    )
    tell("seconds", seconds)
    tell("CPU seconds of the source", cpu)
    keep_ratios(seconds, cpu)
    bars.keep("assembly", max(ways.through_worker.values()))
    if once:
        bars.keep("backup growth", min(each[0] for each in found[OURS]) / once)
    return 0


@contextmanager
def built(size: float, large_mib: int, cells: int) -> Iterator[Ways]:
    """Servers with a source of that size."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
        PostgresServer(folder=Path(scratch) / "postgres") as server,
        S3Server(folder=Path(scratch) / "s3") as s3,
    ):
        lab = Lab(server, s3, Path(scratch), Store(client=s3.client("admin"), bucket=s3.create_bucket()))
        lab.build(size, LARGE.format(mib=large_mib), TOASTED.format(cells=cells))
        yield Ways(lab=lab, settings=everything())


def keep_ratios(seconds: Mapping[str, float], cpu: Mapping[str, float]) -> None:
    """What the bars are about."""
    print()
    for name, ours, theirs in (
        ("zstd", OURS, DIRECTORY),
        ("zstd/gzip", OURS, CUSTOM),
        ("zstd/zstd", OURS, SCRIPTED),
        ("plain", PLAIN, DIRECTORY),
    ):
        bars.keep(name, seconds[ours] / seconds[theirs])
    bars.keep("cpu", max(cpu[OURS], cpu[PLAIN]) / cpu[DIRECTORY])


def everything() -> Settings:
    """Every table; no encryption at rest, which the baselines do not ask for either."""
    settings = load_settings()
    tables, s3 = settings.tables.model_copy(update={"include": "all"}), settings.s3.model_copy(update={"sse": None})
    return settings.model_copy(update={"tables": tables, "s3": s3})


def tell(what: str, medians: Mapping[str, float]) -> None:
    """Each way's median, and ours by each baseline."""
    baselines = [seconds for name, seconds in medians.items() if not name.startswith("ours")]
    letters = "abc"[: len(baselines)]
    print(f"\n{what + ', median':44}{'':10}" + "".join(f"{f'÷ {letter}':>8}" for letter in letters))
    for number, (name, seconds) in enumerate(medians.items()):
        is_ours = name.startswith("ours")
        label = name if is_ours else f"{letters[number]}  {name}"
        print(f"{label:44}{seconds:10.1f}" + "".join(f"{seconds / other:8.2f}" for other in baselines if is_ours))


if __name__ == "__main__":
    sys.exit(main())
