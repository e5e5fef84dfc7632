"""Peak memory of an extract task, a large table against an empty one, each in a process of its own.

    make bench        # or: PYTHONPATH=. .venv/bin/python bench/extract_memory.py --gib 1 --compression zstd

Prints the peak resident size of both processes and exits 1 if they are more than `--limit-mib` apart.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import psycopg

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.extract_plan import plan_units
from include.disaster_recovery.model import BackupRun, ExtractUnit
from include.disaster_recovery.postgres.session import connect
from include.disaster_recovery.postgres.snapshot import export
from include.disaster_recovery.postgres.source import relations
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.steps.backup.extracting import extract

MIB = 1024**2
TABLES = {
    "empty": "create table empty (like large)",
    "large": """create table large as
        select i as id, gen_random_uuid() as owner, repeat('message body ', 20) as body,
            jsonb_build_object('n', i) as meta
        from generate_series(1, {rows}) as i""",
    "toasted": """create table toasted as
        select i as id,
            (select string_agg(md5((i * 100000 + k)::text), '') from generate_series(1, 100000) as k) as cell
        from generate_series(1, {cells}) as i""",
}


def child(job: dict[str, object]) -> None:
    """One extract in this process; prints its peak resident size in bytes."""
    import boto3

    client = boto3.client("s3", **job["s3"])
    unit, run = ExtractUnit.model_validate(job["unit"]), BackupRun.model_validate(job["run"])
    started = time.monotonic()
    with connect(job["source"], name="bench", application="bench") as connection:
        staged = extract(
            connection, Store(client=client, bucket=str(job["bucket"])), run, unit, job["compression"], try_number=1
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak": peak, "rows": staged.rows, "bytes": staged.size, "seconds": time.monotonic() - started}))


def measure(folder: Path, gib: float, compression: str) -> dict[str, dict[str, float]]:
    """Build the tables, then extract each in a process of its own."""
    results = {}
    with PostgresServer(folder=folder / "postgres", durable=False) as server, S3Server(folder=folder / "s3") as s3:
        bucket = s3.create_bucket()
        server.create_database("bench")
        dsn = server.superuser_dsn("bench")
        with psycopg.connect(dsn, autocommit=True) as connection:
            for name in ("large", "empty", "toasted"):
                connection.execute(TABLES[name].format(rows=int(gib * 2**30 / 395), cells=int(gib * 40)))
                print(f"built {name}", flush=True)
        source = psycopg.conninfo.conninfo_to_dict(dsn)
        with connect(source, name="bench", application="bench") as holder:
            tables = [r for r in relations(holder) if r.schema_name == "public"]
            snapshot = export(holder, [r.table for r in tables], lock_timeout_seconds=10)
            tables = [r for r in relations(holder, sized=snapshot.tables) if r.schema_name == "public"]
            for unit in plan_units(tables, split_bytes=2**50, snapshot_id=snapshot.snapshot_id):
                results[unit.label] = _run(unit, source, s3, bucket, compression)
                print(f"{unit.label}: {results[unit.label]}", flush=True)
    return results


def _run(unit: ExtractUnit, source: dict[str, object], s3: S3Server, bucket: str, compression: str) -> dict[str, float]:
    identity = s3.identity("writer")
    run = BackupRun(
        backup_id="bench",
        run_id="bench",
        backup_type="manual",
        triggered_by=None,
        created_at=datetime.now(timezone.utc),
        key="backups/bench",
        staging_prefix="staging/bench/",
    )
    login = {"aws_access_key_id": identity.access_key, "aws_secret_access_key": identity.secret_key}
    job = {
        "unit": unit.to_json(),
        "run": run.to_json(),
        "source": {name: str(value) for name, value in source.items()},
        "bucket": bucket,
        "compression": compression,
        "s3": {"endpoint_url": s3.endpoint_url, "region_name": s3.region, **login},
    }
    done = subprocess.run(
        [sys.executable, __file__, "--child"], input=json.dumps(job), text=True, check=True, capture_output=True
    )
    return json.loads(done.stdout)


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0, help="size of the large table's JSON")
    parser.add_argument("--compression", default="none", choices=["none", "gzip", "zstd"])
    parser.add_argument("--limit-mib", type=float, default=150.0)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(json.load(sys.stdin))
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        results = measure(Path(folder), options.gib, options.compression)
    base = results["empty"]["peak"]
    worst = max(result["peak"] - base for result in results.values())
    for name, result in results.items():
        stored, peak, above = (value / MIB for value in (result["bytes"], result["peak"], result["peak"] - base))
        print(f"{name:8} {stored:8.0f} MiB stored  peak {peak:6.0f} MiB  +{above:.0f} MiB  {result['seconds']:.1f} s")
    print(f"worst is {worst / MIB:.0f} MiB above an empty table, the limit is {options.limit_mib:.0f} MiB")
    return 0 if worst <= options.limit_mib * MIB else 1


if __name__ == "__main__":
    sys.exit(main())
