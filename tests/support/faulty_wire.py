"""A wire to the real S3 server that can be broken on purpose: an HTTP proxy whose answers a test may delay or damage."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.config import Config
from typing_extensions import Self

from include.demo.stack.s3_identities import S3Identity
from include.demo.stack.s3_server import CLIENT_CONFIG, S3Server

QUICK = Config(retries={"mode": "standard", "total_max_attempts": 3}, read_timeout=20)
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


@dataclass
class Exchange:
    """One request and its answer; `cut` bytes of the body are sent before the connection is closed."""

    method: str
    path: str
    request_headers: dict[str, str]
    request_size: int
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    cut: int | None = None

    @property
    def operation(self) -> str:
        """What S3 calls the request, as far as the tests tell them apart."""
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploadId" in query:
            part = "UploadPartCopy" if "x-amz-copy-source" in self.request_headers else "UploadPart"
            return {"PUT": part, "POST": "Complete", "DELETE": "Abort"}.get(self.method, self.method)
        if "uploads" in query:
            return "Create" if self.method == "POST" else "ListUploads"
        return {"PUT": "Put", "HEAD": "Head", "POST": "Delete"}.get(
            self.method, "List" if "list-type" in query else "Get"
        )

    @property
    def part(self) -> int | None:
        """The number of the part, of a request that writes one."""
        number = parse_qs(urlsplit(self.path).query).get("partNumber")
        return int(number[0]) if number else None

    def answer(self, status: int, body: bytes = b"") -> None:
        """Replace the answer."""
        self.status, self.body = status, body
        self.headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]


Fault = Callable[[Exchange], None]


@dataclass
class FaultyWire:
    """The proxy. `before` may answer in the server's place, `after` may damage the server's answer."""

    server: S3Server
    before: Fault | None = None
    after: Fault | None = None
    seen: list[Exchange] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def client(self, config: Config = QUICK, identity: S3Identity | None = None) -> Any:
        keys = identity or self.server.identity("admin")
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            region_name=self.server.region,
            config=CLIENT_CONFIG.merge(config),
        )

    def count(self, operation: str) -> int:
        return sum(exchange.operation == operation for exchange in self.seen)

    def carry(self, exchange: Exchange, body: bytes) -> None:
        """Send the request on and take the answer, with the faults."""
        with self._lock:
            self.seen.append(exchange)
            self.in_flight += exchange.operation == "UploadPart"
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.before:
                self.before(exchange)
            if not exchange.status:
                self._ask(exchange, body)
                if self.after:
                    self.after(exchange)
        finally:
            with self._lock:
                self.in_flight -= exchange.operation == "UploadPart"

    def _ask(self, exchange: Exchange, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=30)
        connection.putrequest(exchange.method, exchange.path, skip_host=True, skip_accept_encoding=True)
        for name, value in exchange.request_headers.items():
            if name != "expect":
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        exchange.status, exchange.headers, exchange.body = answer.status, answer.getheaders(), answer.read()
        connection.close()


def once(operation: str, fault: Fault, *, times: int = 1) -> Fault:
    """The fault, on the first `times` requests of this operation only."""
    lock, left = threading.Lock(), [times]

    def act(exchange: Exchange) -> None:
        with lock:
            if exchange.operation != operation or not left[0]:
                return
            left[0] -= 1
        fault(exchange)

    return act


def at_random(chance: random.Random, share: float, fault: Fault, *, most: int = 2) -> Fault:
    """The fault, on a share of all requests; none suffers it more than `most` times, so trying again helps.

    What is drawn depends on the kind of request and how many of them came before: threads change little of it.
    """
    seed, lock, came = chance.random(), threading.Lock(), Counter[str]()

    def act(exchange: Exchange) -> None:
        target = f"{exchange.operation} {exchange.path} {exchange.request_headers.get('range')}"
        with lock:
            came[exchange.operation] += 1
            is_drawn = random.Random(f"{seed} {exchange.operation} {came[exchange.operation]}").random() < share
            is_hit = is_drawn and came[target] < most
            came[target] += is_hit
        if is_hit:
            fault(exchange)

    return act


def from_request(
    number: int, fault: Fault, *, methods: Container[str] = ("GET", "PUT", "HEAD", "POST", "DELETE")
) -> Fault:
    """The fault, on every request of these methods from the given one of all requests on."""
    lock, came = threading.Lock(), [0]

    def act(exchange: Exchange) -> None:
        with lock:
            came[0] += 1
            is_reached = came[0] >= number
        if is_reached and exchange.method in methods:
            fault(exchange)

    return act


def refusing(status: int, code: str) -> Fault:
    """An answer of S3 that says no, with its code."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as the test has it</Message></Error>".encode()
    return lambda exchange: exchange.answer(status, body if exchange.method != "HEAD" else b"")


def late(seconds: float) -> Fault:
    return lambda exchange: time.sleep(seconds)


def slow_down(exchange: Exchange) -> None:
    exchange.answer(503, SLOW_DOWN)


def refuse(exchange: Exchange) -> None:
    exchange.answer(403, b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>no</Message></Error>")


def cut_off(exchange: Exchange) -> None:
    """The connection breaks in the middle of the body."""
    exchange.cut = len(exchange.body) // 2


def lose_answer(exchange: Exchange) -> None:
    """The server has done it, nobody hears of it."""
    exchange.cut = -1


def shorten(exchange: Exchange) -> None:
    """A consistent answer with fewer bytes: nothing in HTTP gives it away."""
    exchange.body = exchange.body[:-7]
    kept = [(name, value) for name, value in exchange.headers if name.lower() != "content-length"]
    exchange.headers = [*kept, ("Content-Length", str(len(exchange.body)))]


def flip_byte(exchange: Exchange) -> None:
    """One byte in the middle becomes another."""
    at = len(exchange.body) // 2
    exchange.body = exchange.body[:at] + bytes([exchange.body[at] ^ 0x01]) + exchange.body[at + 1 :]


def _handler(wire: FaultyWire) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            names = {name.lower(): value for name, value in self.headers.items()}
            exchange = Exchange(self.command, self.path, names, len(body))
            try:
                wire.carry(exchange, body)
            except OSError:
                exchange.cut = -1  # the server is gone: so is this connection
            self._answer(exchange)

        def _answer(self, exchange: Exchange) -> None:
            try:
                if exchange.cut != -1:
                    self._head(exchange)
                    if self.command != "HEAD":
                        self.wfile.write(exchange.body[: exchange.cut])
            except OSError:
                exchange.cut = -1  # the client was killed
            self.close_connection = exchange.cut is not None

        def _head(self, exchange: Exchange) -> None:
            self.send_response_only(exchange.status)
            for name, value in exchange.headers:
                if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            length = dict(exchange.headers).get("Content-Length", "0") if self.command == "HEAD" else len(exchange.body)
            if exchange.status != 204:
                self.send_header("Content-Length", str(length))
            self.end_headers()

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any  # noqa: N815 - named by http.server

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by http.server
            """Tests are quiet."""

    return Handler
