"""Wires to the real Postgres: a plain forwarder, and a transaction pooler as small as one can be."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType

import psycopg
from typing_extensions import Self

SSL_REQUEST = 80877103
READY = b"Z\x00\x00\x00\x05I"


def loopback_address() -> str:
    """An address of this machine that no other test uses: the whole of 127/8 is local on Linux."""
    return "127." + ".".join(str(1 + secrets.randbelow(253)) for _ in range(3))


@dataclass
class _Listener:
    parameters: Mapping[str, str]
    port: int = 0
    host: str = field(default_factory=loopback_address)

    def __enter__(self) -> Self:
        self._socket = socket.create_server((self.host, self.port))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    @property
    def address(self) -> dict[str, str]:
        """What a client connects to instead of the server."""
        return {"host": self.host, "port": str(self.port)}

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        raise NotImplementedError


class Forwarder(_Listener):
    """Bytes there and back."""

    def _serve(self, client: socket.socket) -> None:
        address = (self.parameters["host"], int(self.parameters["port"]))
        with client, socket.create_connection(address) as server:
            answers = threading.Thread(target=_pump, args=(server, client), daemon=True)
            answers.start()
            _pump(client, server)
            answers.join()


@dataclass
class Cutter(_Listener):
    """Bytes there and back, until so many have come back: then every connection is reset, and each new one at once.

    With `after` None nothing is cut; `answered` counts on. `mend` starts anew.
    """

    after: int | None = None
    answered: int = 0

    def mend(self, after: int | None = None) -> None:
        self.after, self.answered = after, 0

    def _serve(self, client: socket.socket) -> None:
        address = (self.parameters["host"], int(self.parameters["port"]))
        with client, socket.create_connection(address) as server:
            if self._is_cut():
                _reset(client)
                return
            requests = threading.Thread(target=_pump, args=(client, server), daemon=True)
            requests.start()
            self._answers(server, client)
            requests.join()

    def _answers(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(4096):
                self.answered += len(data)
                if self._is_cut():
                    break
                client.sendall(data)
        _reset(client) if self._is_cut() else _hang_up(client)
        _hang_up(server)

    def _is_cut(self) -> bool:
        return self.after is not None and self.answered > self.after


class TransactionPooler(_Listener):
    """Each transaction of a client runs in the next of two server sessions, as with PgBouncer's transaction mode."""

    def _serve(self, client: socket.socket) -> None:
        sessions = [psycopg.connect(**{**self.parameters, "sslmode": "disable"}) for _ in range(2)]
        servers = [socket.socket(fileno=os.dup(session.pgconn.socket)) for session in sessions]
        try:
            for server in servers:
                server.setblocking(True)
            _greet(client, sessions[0])
            self._transactions(client, servers)
        except (OSError, EOFError):
            pass  # the client hung up without a word
        finally:
            client.close()
            for session, server in zip(sessions, servers, strict=True):
                server.close()
                session.close()

    @staticmethod
    def _transactions(client: socket.socket, servers: list[socket.socket]) -> None:
        current = 0
        while (message := _message(client))[:1] != b"X":
            servers[current].sendall(message)
            if message[:1] not in (b"Q", b"S"):
                continue
            answer = b""
            while answer[:1] != b"Z":
                answer = _message(servers[current])
                client.sendall(answer)
            if answer == READY:  # no transaction is open: the session goes back to the pool
                current = (current + 1) % len(servers)


def _greet(client: socket.socket, session: psycopg.Connection) -> None:
    """The client's startup, answered without asking for a password: the sessions behind have logged in already."""
    length, code = struct.unpack("!II", _exactly(client, 8))
    if code == SSL_REQUEST:
        client.sendall(b"N")
        length, _ = struct.unpack("!II", _exactly(client, 8))
    _exactly(client, length - 8)
    client.sendall(b"R" + struct.pack("!II", 8, 0))
    for name in ("server_version", "server_encoding", "client_encoding", "standard_conforming_strings"):
        value = session.info.parameter_status(name) or ""
        text = f"{name}\0{value}\0".encode()
        client.sendall(b"S" + struct.pack("!I", 4 + len(text)) + text)
    client.sendall(b"K" + struct.pack("!III", 12, session.info.backend_pid, 0) + READY)


def _message(connection: socket.socket) -> bytes:
    head = _exactly(connection, 5)
    return head + _exactly(connection, struct.unpack("!I", head[1:])[0] - 4)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        if not (more := connection.recv(size - len(data))):
            raise EOFError
        data += more
    return data


def _reset(connection: socket.socket) -> None:
    """RST instead of an orderly end, as from a firewall that has forgotten the connection."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    _hang_up(connection)
    connection.close()


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other direction may have ended first
        connection.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for each in (source, sink):
            with contextlib.suppress(OSError):  # the other direction may have ended first
                each.shutdown(socket.SHUT_RDWR)
