from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from include.demo.stack.airflow_server import PROJECT
from tests.support.site import DAYS, MARKED, PAGE, Site

ACTIONS = ["", "/x/verify", "/x/drill", "/x/download", "/x/pin", "/x/unpin"]
LAZY = "include.disaster_recovery.runtime.lazy_app"
LOADING = """
import sys
from airflow import plugins_manager
from airflow.sdk import plugins_manager as of_tasks
for each in (of_tasks, plugins_manager):
    each.integrate_macros_plugins()
assert plugins_manager.get_import_errors() == {}, plugins_manager.get_import_errors()
mounted = plugins_manager.get_fastapi_plugins()[0]
assert all(each["app"]._app is None for each in mounted), mounted
print()
print(*sys.modules)
"""
FORGED = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhZG1pbiJ9.bm90IHNpZ25lZA"


def routes(site: Site, admin: str) -> list[tuple[str, str]]:
    described: dict[str, Any] = site.client(bearer=admin).get("openapi.json").json()["paths"]
    return [(method, path) for path, methods in described.items() for method in methods]


@pytest.mark.parametrize("token, status", [(None, 401), (FORGED, 403)])
def test_no_route_answers_a_stranger(site: Site, admin: str, token: str | None, status: int):
    found = routes(site, admin)
    assert len(found) > 15
    with site.client(bearer=token) as stranger:
        for method, path in [*found, ("get", "/openapi.json")]:
            filled = re.sub(r"{[^}]+}", "drill", path).removeprefix("/")
            answer = stranger.request(method, filled, headers=MARKED, json={} if method == "post" else None)
            assert answer.status_code == status, (method, path, answer.text)


def test_the_page_sends_a_stranger_to_the_login(site: Site):
    answer = site.client().get("")
    assert answer.status_code == 303
    assert "next=%2Fbackup-history%2F" in answer.headers["location"]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_viewer_may_only_look(site: Site, viewer: str, action: str):
    forms = {"/x/verify": {"depth": "quick"}, "/x/pin": {"reason": "r"}}
    answer = site.client(bearer=viewer).post(f"api/backups{action}", json=forms.get(action, {}))
    assert answer.status_code == 403


def test_a_viewer_sees_the_overview_and_may_nothing(site: Site, viewer: str):
    client = site.client(cookie=viewer)
    assert client.get("api/overview").json()["tiles"]["backups"] == DAYS + 2
    assert not any(client.get("api/me").json()["may"].values())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Requested-With": "backup-history", "Origin": "https://evil.example"},
        {"X-Requested-With": "backup-history", "Origin": "null"},
        {"X-Requested-With": "backup-history", "Sec-Fetch-Site": "cross-site"},
        {"X-Requested-With": "backup-history", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_request_that_another_site_made_is_refused(site: Site, admin: str, headers: dict[str, str]):
    answer = site.client(cookie=admin).post("api/backups", json={}, headers=headers)
    assert answer.status_code == 403
    assert set(answer.json()) == {"fact", "hint"}


def test_a_form_is_refused(site: Site, admin: str):
    assert site.client(cookie=admin).post("api/backups", data={"a": "b"}).status_code == 415


def test_the_page_starts_a_backup_and_follows_it(site: Site, admin: str):
    client = site.client(cookie=admin)
    started = client.post("api/backups", json={}, headers={**MARKED, "Origin": site.origin}).json()
    assert started["is_paused"] is True
    run = client.get(f"api/runs/collabhunts_backup/{started['run_id']}").json()
    assert (run["run_id"], run["state"]) == (started["run_id"], "queued")


def test_airflow_checks_what_a_restore_is_given(site: Site, admin: str):
    form = {"backup_key": "latest", "tables": ["messages", "messages"]}
    answer = site.client(bearer=admin).post("api/restores", json=form)
    assert answer.status_code == 400
    assert "tables" in answer.json()["fact"]


@pytest.mark.parametrize("name", ["nope", "%00", "..%2f..%2fx", "%2e%2e", "x" * 3000])
def test_hostile_ids_are_unknown(site: Site, admin: str, name: str):
    for path in (f"api/backups/{name}", f"api/reports/drill/{name}", f"api/runs/collabhunts_backup/{name}"):
        assert site.client(bearer=admin).get(path).status_code in {404, 405, 422}, path


@pytest.mark.parametrize("path, caching", [("", "no-store"), ("api/me", "no-store"), ("static/js/main.js", "no-cache")])
def test_every_answer_has_the_headers(site: Site, admin: str, path: str, caching: str):
    headers = site.client(bearer=admin).get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == caching


def test_metrics_are_numbers_for_a_monitor(site: Site, viewer: str):
    answer = site.client(bearer=viewer).get("metrics")
    found = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert found["collabhunts_recoverable"] == "1.0"
    assert 0 < float(found["collabhunts_newest_verified_age_seconds"]) < 3600
    assert float(found["collabhunts_newest_proven_age_seconds"]) > 24 * 3600
    assert {name: value for name, value in found.items() if "source_up" in name} == {
        f'collabhunts_source_up{{source="{source}"}}': "1" for source in ("airflow", "bucket", "history")
    }


def test_airflow_has_the_page_in_its_menu(site: Site):
    (plugin,) = [
        p for p in site.airflow.admin.api("GET", "/api/v2/plugins")["plugins"] if p["name"] == "backup_history"
    ]
    assert plugin["external_views"][0]["url_route"] == PAGE.removeprefix("/")


def loaded(plugins: Path) -> set[str]:
    """The modules of a process that loads plugins as a task does, and as the scheduler does beside that: twice."""
    environment = {**os.environ, "AIRFLOW__CORE__PLUGINS_FOLDER": str(plugins), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-c", LOADING]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())  # the lines before it are what was logged


def test_the_plugin_file_is_light_and_may_be_executed_twice(tmp_path: Path):
    ours = loaded(PROJECT / "plugins") - loaded(tmp_path)
    assert {each for each in ours if each.startswith("include.disaster_recovery.runtime.")} == {LAZY}
    foreign = {each.partition(".")[0] for each in ours} - set(sys.stdlib_module_names)
    assert foreign == {"include", "backup_history"}
