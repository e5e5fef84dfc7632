"""The bucket, the database or both are out of reach: every route still answers, and says which it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.support.site import Site

DOWN = [("bucket",), ("history",), ("bucket", "history")]
ACTIONS: dict[str, Any] = {
    "api/backups/{id}/verify": {},
    "api/backups/{id}/drill": {},
    "api/backups/{id}/download": {},
    "api/backups/{id}/pin": {"reason": "r"},
    "api/backups/{id}/unpin": {},
}


@contextmanager
def stopped(site: Site, sources: tuple[str, ...]) -> Iterator[None]:
    """Without these servers, and with them again."""
    servers = {"bucket": site.stack.s3, "history": site.stack.postgres}
    with ExitStack() as back:
        back.callback(site.renew)
        for source in sources:
            servers[source].stop()
            back.callback(servers[source].start)
        site.renew()
        yield


@pytest.fixture(scope="module", params=DOWN, ids="+".join)
def down(request: pytest.FixtureRequest, site: Site, known: Known) -> Iterator[tuple[str, ...]]:
    with stopped(site, request.param):
        yield request.param


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a page that was loaded before would ask for, and how many backups it has seen of each kind."""

    ids: dict[str, str]
    rows: int
    objects: int


@pytest.fixture(scope="module")
def known(site: Site) -> Known:
    site.renew()
    entries = site.client(bearer=site.token("viewer")).get("api/backups", params={"limit": 200}).json()["entries"]
    rows = [each for each in entries if each["id"] != each["file_name"]]
    objects = [each for each in entries if each["in_bucket"]]
    bare = next(each["id"] for each in objects if each["id"] == each["file_name"])
    both = [each["id"] for each in rows if each["in_bucket"]]
    return Known(ids={"row": both[0], "before": both[1], "bare": bare}, rows=len(rows), objects=len(objects))


def reads(known: Known) -> list[str]:
    found = ["", "openapi.json", "metrics", "api/overview", "api/summary", "api/me", "api/backups"]
    found += ["api/reports/drill", "api/reports/restore"]
    found += [f"api/backups/{known.ids[each]}" for each in ("row", "bare")]
    return [*found, f"api/compare?before={known.ids['before']}&after={known.ids['row']}"]


def test_the_page_recovers(site: Site, viewer: str):
    client = site.client(bearer=viewer)
    before = client.get("api/summary").json()
    with stopped(site, ("bucket", "history")):
        assert client.get("api/summary").json()["backups"] == 0
    after = client.get("api/summary").json()
    assert (after["problems"], after["backups"]) == ([], before["backups"])


def test_every_route_answers_and_a_failure_has_a_fact_and_a_hint(
    site: Site, viewer: str, known: Known, down: tuple[str, ...]
):
    client = site.client(bearer=viewer)
    for path in reads(known):
        checked(client.get(path), {200, 503}, path)
    checked(client.get("api/reports/drill/x.json"), {503 if "bucket" in down else 404}, "a report")


def test_every_action_is_refused_with_a_fact_and_a_hint(site: Site, admin: str, known: Known, down: tuple[str, ...]):
    client = site.client(bearer=admin)
    for path, form in ACTIONS.items():
        for kind in ("row", "bare"):
            works = down == ("history",) and kind == "bare"
            answer = client.post(path.format(id=known.ids[kind]), json=form)
            checked(answer, {200} if works else {503}, f"{path} of {kind}: {answer.text}")


def checked(answer: httpx.Response, statuses: set[int], path: str) -> None:
    assert answer.status_code in statuses, path
    if answer.status_code != 200:
        assert set(answer.json()) == {"fact", "hint"}, path
        assert all(answer.json().values()), path


def test_the_answer_names_what_is_out_of_reach(site: Site, viewer: str, known: Known, down: tuple[str, ...]):
    client = site.client(bearer=viewer)
    overview = client.get("api/overview").json()
    assert [each["source"] for each in overview["problems"]] == list(down)
    assert all(each["fact"] and each["hint"] for each in overview["problems"])
    assert overview["answer"]["level"] == ("bad" if "bucket" in down else "warning")
    table = client.get("api/backups").json()
    assert [each["source"] for each in table["problems"]] == list(down)
    assert table["total"] == {("bucket",): known.rows, ("history",): known.objects}.get(down, 0)


def test_monitors_see_which_source_is_down(site: Site, viewer: str, down: tuple[str, ...]):
    text = site.client(bearer=viewer).get("metrics").text
    for source in ("airflow", "bucket", "history"):
        assert f'collabhunts_source_up{{source="{source}"}} {int(source not in down)}\n' in text
    assert ("collabhunts_recoverable 1.0" in text) == ("bucket" not in down)


def test_a_viewer_is_told_no_address_and_no_login(
    site: Site, viewer: str, admin: str, known: Known, down: tuple[str, ...]
):
    client = site.client(bearer=viewer)
    said = "\n".join(client.get(path).text for path in reads(known))
    for path, form in ACTIONS.items():
        said += site.client(bearer=admin).post(path.format(id=known.ids["row"]), json=form).text
    stack = site.stack
    hidden = [
        stack.s3.endpoint_url.rpartition("/")[2],
        stack.postgres.host,
        f"port {stack.postgres.port}",
        stack.owner_password,
        stack.s3.identity("writer").access_key,
        'user "',
        f'"{stack.database}"',
    ]
    assert [each for each in hidden if each in said] == []


def test_a_backup_can_still_be_asked_for(site: Site, admin: str, down: tuple[str, ...]):
    """The run itself will say what it lacks, and alarm."""
    assert site.client(bearer=admin).post("api/backups", json={}).status_code == 200
