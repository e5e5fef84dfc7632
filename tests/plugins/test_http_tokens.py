"""Who is let in: every route of the application, with tokens that are good for nothing."""

from __future__ import annotations

import base64
import http.client
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from airflow.api_fastapi.auth.tokens import JWTGenerator
from fastapi.params import Depends
from fastapi.routing import APIRoute
from starlette.routing import Mount

from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.seams import Sources
from include.disaster_recovery.dashboard.web.app import create_app
from include.disaster_recovery.settings import Settings
from tests.support.site import MARKED, PAGE, Site

OTHER_METHODS = ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"]
HANDS = ["bearer", "cookie"]  # how a token is handed over
TRICKS = [
    f"{PAGE}//api/overview",
    f"{PAGE}/api//overview",
    f"{PAGE}/api/overview/",
    f"{PAGE}/api/overview.",
    f"{PAGE}/api/overview;x",
    f"{PAGE}/api%2foverview",
    f"{PAGE}/%61pi/overview",
    f"{PAGE}/./api/overview",
    f"{PAGE}/%2e/api/overview",
    f"{PAGE}/static/../api/overview",
    f"{PAGE}/static/%2e%2e/index.html",
    f"{PAGE}/static/..%2f..%2fmodel.py",
    f"{PAGE}/static/..%5c..%5cmodel.py",
    f"{PAGE}/static//etc/passwd",
    f"{PAGE}/static/",
    f"{PAGE}/static",
    f"{PAGE}/docs",
    f"{PAGE}/redoc",
    f"{PAGE}/metrics%00",
    f"{PAGE}/../{PAGE[1:]}/api/overview",
    f"http://evil.example{PAGE}/api/overview",
    f"//evil.example{PAGE}/api/overview",
]


class OpenGate:
    """A gate that knows nobody, so that its dependencies can be told from others."""

    def may_read(self) -> None: ...

    def may(self, action: str) -> Any:
        return self.may_read

    def permissions(self) -> Any:
        return self.may_read

    def wants_login(self, status: int, detail: object) -> bool:
        return False

    def login_url(self, next_path: str) -> str:
        return next_path


def nothing(*_: object) -> Any:
    raise AssertionError("nobody asks")


def application(gate: OpenGate) -> Any:
    settings = Settings.model_validate({"tables": {"include": "all"}})
    sources = Sources(settings=settings, source=nothing, store=nothing, now=nothing)
    return create_app(Catalogue(sources), gate, nothing)


def application_routes() -> Iterator[tuple[str, str]]:
    for route in application(OpenGate()).routes:
        if isinstance(route, APIRoute):
            yield from ((method, re.sub(r"{[^}]+}", "drill", route.path).removeprefix("/")) for method in route.methods)


ROUTES = sorted(set(application_routes()))


def secret_of(site: Site) -> str:
    return (site.airflow.home / "secrets" / "jwt.secret").read_text()


def signed(secret: str, *, lifetime: float = 600, audience: str = "apache-airflow", **claims: Any) -> str:
    """A token of the admin as Airflow's own signer makes it."""
    signer = JWTGenerator(audience=audience, valid_for=lifetime, secret_key=secret, issuer=None)
    return signer.generate({"sub": "admin", "role": "admin", "teams": [], **claims})


def with_payload(token: str, **claims: Any) -> str:
    """The token with other claims, and the signature that it had."""
    head, payload, signature = token.split(".")
    changed = {**json.loads(base64.urlsafe_b64decode(payload + "==")), **claims}
    return f"{head}.{_packed(changed)}.{signature}"


def unsigned(token: str) -> str:
    _, payload, _ = token.split(".")
    return f"{_packed({'alg': 'none', 'typ': 'JWT'})}.{payload}."


