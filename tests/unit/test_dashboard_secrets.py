"""What goes wrong unforeseen is logged by type and place: texts of other libraries quote logins, parameters and links."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.model import Action, Me
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.dashboard.traces import trace_of
from include.disaster_recovery.dashboard.web.app import create_app
from include.disaster_recovery.dashboard.web.guard import Guard
from include.disaster_recovery.errors import SettingsError, StoreUnavailable
from include.disaster_recovery.runtime.dashboard_runs import AirflowRuns
from include.disaster_recovery.runtime.lazy_app import LazyApp
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings
from tests.support.dashboard import NOW

PASSWORD, SIGNATURE = "hunter2-secret", "X-Amz-Signature=0123456789abcdef"
TEXT = f"connection to db.example.org failed: password={PASSWORD}; https://s3.example.org/b/k?{SIGNATURE}"
SECRETS = (PASSWORD, SIGNATURE, "db.example.org", "s3.example.org")


class DriverError(Exception):
    """As a driver raises it."""


def fail() -> None:
    try:
        raise DriverError(TEXT)
    except DriverError as error:
        raise RuntimeError(f"wrapped: {error}") from error


def scope(path: str = "/api/backups", method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "root_path": "", "headers": [], "query_string": b""}


def ask(app: Any, **more: Any) -> tuple[int, str]:
    """Status and body of an answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(app(scope(**more), receive, send))
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent).decode()


def said(caplog: pytest.LogCaptureFixture) -> str:
    """All that was logged, tracebacks included."""
    formatter = logging.Formatter()
    return "\n".join(formatter.format(each) for each in caplog.records)


def assert_harmless(text: str) -> None:
    assert not [secret for secret in SECRETS if secret in text], text


def test_the_log_of_a_failing_route_holds_no_password_and_no_link(caplog: pytest.LogCaptureFixture):
    async def app(*_: Any) -> None:
        fail()

    status, body = ask(Guard(app))
    assert (status, json.loads(body)["fact"]) == (500, "the page failed unexpectedly: RuntimeError")
    assert_harmless(body + said(caplog))
    assert "GET /api/backups failed: RuntimeError at " in said(caplog)
    assert "guard.py:" in said(caplog)
    assert "caused by DriverError" in said(caplog)


def test_an_answer_that_breaks_off_takes_no_password_along(caplog: pytest.LogCaptureFixture):
    """Whoever catches it, the server or Airflow, logs all of it."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        fail()

    with pytest.raises(RuntimeError, match="broke off") as caught:
        ask(Guard(app))
    assert_harmless("".join(traceback.format_exception(caught.value)) + said(caplog))
    assert caught.value.__context__ is None


def test_the_log_of_a_failing_start_holds_no_password(caplog: pytest.LogCaptureFixture):
    def build() -> Any:
        fail()

    status, body = ask(LazyApp(build))
    assert (status, json.loads(body)["fact"]) == (500, "Backup History could not be set up: RuntimeError")
    assert_harmless(body + said(caplog))
    assert "lazy_app.py:" in said(caplog)


def test_wrong_settings_are_named_where_the_page_cannot_start(caplog: pytest.LogCaptureFixture):
    def build() -> Any:
        raise SettingsError("s3.bucket is empty", hint="name one")

    ask(LazyApp(build))
    assert "s3.bucket is empty" in said(caplog)
    assert "name one" in said(caplog)


def test_the_log_of_an_answer_that_was_not_understood_holds_nothing_of_it(caplog: pytest.LogCaptureFixture):
    async def airflow(scope: Any, _receive: Any, send: Any) -> None:
        answer = {"dag_runs": []} if scope["method"] == "POST" else {"is_paused": TEXT, "next_dagrun_run_after": None}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    facts = asyncio.run(AirflowRuns(airflow, {}).facts())
    assert facts.problem
    assert facts.problem.fact == "Airflow's answer was not understood: ValidationError"
    assert "dashboard_runs.py:" in said(caplog)
    assert_harmless(said(caplog) + facts.to_json()["problem"]["fact"])


def test_a_trace_tells_the_way_through_our_files_without_the_machine():
    try:
        json.loads("{")
    except ValueError as error:
        found = trace_of(error)
    assert found.startswith("JSONDecodeError at ")
    assert found.endswith("json/decoder.py:355 (raw_decode)") or "json/decoder.py:" in found
    assert " /" not in found
    assert trace_of(KeyError(TEXT)) == "KeyError"


def test_a_trace_of_errors_that_cause_each_other_ends():
    one, two = ValueError("a"), ValueError("b")
    one.__cause__, two.__cause__ = two, one
    assert trace_of(one).count("ValueError") <= 5


class OpenGate:
    """Everybody may do everything."""

    @staticmethod
    def may_read() -> None: ...

    def may(self, action: Action) -> Callable[..., Any]:
        return lambda: action

    def permissions(self) -> Callable[..., Any]:
        return lambda: Me(name="admin", may={})

    def wants_login(self, status: int, detail: object) -> bool:
        return False

    def login_url(self, next_path: str) -> str:
        return next_path


def no_bucket() -> Store:
    raise StoreUnavailable('Could not connect to "http://s3.example.org:9000/b?list-type=2"', hint="check it")


def test_an_error_of_ours_is_answered_without_the_address_of_the_server():
    sources = Sources(settings=Settings(), source=fail, store=no_bucket, now=lambda: NOW)
    app = create_app(Catalogue(sources), OpenGate(), lambda: AirflowRuns(None, {}))
    status, body = ask(app, path="/api/reports/drill")
    assert (status, json.loads(body)["fact"]) == (503, "Could not connect to the S3 server")
    assert_harmless(body)
