"""Where alerts arrive: a mail server, an HTTP endpoint, and servers that hang or fail."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass
class Mailbox:
    """Mails in the order of their arrival."""

    host: str
    port: int
    mails: list[Message] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    def body(self, index: int = -1) -> str:
        part = next(part for part in self.mails[index].walk() if part.get_content_type() == "text/html")
        return part.get_payload(decode=True).decode()  # type: ignore[union-attr]


@contextmanager
def mail_server(login: tuple[str, str] | None = None) -> Iterator[Mailbox]:
    """An SMTP server on a free port; with a login it takes nothing from anybody else."""
    box = Mailbox("127.0.0.1", free_port())

    class Handler:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
            box.mails.append(message_from_bytes(envelope.content, policy=default))  # type: ignore[arg-type]
            return "250 taken"

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        is_right = isinstance(given, LoginPassword) and (given.login.decode(), given.password.decode()) == login
        return AuthResult(success=is_right, handled=is_right)

    options: dict[str, Any] = {"auth_required": True, "auth_require_tls": False, "authenticator": authenticate}
    controller = Controller(Handler(), hostname=box.host, port=box.port, **(options if login else {}))
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


@dataclass
class Endpoint:
    """What was posted, as JSON, with the headers; `status` is what the next request is answered.

    While `answers` is not set the endpoint takes what is posted, and hangs instead of answering.
    """

    url: str
    status: int = 200
    answers: threading.Event = field(default_factory=threading.Event)
    received: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@contextmanager
def http_endpoint() -> Iterator[Endpoint]:
    """An HTTP server that takes JSON objects, and says `ok` as Slack does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            endpoint.received.append(json.loads(body))
            endpoint.headers.append(dict(self.headers))
            endpoint.paths.append(self.path)
            endpoint.answers.wait()
            answer = b"ok" if endpoint.status == 200 else b"the answer-canary of a broken server"
            self.send_response(endpoint.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(OSError):  # whoever asked has hung up
                self.wfile.write(answer)

        def log_message(self, *message: Any) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}")
    endpoint.answers.set()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listening:
        yield listening.getsockname()[1]


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
