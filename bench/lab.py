"""What the engine-level benches share: servers, a source with some data, tools, a clock."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import psutil
import psycopg

from include.demo.database.builder import build_database
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Store

JOBS = 2
SOURCE = "bench_source"
# What no backup of ours holds is in no dump: the data of Supabase's own tables, and the history.
NOT_BACKED_UP = (
    "storage.*",
    "auth.sessions",
    "auth.refresh_tokens",
    "auth.schema_migrations",
    "supabase_migrations.*",
    "public.backup_history",
)


@dataclass
class Clock:
    """Seconds by step, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - started

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def said(self) -> str:
        steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in self.seconds.items())
        return f"{self.total:.1f} s ({steps})"


@dataclass
class Lab:
    """Servers and a bucket."""

    server: PostgresServer
    s3: S3Server
    folder: Path
    store: Store

    def tool(self, name: str, *arguments: str) -> None:
        """A client program of the server's version, as its superuser."""
        environment = {**os.environ, "PGPASSWORD": self.server.password, "PGUSER": self.server.superuser}
        environment |= {"PGHOST": self.server.host, "PGPORT": str(self.server.port)}
        subprocess.run([str(self.server.bin_dir / name), *arguments], check=True, env=environment)

    def dump(self, target: Path, *how: str) -> None:
        """`pg_dump` of what a backup of ours holds."""
        left_out = [f"--exclude-table-data={pattern}" for pattern in NOT_BACKED_UP]
        self.tool("pg_dump", *how, *left_out, "--file", str(target), SOURCE)

    def parameters(self, database: str) -> dict[str, str]:
        """How the superuser connects."""
        dsn = psycopg.conninfo.conninfo_to_dict(self.server.superuser_dsn(database))
        return {name: str(value) for name, value in dsn.items()}

    def execute(self, database: str, *statements: str) -> None:
        """Each statement in a transaction of its own."""
        with psycopg.connect(self.server.superuser_dsn(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    def build(self, size: float, *more: str) -> None:
        """The source: a CollabHunts of `size`, and what `more` statements add."""
        self.server.create_database(SOURCE)
        build_database(self.server.superuser_dsn(SOURCE), owner_password=secrets.token_hex(8), size=size)
        self.execute(SOURCE, *more, "vacuum analyze", "checkpoint")

    def server_cpu(self) -> float:
        """CPU seconds that sessions of the database server have taken so far; of those that have ended."""
        time.sleep(0.5)  # the server hears of a session's end a moment after its client
        spent = psutil.Process(self.server.process.pid).cpu_times()
        return float(spent.children_user + spent.children_system)

    def job(self, parameters: Mapping[str, str], **more: Any) -> dict[str, Any]:
        """What a worker process needs: the database's parameters, the bucket (see `store_of`), and `more`."""
        return {"parameters": dict(parameters), "bucket": self.store.bucket, "s3": self._s3_arguments(), **more}

    def _s3_arguments(self) -> dict[str, str]:
        identity = self.s3.identity("admin")
        return {
            "endpoint_url": self.s3.endpoint_url,
            "region_name": self.s3.region,
            "aws_access_key_id": identity.access_key,
            "aws_secret_access_key": identity.secret_key,
        }


def store_of(job: Mapping[str, Any]) -> Store:
    """The store in a worker process; one client a process, as making it takes longer than a small table."""
    return _store(job["bucket"], **job["s3"])


@cache
def _store(bucket: str, **arguments: str) -> Store:
    return Store(client=boto3.client("s3", **arguments), bucket=bucket)


def warm_up(_: int) -> None:
    """Start a worker and let it import: the seconds of a process's start are Airflow's, not the engine's."""
    time.sleep(0.5)


def most_memory() -> int:
    """The most resident bytes this process has had (VmHWM); `ru_maxrss` would begin with that of its parent."""
    status = Path("/proc/self/status").read_text()
    (line,) = [each for each in status.splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
