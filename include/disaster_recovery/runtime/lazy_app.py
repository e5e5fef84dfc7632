"""A web application that is built at its first request: a plugin file runs in every task process too."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from threading import Lock
from typing import Any

from include.disaster_recovery.dashboard.traces import trace_of
from include.disaster_recovery.errors import DisasterRecoveryError

log = logging.getLogger(__name__)

PARENT = "backup_history.parent"  # in the scope: the application that this one is mounted in
App = Callable[..., Awaitable[None]]
Scope = MutableMapping[str, Any]


class LazyApp:
    """ASGI: builds the real application when it is first wanted; a failure is answered, and tried again."""

    def __init__(self, build: Callable[[], App]) -> None:
        self._build, self._lock = build, Lock()
        self._app: App | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Pass a request on."""
        try:
            app = self._app if self._app is not None else await asyncio.to_thread(self._built)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next request tries again
            said = str(error) if isinstance(error, DisasterRecoveryError) else "an unforeseen error"
            log.error("Backup History could not be set up: %s; %s", said, trace_of(error))  # noqa: TRY400 - not its text
            await _answer_failure(send, type(error).__name__, scope["type"])
            return
        await app({**scope, PARENT: scope.get("app")}, receive, send)

    def _built(self) -> App:
        with self._lock:
            app = self._app if self._app is not None else self._build()
            self._app = app
            return app


async def _answer_failure(send: Any, error: str, kind: str) -> None:
    if kind != "http":
        await send({"type": "websocket.close", "code": 1011})
        return
    body = json.dumps({"fact": f"Backup History could not be set up: {error}", "hint": "read the api-server's log"})
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
