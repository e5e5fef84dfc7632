"""Around every answer: headers, the rule against cross-site requests, and no exception without a fact."""

import logging
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from include.disaster_recovery.dashboard.traces import trace_of

log = logging.getLogger(__name__)

MARK = "backup-history"  # of X-Requested-With: a page of another site cannot send it without being asked by us first
LARGEST = 64 * 1024  # bytes of a form
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
        " font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
SAFE = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """ASGI middleware of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer, with our headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        if refused := refusal(scope["method"], Headers(scope=scope)):
            await refused(scope, receive, answer.send)
            return
        if (kind := await self._failed(scope, receive, answer)) is None:
            return
        if answer.has_started:  # outside of the except: what is raised must not carry the error along
            raise RuntimeError(f"the answer broke off: {kind}")
        await failure(kind)(scope, receive, answer.send)

    async def _failed(self, scope: Scope, receive: Receive, answer: "_Answer") -> str | None:
        """Let the application answer; the type of the error if it fails, whose text whoever catches it would log."""
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:  # noqa: BLE001 - whatever it is
            path = scope["path"][:200].encode("unicode_escape").decode()
            log.error("%s %s failed: %s", scope["method"], path, trace_of(error))  # noqa: TRY400 - not its text
            return type(error).__name__
        return None


class _Answer:
    def __init__(self, scope: Scope, send: Send) -> None:
        self._send, self.has_started = send, False
        self._caching = "no-cache" if _is_static(scope) else "no-store"

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_started = True
            headers = MutableHeaders(scope=message)
            headers.update({**HEADERS, "Cache-Control": self._caching})
        await self._send(message)


def refusal(method: str, headers: Headers) -> JSONResponse | None:
    """The answer to a request that another site may have made a browser send, or that is no form of ours."""
    if method in SAFE:
        return None
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return told(415, "the request is not application/json", "send JSON with that Content-Type")
    if not headers.get("content-length", "").isdecimal() or int(headers["content-length"]) > LARGEST:
        return told(413, f"the request is larger than {LARGEST} bytes, or tells no length", "send a shorter one")
    if headers.get("authorization", "").lower().startswith("bearer "):
        return None  # no browser adds it by itself
    if headers.get("x-requested-with") != MARK or _is_foreign(headers):
        return told(403, "the request may come from another site", f"send X-Requested-With: {MARK} from this page")
    return None


def told(status: int, fact: str, hint: str) -> JSONResponse:
    """An error as every one is answered."""
    return JSONResponse({"fact": fact, "hint": hint}, status_code=status)


def failure(kind: str) -> JSONResponse:
    """The answer where nothing else was foreseen: only the error's type, as its text may quote a secret."""
    return told(500, f"the page failed unexpectedly: {kind}", "read the api-server's log")


def _is_foreign(headers: Headers) -> bool:
    if headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return True
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def _is_static(scope: Scope) -> bool:
    return bool(scope["path"].removeprefix(scope.get("root_path", "")).startswith("/static/"))
