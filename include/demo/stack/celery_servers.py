"""What CeleryExecutor needs beside Airflow: a metadata database in Postgres, Redis as the queue, workers apart.

The workers are as if on machines of their own: nothing but Postgres, S3, Redis and Airflow's API is shared. Each has a
folder of its own with its AIRFLOW_HOME, HOME, TMPDIR, logs, and a host name, which tells what ran where.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import Self

from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.redis_server import RedisServer
from include.demo.stack.server import Server
from include.demo.stack.worker_name import CALLABLE, VARIABLE

DATABASE = "airflow"
# Each process of a worker keeps a connection for its results; the scheduler and the API have pools.
MAX_CONNECTIONS = "150"
VISIBILITY_TIMEOUT_S = "86400"  # a task that is still at work then is queued again: more than any of ours may take


@dataclass(kw_only=True)
class CeleryServers(Server):
    """Metadata database and queue of an Airflow with `workers` workers, each for `slots` tasks at a time.

    `prepare_home` fills the AIRFLOW_HOME of each worker.
    """

    folder: Path
    prepare_home: Callable[[Path], None] = field(repr=False)
    workers: int = 2
    slots: int = 4
    metadata: PostgresServer = field(init=False)
    queue: RedisServer = field(init=False)

    def __post_init__(self) -> None:
        self.metadata = PostgresServer(
            folder=self.folder / "metadata", durable=False, settings={"max_connections": MAX_CONNECTIONS}
        )
        self.queue = RedisServer(folder=self.folder / "queue")

    def start(self) -> Self:
        """Start both, with an empty database the first time. Raises StackError when one does not start."""
        self.queue.start()
        self.metadata.start()
        if not self.metadata.has_database(DATABASE):
            self.metadata.create_database(DATABASE)
        return self

    def close(self) -> None:
        """Stop both and let go of the ports."""
        self.queue.close()
        self.metadata.close()

    def destroy(self) -> None:
        """Close, and delete the data and the workers' folders."""
        self.queue.destroy()
        self.metadata.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def names(self) -> list[str]:
        """The workers' names: worker-1, worker-2, …"""
        return [f"worker-{number}" for number in range(1, self.workers + 1)]

    def environment(self) -> dict[str, str]:
        """Variables of all of Airflow's processes; they hold passwords."""
        address = self.metadata.superuser_dsn(DATABASE).removeprefix("postgresql")
        return {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__HOSTNAME_CALLABLE": CALLABLE,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2{address}",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2{address}",
            "AIRFLOW__CELERY__BROKER_URL": self.queue.url,
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(self.slots),
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": VISIBILITY_TIMEOUT_S,
        }

    def worker_environment(self, name: str) -> dict[str, str]:
        """Variables of one worker; its folders exist afterwards."""
        folder = self.folder / name
        own = {"AIRFLOW_HOME": folder / "airflow", "HOME": folder / "home", "TMPDIR": folder / "tmp"}
        for path in own.values():
            path.mkdir(parents=True, exist_ok=True)
        self.prepare_home(folder / "airflow")
        logs = str(folder / "logs")
        return {VARIABLE: name, "AIRFLOW__LOGGING__BASE_LOG_FOLDER": logs} | {k: str(v) for k, v in own.items()}
