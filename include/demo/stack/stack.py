"""Postgres, S3 and Airflow together in one folder: up in parallel, down in reverse order whatever happens."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from include.demo.stack.airflow_server import PROJECT, AirflowServer
from include.demo.stack.connections import postgres_connection, s3_connection
from include.demo.stack.errors import StackError
from include.demo.stack.folder_lock import locked_folder
from include.demo.stack.postgres_server import PostgresServer
from include.demo.stack.s3_server import WHEEL, S3Server
from include.demo.stack.secret_files import remembered_secret
from include.demo.stack.signals import exit_on_sigterm, uninterrupted

OWNER = "postgres"
MAINTENANCE = "postgres"  # the database that every server has


def _silent(line: str) -> None:
    """The default `report` of `Stack`."""


@dataclass(kw_only=True)
class Stack:
    """The servers below `folder`, started by entering the context.

    `report` gets one line per server that is ready. `prepare` is called once Postgres and S3 are up, before Airflow's
    components start: it may build the database, and returns further variables for Airflow (connections of targets,
    settings). `with_airflow=False` leaves Airflow out. `keep=False` deletes everything at the end; else the next start
    in the same folder has the same data and passwords. `durable=False` trades crash safety of Postgres for speed.
    `environment` is Airflow's from its database's migration on; `airflow_root` is the path that it is served under.
    `workers` is the number of Celery workers, 0 for the scheduler's own processes.
    """

    folder: Path
    report: Callable[[str], None] = field(default=_silent, repr=False)
    prepare: Callable[[Stack], Mapping[str, str]] | None = field(default=None, repr=False)
    with_airflow: bool = True
    keep: bool = True
    durable: bool = True
    database: str = "collabhunts"
    bucket: str = "collabhunts-backups"
    project: Path = PROJECT
    dags: Path | None = None
    plugins: Path | None = None
    parallelism: int = 8
    triggerer: bool = False
    workers: int = 0
    airflow_port: int = 0
    airflow_root: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    postgres: PostgresServer = field(init=False)
    s3: S3Server = field(init=False)
    _airflow: AirflowServer | None = field(default=None, init=False, repr=False)
    _cleanup: ExitStack = field(default_factory=ExitStack, init=False, repr=False)
    _report_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.resolve()
        self.postgres = PostgresServer(folder=self.folder / "postgres", durable=self.durable)
        self.s3 = S3Server(folder=self.folder / "s3", bucket=self.bucket)
        if self.with_airflow:
            self._airflow = AirflowServer(
                home=self.folder / "airflow",
                project=self.project,
                dags=self.dags,
                plugins=self.plugins,
                parallelism=self.parallelism,
                triggerer=self.triggerer,
                workers=self.workers,
                preferred_port=self.airflow_port,
                root_path=self.airflow_root,
                environment=self.environment,
            )

    def __enter__(self) -> Self:
        """Start everything. Raises StackError when a server does not start; the others are stopped then."""
        # Not listed by others, but passed through by the user that Postgres runs as.
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._cleanup.enter_context(locked_folder(self.folder))  # first: what runs here already is not ours to stop
        self._cleanup.enter_context(exit_on_sigterm())
        for server in (self.postgres, self.s3, self._airflow):
            if server is not None:
                self._cleanup.callback(server.close if self.keep else server.destroy)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything: Airflow, then S3 and Postgres."""
        self.close()

    @property
    def airflow(self) -> AirflowServer:
        """The Airflow server. Raises StackError when the stack is without."""
        if self._airflow is None:
            raise StackError("this stack has no airflow", hint="Stack(with_airflow=True)")
        return self._airflow

    @property
    def owner_password(self) -> str:
        """Password of the role `postgres`, who owns the source database; generated once per folder."""
        return remembered_secret(self.folder / "owner.password")

    def connections(self) -> dict[str, str]:
        """The AIRFLOW_CONN_* variables: databases as the role postgres, collabhunts_s3 with the identity writer.

        Drills make their scratch databases on the same server: a second one would only cost memory here.
        """
        return {
            "AIRFLOW_CONN_COLLABHUNTS_DB": self.connection_to(self.database),
            "AIRFLOW_CONN_COLLABHUNTS_DRILL_DB": self.connection_to(MAINTENANCE),
            "AIRFLOW_CONN_COLLABHUNTS_S3": s3_connection(self.s3),
        }

    def connection_to(self, database: str) -> str:
        """JSON of a connection to another database of the same server as the role postgres."""
        return postgres_connection(self.postgres, database=database, user=OWNER, password=self.owner_password)

    def close(self) -> None:
        """Take everything down; harmless twice. Signals do not interrupt it."""
        with uninterrupted():
            self._cleanup.close()
            if not self.keep:
                shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> None:
        """Airflow's database is made while Postgres and S3 start and `prepare` runs."""
        with ThreadPoolExecutor(max_workers=3) as pool:
            servers = [pool.submit(self._start_postgres), pool.submit(self._start_s3)]
            migration = pool.submit(self._migrate_airflow)
            _results(servers)
            further = dict(self.prepare(self)) if self.prepare is not None else {}
            _results([migration])
        if self._airflow is not None:
            self._start_airflow(self._airflow, {**self.connections(), **self.environment, **further})

    def _start_postgres(self) -> None:
        server = self.postgres.start()
        server.ensure_role(OWNER, self.owner_password)
        if not server.has_database(self.database):
            server.create_database(self.database, owner=OWNER)
        self._tell(f"postgres {server.version} ready on {server.host}:{server.port}", server.started_in_s)

    def _start_s3(self) -> None:
        server = self.s3.start()
        server.create_bucket()
        self._tell(f"s3 (seaweedfs {metadata.version(WHEEL)}) ready on {server.endpoint_url}", server.started_in_s)

    def _migrate_airflow(self) -> None:
        if self._airflow is not None:
            self._airflow.migrate()
            self._tell("airflow database ready", self._airflow.started_in_s["migrate"])

    def _start_airflow(self, server: AirflowServer, environment: Mapping[str, str]) -> None:
        begin = time.monotonic()
        server.environment = environment
        server.start()
        version = metadata.version("apache-airflow-core")
        self._tell(f"airflow {version} ready on {server.base_url}", time.monotonic() - begin)

    def _tell(self, fact: str, seconds: float) -> None:
        with self._report_lock:
            self.report(f"{fact} ({seconds:.1f} s)")


def _results(futures: list[Future[None]]) -> None:
    """Wait for all, then raise the first error."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    for error in errors:
        raise error
