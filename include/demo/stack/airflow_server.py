"""A private Airflow as child processes: scheduler, dag-processor, api-server; triggerer and workers when wanted."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from typing_extensions import Self

from include.demo.stack.airflow_client import AirflowClient
from include.demo.stack.airflow_environment import (
    ADMIN,
    VIEWER,
    AirflowSecrets,
    airflow_environment,
    database_file,
    load_secrets,
)
from include.demo.stack.celery_servers import CeleryServers
from include.demo.stack.errors import ProcessFailed, StackError
from include.demo.stack.ports import HOST, PortLease, lease_port
from include.demo.stack.processes import ManagedProcess
from include.demo.stack.server import Server

PROJECT = Path(__file__).resolve().parents[3]
LOCAL_SETTINGS = PROJECT / "config" / "airflow_local_settings.py"
COMMAND_TIMEOUT_S = 180.0
STOP_GRACE_S = 8.0
START_ATTEMPTS = 3
PORT_TAKEN = "address already in use"
# The api-server first: it takes longest. No log servers: they listen on fixed ports, and the files are at hand.
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
WORKER = ("celery", "worker", "--skip-serve-logs", "--celery-hostname")
WORKER_READY = " ready."
HEALTH_NAMES = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}


@dataclass(kw_only=True)
class AirflowServer(Server):
    """Airflow with AIRFLOW_HOME `home`; as a context manager it is started, and stopped whatever happens.

    `project` goes on PYTHONPATH; `dags` and `plugins` default to its folders. `environment` are further variables, such
    as AIRFLOW_CONN_*; it may change until `start`. `parallelism` is the number of tasks at a time. `preferred_port` is
    taken when free. `root_path` precedes every path, as behind a proxy. `started_in_s` tells the seconds of each part.
    With `workers`, that many Celery workers share `parallelism`, and the metadata is in Postgres (see celery_servers).
    """

    home: Path
    project: Path = PROJECT
    dags: Path | None = None
    plugins: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    parallelism: int = 8
    triggerer: bool = False
    workers: int = 0
    preferred_port: int = 0
    root_path: str = ""
    start_timeout_s: float = 240.0
    started_in_s: dict[str, float] = field(default_factory=dict, init=False)
    _lease: PortLease | None = field(default=None, init=False, repr=False)
    _secrets: AirflowSecrets | None = field(default=None, init=False, repr=False)
    _processes: dict[str, ManagedProcess] = field(default_factory=dict, init=False, repr=False)
    _clients: dict[str, AirflowClient] = field(default_factory=dict, init=False, repr=False)
    _celery: CeleryServers | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.workers:
            self._celery = CeleryServers(
                folder=self.home / "celery",
                prepare_home=_configure,
                workers=self.workers,
                slots=-(-self.parallelism // self.workers),
            )

    @property
    def celery(self) -> CeleryServers:
        """Metadata database and queue of the workers. Raises StackError without workers."""
        if self._celery is None:
            raise StackError("this airflow has no workers", hint="AirflowServer(workers=2)")
        return self._celery

    @property
    def base_url(self) -> str:
        """URL of the user interface and the API. Raises StackError before the first `migrate` or `start`."""
        if self._lease is None:
            raise StackError("airflow has no port before it is started", hint="call start()")
        return f"http://{HOST}:{self._lease.port}{self.root_path}"

    @property
    def admin(self) -> AirflowClient:
        """The API as the user `admin`."""
        return self._client(ADMIN)

    @property
    def viewer(self) -> AirflowClient:
        """The API as the user `viewer`, who may only look."""
        return self._client(VIEWER)

    @property
    def logs(self) -> Path:
        """Folder of the components' logs: migrate.log, scheduler.log, dag-processor.log, api-server.log."""
        return self.home / "components"

    def password(self, user: str = ADMIN) -> str:
        """The generated password of admin or viewer; also in `home`/secrets, so that nothing needs to print it."""
        secrets = self._load_secrets()
        return {ADMIN: secrets.admin_password, VIEWER: secrets.viewer_password}[user]

    def process(self, component: str) -> ManagedProcess:
        """The process of scheduler, dag-processor, api-server, triggerer or worker-1 … Raises KeyError when absent."""
        return self._processes[component]

    def restart(self, component: str) -> None:
        """Start a component again that has ended, as Compose and Kubernetes do; it is not waited for."""
        self._processes[component].stop()
        self._processes[component].start()

    def migrate(self) -> Self:
        """Create or upgrade Airflow's database; `start` does it when it was not done before. Raises ProcessFailed."""
        begin = time.monotonic()
        _configure(self.home)
        self.home.chmod(0o700)
        if self._celery is not None:
            self._celery.start()
        self.run("migrate", "db", "migrate")
        if database_file(self.home).exists():
            with closing(sqlite3.connect(database_file(self.home))) as database:
                database.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not wait for each other
        self.started_in_s["migrate"] = time.monotonic() - begin
        return self

    def run(self, name: str, *arguments: str) -> None:
        """Run one command of Airflow's to its end; its log is `logs`/`name`.log. Raises ProcessFailed."""
        command = self._component(name, arguments)
        try:
            command.start().wait(timeout_s=COMMAND_TIMEOUT_S)
        finally:
            command.stop()

    def start(self) -> Self:
        """Start every component in parallel and wait until all are healthy.

        Raises ProcessFailed with the tail of the log of the component that ended or stayed unhealthy.
        """
        if "migrate" not in self.started_in_s:
            self.migrate()
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._start_components()
                break
            except ProcessFailed as error:
                self.close()
                if PORT_TAKEN not in error.fact or attempt == START_ATTEMPTS:
                    raise
        return self

    def check(self) -> None:
        """Raise ProcessFailed, with its log's tail, when a component has ended by itself."""
        for process in self._processes.values():
            process.check()

    def stop(self, *, kill: bool = False) -> None:
        """Stop the components and every task in 3-9 s, or at once with `kill`; harmless twice."""
        for client in self._clients.values():
            client.close()
        self._clients = {}
        for name in sorted(self._processes, key=lambda name: name == "api-server"):  # it answers the others to the end
            self._processes[name].ask_to_stop(stop_signal=signal.SIGKILL if kill else signal.SIGTERM)
        for process in reversed(self._processes.values()):
            process.stop()
        self._processes = {}

    def close(self) -> None:
        """Stop and let go of the port."""
        self.stop()
        if self._celery is not None:
            self._celery.close()
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def destroy(self) -> None:
        """Kill and delete the home."""
        self.stop(kill=True)
        self.close()
        if self._celery is not None:
            self._celery.destroy()
        shutil.rmtree(self.home, ignore_errors=True)

    def _client(self, user: str) -> AirflowClient:
        if user not in self._clients:
            self._clients[user] = AirflowClient(
                base_url=self.base_url, username=user, password=self.password(user), check=self.check
            )
        return self._clients[user]

    def _load_secrets(self) -> AirflowSecrets:
        self._secrets = self._secrets or load_secrets(self.home)
        return self._secrets

    def _component(self, name: str, arguments: tuple[str, ...], own: Mapping[str, str] | None = None) -> ManagedProcess:
        """One process of Airflow's; `own` are variables of this one alone."""
        self._lease = self._lease or lease_port(preferred=self.preferred_port)
        environment = airflow_environment(
            home=self.home,
            project=self.project,
            dags=self.dags or self.project / "dags",
            plugins=self.plugins or self.project / "plugins",
            port=self._lease.port,
            parallelism=self.parallelism,
            root_path=self.root_path,
            secrets_of=self._load_secrets(),
            extra={**(self._celery.environment() if self._celery else {}), **self.environment, **(own or {})},
        )
        return ManagedProcess(
            name=f"airflow {name}",
            command=[sys.executable, "-m", "airflow", *arguments],
            log_file=self.logs / f"{name}.log",
            env=environment,
            cwd=Path(environment["AIRFLOW_HOME"]),
            grace_s=STOP_GRACE_S,
        )

    def _start_components(self) -> None:
        begin = time.monotonic()
        for name, arguments in COMPONENTS.items():
            if name != "triggerer" or self.triggerer:
                self._processes[name] = self._component(name, arguments).start()
        if self._celery is not None:
            self._celery.start()  # again, where `close` has been
            for name in self._celery.names:
                own = self._celery.worker_environment(name)
                self._processes[name] = self._component(name, (*WORKER, name), own).start()
        self._wait_until_healthy(begin)

    def _wait_until_healthy(self, begin: float) -> None:
        """Note when each component reports healthy, as the api-server tells."""
        missing = dict.fromkeys(self._processes)
        while missing:
            self.check()
            health = self._health()
            for name in list(missing):
                if self._is_healthy(name, health):
                    self.started_in_s[name] = time.monotonic() - begin
                    del missing[name]
            if missing and time.monotonic() - begin > self.start_timeout_s:
                raise ProcessFailed(
                    f"airflow {', '.join(missing)} not healthy after {self.start_timeout_s:.0f} s",
                    hint=f"read {self.logs}",
                )
            time.sleep(0.1)

    def _is_healthy(self, name: str, health: dict[str, dict[str, str]]) -> bool:
        """Whether the component says so: to the API, or a worker in its log."""
        if name == "api-server":
            return bool(health)
        if name in HEALTH_NAMES:
            return health.get(HEALTH_NAMES[name], {}).get("status") == "healthy"
        return WORKER_READY in self._processes[name].log_tail(100)

    def _health(self) -> dict[str, dict[str, str]]:
        """Answer of the health endpoint; empty while the api-server does not answer."""
        try:
            answer = httpx.get(f"{self.base_url}/api/v2/monitor/health", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return {}
        return dict(answer.json()) if answer.is_success else {}


def _configure(home: Path) -> None:
    """Give an AIRFLOW_HOME the `config/` that the image has."""
    (home / "config").mkdir(parents=True, exist_ok=True)
    shutil.copy(LOCAL_SETTINGS, home / "config")