def _packed(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def handed(how: str, token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if how == "bearer" else {"Cookie": f"_token={token}"}


def asked(client: httpx.Client, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    return client.request(method, path, headers={**MARKED, **headers}, json={} if method == "POST" else None)


def log_out(site: Site, token: str) -> None:
    address = f"{site.origin}/api/v2/auth/logout"
    assert httpx.get(address, headers=handed("cookie", token), trust_env=False).status_code == 307


def raw(site: Site, target: str, headers: dict[str, str]) -> tuple[int, str, str]:
    """Ask for exactly this target, which no client has tidied: status, Location and body."""
    connection = http.client.HTTPConnection(urlsplit(site.origin).netloc, timeout=60)
    with closing(connection):
        connection.putrequest("GET", target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Location", ""), answer.read().decode(errors="replace")


def test_no_route_lacks_the_gate():
    gate = OpenGate()
    app = application(gate)
    assert len(ROUTES) > 18
    for route in app.routes:
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, APIRoute), route
        wanted = [each.dependency for each in route.dependencies if isinstance(each, Depends)]
        assert gate.may_read in wanted, route.path


def test_the_description_knows_every_route_but_itself_and_the_page(site: Site, admin: str):
    described = site.client(bearer=admin).get("openapi.json").json()
    found = {
        (method.upper(), re.sub(r"{[^}]+}", "drill", path).removeprefix("/"))
        for path, methods in described["paths"].items()
        for method in methods
    }
    assert set(ROUTES) - found == {("GET", ""), ("GET", "openapi.json")}


@pytest.fixture(scope="module")
def useless(site: Site, viewer: str) -> dict[str, tuple[str, int]]:
    """Tokens by what is wrong with them, and what Airflow answers."""
    secret = secret_of(site)
    good, late, revoked = signed(secret), signed(secret, lifetime=-60), signed(secret)
    log_out(site, revoked)
    return {
        "expired": (late, 401),
        "revoked by a logout": (revoked, 403),
        "of another user": (with_payload(viewer, sub="admin", role="admin"), 403),
        "of a later end": (with_payload(late, exp=4_000_000_000), 403),
        "alg none": (unsigned(good), 403),
        "signature cut": (good[:-4], 403),
        "no signature": (f"{good.rpartition('.')[0]}.", 403),
        "for another audience": (signed(secret, audience="somebody-else"), 403),
        "by another secret": (signed("x" * 72), 403),
        "no token at all": ("nonsense", 403),
    }


def test_a_token_of_the_sites_own_secret_is_good(site: Site):
    assert site.client(bearer=signed(secret_of(site))).get("api/me").json()["name"] == "admin"


@pytest.mark.parametrize("how", HANDS)
def test_every_route_refuses_a_useless_token(site: Site, useless: dict[str, tuple[str, int]], how: str):
    client = site.client()
    for what, (token, status) in useless.items():
        for method, path in ROUTES:
            answer = asked(client, method, path, handed(how, token))
            assert answer.status_code == (status if path else 303), (what, method, path, answer.text)
            if path:
                assert set(answer.json()) == {"detail"}


def test_the_bearer_counts_where_a_cookie_comes_with_it(site: Site, admin: str, viewer: str):
    client = site.client()

    def name(bearer: str, cookie: str) -> tuple[int, object]:
        answer = client.get("api/me", headers={**handed("bearer", bearer), **handed("cookie", cookie)})
        return answer.status_code, answer.json().get("name")

    assert name(viewer, admin) == (200, "viewer")
    assert name(admin, "nonsense") == (200, "admin")
    assert name("nonsense", admin) == (403, None)


@pytest.mark.parametrize("scheme", ["Bearer", "Basic YWRtaW46YWRtaW4=", "Token abc", "Bearerx y"])
def test_what_is_no_bearer_token_does_not_open_the_way_for_another_site(site: Site, admin: str, scheme: str):
    headers = {**handed("cookie", admin), "Authorization": scheme, "Origin": "https://evil.example"}
    answer = site.client().post("api/backups", json={}, headers=headers)
    assert answer.status_code == 403
    assert set(answer.json()) == {"fact", "hint"}


def test_after_a_logout_the_page_leads_to_the_login(site: Site):
    token = signed(secret_of(site))
    client = site.client(cookie=token)
    assert client.get("").status_code == 200
    log_out(site, token)
    answer = client.get("")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/auth/login?next=%2Fbackup-history%2F")
    assert '_token=""' in answer.headers["set-cookie"]


def test_other_methods_do_nothing(site: Site, admin: str):
    client = site.client()
    for headers in ({}, handed("bearer", admin)):
        for path in sorted({path for _, path in ROUTES}):
            for method in OTHER_METHODS:
                answer = client.request(method, path, headers={**MARKED, **headers, "Content-Length": "0"})
                assert answer.status_code == 405, (method, path, answer.text)
                assert answer.headers["allow"] in {"GET", "POST"}
                assert method == "HEAD" or set(answer.json()) == {"fact", "hint"}


@pytest.mark.parametrize("target", TRICKS)
def test_no_spelling_of_a_path_is_a_way_in_or_out(site: Site, admin: str, target: str):
    status, location, body = raw(site, target, {})
    assert status in {400, 401, 404} or body.startswith("<!doctype html>"), (status, body)  # Airflow's own empty page
    assert "evil" not in location
    status, location, body = raw(site, target, handed("bearer", admin))
    assert status in {200, 400, 404}
    assert not location
    assert not any(each in body for each in ("root:", "import ", "Traceback"))


def test_the_login_that_a_stranger_is_sent_to_is_on_this_host(site: Site):
    status, location, _ = raw(site, f"http://evil.example{PAGE}/", {"X-Forwarded-Host": "evil.example"})
    assert (status, location) == (303, "/auth/login?next=%2Fbackup-history%2F")
