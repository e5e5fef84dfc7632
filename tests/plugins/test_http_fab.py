"""Under Flask-AppBuilder's auth manager, with its own roles: also one that may touch nothing but the backup's DAG."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest

from include.demo.stack.airflow_server import AirflowServer
from tests.support.site import MARKED, PAGE, Site, running_site

MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
BACKUP = "DAG:collabhunts_backup"
ROLES = {
    "reader": [("can_read", BACKUP)],
    "operator": [
        ("can_read", BACKUP),
        ("can_edit", BACKUP),
        ("can_read", "DAG Runs"),
        ("can_create", "DAG Runs"),
        ("can_read", "Task Instances"),
    ],
    "outsider": [("can_read", "DAG:collabhunts_watch"), ("can_read", "Website")],
}
NOTHING = dict.fromkeys(("backup", "verify", "drill", "restore", "download", "pin"), False)


@dataclass(frozen=True)
class Fab:
    """A site and its users; a user's name is that of the role."""

    site: Site
    password: str = field(default_factory=lambda: secrets.token_hex(8))

    def api(self, method: str, path: str, body: object = None) -> None:
        answer = self.site.airflow.admin.request(method, f"/auth/fab/v1/{path}", body)
        assert answer.is_success, answer.text

    def add(self, user: str, role: str) -> None:
        body = {"username": user, "email": f"{user}@example.org", "first_name": user, "last_name": "of the tests"}
        self.api("POST", "users", {**body, "password": self.password, "roles": [{"name": role}]})

    def token(self, user: str) -> str:
        login = {"username": user, "password": self.password}
        answer = httpx.post(f"{self.site.origin}/auth/token", json=login, trust_env=False, timeout=30)
        return str(answer.json()["access_token"])

    def client(self, user: str) -> httpx.Client:
        return self.site.client(cookie=self.token(user))


def make_admin(airflow: AirflowServer) -> None:
    names = ["--username", "admin", "--email", "admin@example.org", "--firstname", "A", "--lastname", "B"]
    airflow.run("users", "users", "create", *names, "--role", "Admin", "--password", airflow.password())


@pytest.fixture(scope="module")
def fab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fab]:
    # No cache of users: one that is removed is gone at once.
    environment = {"AIRFLOW__CORE__AUTH_MANAGER": MANAGER, "AIRFLOW__FAB__CACHE_TTL": "0"}
    folder = tmp_path_factory.mktemp("fab")
    with running_site(folder, environment=environment, past=False, users=make_admin) as site:
        site.airflow.admin.wait_for_dag("collabhunts_watch")
        made = Fab(site)
        for name, permissions in ROLES.items():
            actions = [{"action": {"name": action}, "resource": {"name": resource}} for action, resource in permissions]
            made.api("POST", "roles", {"name": name, "actions": actions})
            made.add(name, name)
        made.add("viewer", "Viewer")
        yield made


def test_a_stranger_is_sent_to_the_login_form(fab: Fab):
    answer = fab.site.client().get("")
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{fab.site.origin}/auth/login/?next=%2Fbackup-history%2F"
    for path in ("api/overview", "metrics", "openapi.json", "api/me"):
        assert fab.site.client().get(path).status_code == 401


def test_the_login_form_leads_to_the_page(fab: Fab):
    with httpx.Client(trust_env=False, follow_redirects=True, timeout=60) as browser:
        form = browser.get(f"{fab.site.origin}{PAGE}/")
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
        assert token, form.text[:2000]
        login = {"username": "viewer", "password": fab.password, "csrf_token": token[1]}
        page = browser.post(str(form.url), data=login)
        assert page.url.path == f"{PAGE}/"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert browser.get(f"{fab.site.origin}{PAGE}/api/me").json()["name"] == "viewer"


def test_the_admin_may_everything(fab: Fab):
    client = fab.site.client(bearer=fab.site.token("admin"))
    assert client.get("api/me").json()["may"] == dict.fromkeys(NOTHING, True)
    started = client.post("api/backups", json={}).json()
    assert fab.site.airflow.admin.run_state("collabhunts_backup", started["run_id"]) == "queued"
    assert client.post("api/backups/x/pin", json={"reason": "r"}).status_code == 404
    assert client.post("api/backups/x/download", json={}).status_code == 404
    started = client.post("api/restores", json={"backup_key": "latest"}).json()
    assert client.get(f"api/runs/collabhunts_restore/{started['run_id']}").json()["state"] == "queued"


@pytest.mark.parametrize("user", ["viewer", "reader"])
def test_who_may_read_the_backup_may_only_look(fab: Fab, user: str):
    client = fab.client(user)
    for path in ("", "api/overview", "api/backups", "api/summary", "metrics", "openapi.json", "api/reports/drill"):
        assert client.get(path).status_code == 200, path
    assert client.get("api/me").json()["may"] == NOTHING
    for path, form in (
        ("api/backups", {}),
        ("api/restores", {"backup_key": "latest"}),
        ("api/backups/x/verify", {}),
        ("api/backups/x/drill", {}),
        ("api/backups/x/download", {}),
        ("api/backups/x/pin", {"reason": "r"}),
        ("api/backups/x/unpin", {}),
    ):
        answer = client.post(path, json=form, headers=MARKED)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"}), path


def test_what_a_reader_may_not_see_of_airflow_does_not_take_the_page_away(fab: Fab):
    reader, viewer = (fab.client(user).get("api/overview").json() for user in ("reader", "viewer"))
    of_airflow = [each for each in reader["problems"] if each["source"] == "airflow"]
    assert len(of_airflow) == 1
    assert "403" in of_airflow[0]["fact"]
    assert [each for each in reader["problems"] if each not in of_airflow] == viewer["problems"]
    assert viewer["tiles"]["is_paused"] is True


def test_who_may_start_the_backup_only_may_nothing_else(fab: Fab):
    client = fab.client("operator")
    assert client.get("api/me").json()["may"] == {**NOTHING, "backup": True}
    started = client.post("api/backups", json={}, headers=MARKED)
    assert started.status_code == 200, started.text
    run_id = started.json()["run_id"]
    assert client.get(f"api/runs/collabhunts_backup/{run_id}").json()["state"] == "queued"
    assert client.post("api/restores", json={"backup_key": "latest"}, headers=MARKED).status_code == 403
    assert client.get("api/runs/collabhunts_restore/x").status_code in {403, 404}


def test_who_may_not_read_the_backup_sees_nothing(fab: Fab):
    client = fab.client("outsider")
    for path in (
        "",
        "api/overview",
        "api/me",
        "api/backups",
        "metrics",
        "openapi.json",
        "api/runs/collabhunts_watch/x",
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"}), path


def test_a_user_who_was_removed_is_nobody(fab: Fab):
    fab.add("leaver", "Admin")
    client = fab.client("leaver")
    assert client.get("api/me").status_code == 200
    token = client.cookies["_token"]
    fab.api("DELETE", "users/leaver")
    for path in ("api/me", "api/overview", "metrics"):
        assert fab.site.client(cookie=token).get(path).status_code == 403
    answer = fab.site.client(bearer=token).post("api/backups", json={})
    assert answer.status_code == 403
    page = fab.site.client(cookie=token).get("")
    assert page.status_code == 303
    assert "/auth/login/" in page.headers["location"]
