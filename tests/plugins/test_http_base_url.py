"""An Airflow below a path, as behind a proxy: `AIRFLOW__API__BASE_URL` ends in it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.support.site import MARKED, PAGE, Site, running_site

ROOT = "/af/tools"


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("below"), root=ROOT, past=False) as found:
        yield found


@pytest.fixture(scope="module")
def client(below: Site) -> httpx.Client:
    return below.client(cookie=below.token("admin"))


def test_the_site_is_below_the_path(below: Site):
    assert below.airflow.base_url == f"{below.origin}{ROOT}"


def test_the_page_and_all_that_it_loads_is_below_it(client: httpx.Client):
    page = client.get("")
    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(loaded) > 3
    for each in loaded:
        assert not each.startswith(("/", "http:", "https:"))
        answer = client.get(each)
        caching = "no-cache" if each.startswith("static/") else "no-store"
        assert (answer.status_code, answer.headers["cache-control"]) == (200, caching), each


def test_its_endpoints_are_below_it(client: httpx.Client):
    overview = client.get("api/overview").json()
    assert overview["answer"]["level"] == "bad"
    assert [each["source"] for each in overview["problems"]] in ([], ["history"])  # Airflow was understood
    assert overview["tiles"]["is_paused"] is True
    assert client.get("api/me").json()["may"]["restore"] is True
    assert client.get("metrics").status_code == 200


def test_its_description_says_where_it_is(client: httpx.Client):
    assert client.get("openapi.json").json()["servers"] == [{"url": f"{ROOT}{PAGE}"}]


def test_a_stranger_is_sent_to_the_login_below_it(below: Site):
    answer = below.client().get("")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{ROOT}/auth/login?next=%2Faf%2Ftools%2Fbackup-history%2F"
    login = httpx.get(f"{below.origin}{answer.headers['location']}", trust_env=False, follow_redirects=True)
    assert login.status_code == 200
    assert f'<base href="{ROOT}/' in login.text


@pytest.mark.parametrize("path", ["api/overview", "metrics", "openapi.json"])
@pytest.mark.parametrize("root", ["", ROOT])
def test_no_path_is_a_way_around_the_login(below: Site, root: str, path: str):
    answer = httpx.get(f"{below.origin}{root}{PAGE}/{path}", trust_env=False)
    assert answer.status_code == (401 if root else 404)


def test_the_page_starts_a_run_and_follows_it(below: Site, client: httpx.Client):
    headers = {**MARKED, "Origin": below.origin, "Sec-Fetch-Site": "same-origin"}
    started = client.post("api/backups", json={}, headers=headers).json()
    assert client.get(f"api/runs/collabhunts_backup/{started['run_id']}").json()["state"] == "queued"
    assert below.airflow.admin.run_state("collabhunts_backup", started["run_id"]) == "queued"


def test_a_request_that_another_site_made_is_refused_there_too(below: Site, client: httpx.Client):
    headers = {**MARKED, "Origin": "https://evil.example"}
    assert client.post("api/backups", json={}, headers=headers).status_code == 403


def test_airflow_has_the_page_in_its_menu_there(below: Site, client: httpx.Client):
    (plugin,) = [
        each
        for each in below.airflow.admin.api("GET", "/api/v2/plugins")["plugins"]
        if each["name"] == "backup_history"
    ]
    assert not plugin["external_views"][0]["href"].startswith("/")  # below <base href>, which Airflow's page has
    assert f'<base href="{ROOT}/"' in httpx.get(f"{below.origin}{ROOT}/", trust_env=False).text
