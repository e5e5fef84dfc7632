"""What the page can do, over HTTP: the run that Airflow has then, the object in the bucket, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest

from tests.support.site import MARKED, Site

ROWS = "(select id::text from public.messages order by id limit 5) union all (select email from auth.users limit 5)"
NAME = "collabhunts-backup-2025-01-01T00-00-00-000Z.json"
FORMS: dict[str, Any] = {
    "api/backups": {},
    "api/backups/{id}/verify": {"depth": "quick"},
    "api/backups/{id}/drill": {},
    "api/backups/{id}/download": {},
    "api/backups/{id}/pin": {"reason": "an audit"},
    "api/backups/{id}/unpin": {},
    "api/restores": {"backup_key": "latest"},
}


@pytest.fixture(params=["bearer", "cookie"])
def actor(request: pytest.FixtureRequest, site: Site, admin: str) -> httpx.Client:
    """The admin as a program, and as a browser."""
    client = site.client(**{request.param: admin})
    client.headers.update(MARKED)
    return client


def newest(site: Site) -> dict[str, Any]:
    """The newest planted backup, as the table has it."""
    return entry(site, site.planted[-1].rpartition("/")[2])


def entry(site: Site, file_name: str) -> dict[str, Any]:
    found = site.client(bearer=site.token("viewer")).get("api/backups", params={"search": file_name}).json()
    (line,) = found["entries"]
    return dict(line)


def run_of(site: Site, started: dict[str, Any]) -> dict[str, Any]:
    path = f"/api/v2/dags/{started['dag_id']}/dagRuns/{quote(started['run_id'], safe='')}"
    return dict(site.airflow.admin.api("GET", path))


def how_many_runs(site: Site) -> int:
    return int(site.airflow.admin.api("GET", "/api/v2/dags/~/dagRuns", limit=1)["total_entries"])


def test_back_up_verify_and_drill_start_what_was_asked_for(site: Site, actor: httpx.Client):
    key, line = site.planted[-1], newest(site)["id"]
    wanted = {
        "api/backups": ("collabhunts_backup", {}, {}),
        f"api/backups/{line}/verify": ("collabhunts_verify", {"depth": "quick"}, {"backup_key": key, "depth": "quick"}),
        f"api/backups/{line}/drill": ("collabhunts_drill", {}, {"backup_key": key}),
    }
    for path, (dag_id, form, conf) in wanted.items():
        started = actor.post(path, json=form).json()
        run = run_of(site, started)
        assert (started["dag_id"], run["triggering_user_name"], run["run_type"]) == (dag_id, "admin", "manual")
        assert {name: run["conf"].get(name) for name in conf} == conf, run["conf"]
        assert actor.get(f"api/runs/{dag_id}/{started['run_id']}").json()["state"] == "queued"


def test_a_restore_runs_with_exactly_its_form(site: Site, actor: httpx.Client):
    form = {
        "backup_key": site.planted[-1],
        "target_conn_id": "collabhunts_restore_db",
        "tables": ["messages", "auth.users"],
        "mode": "replace",
        "restore_schema": True,
        "dry_run": True,
        "require_approval": False,
    }
    started = actor.post("api/restores", json=form).json()
    assert run_of(site, started)["conf"] == form


def test_a_restore_may_name_the_newest_or_a_file(site: Site, admin: str):
    for wanted in ("latest", site.planted[0].rpartition("/")[2]):
        answer = site.client(bearer=admin).post("api/restores", json={"backup_key": wanted})
        assert run_of(site, answer.json())["conf"]["backup_key"] == wanted


@pytest.mark.parametrize(
    "key",
    [
        f"other/{NAME}",
        f"backups/../other/{NAME}",
        f"/{NAME}",
        f"s3://elsewhere/{NAME}",
        "/etc/passwd",
        "staging/x",
        f"backups/deeper/{NAME}",
        "backups/",
        "all",
        "  ",
        "latest\nx",
        "<script>",
        "\u202e" + NAME,
    ],
)
def test_no_restore_is_started_from_outside_the_prefix(site: Site, admin: str, key: str):
    before = how_many_runs(site)
    answer = site.client(bearer=admin).post("api/restores", json={"backup_key": key})
    assert answer.status_code == 404
    assert set(answer.json()) == {"fact", "hint"}
    assert how_many_runs(site) == before


@pytest.mark.parametrize(
    "form, status",
    [
        ({"tables": ["messages", "messages"]}, 400),  # by Airflow, from the DAG's own Params
        ({"tables": []}, 422),
        ({"tables": "messages"}, 422),
        ({"tables": [1]}, 422),
        ({"mode": "delete"}, 422),
        ({"dry_run": "perhaps"}, 422),
        ({"target_conn_id": "postgres://u:p@host/db"}, 422),
        ({"target_conn_id": "x\n"}, 422),
        ({"backup_key": ""}, 422),
        ({"backup_key": "x" * 1025}, 422),
        ({"backup_key": None}, 422),
        ({"logical_date": "2026-01-01"}, 422),
    ],
)
def test_a_restore_with_a_wrong_form_is_refused(site: Site, admin: str, form: dict[str, Any], status: int):
    before = how_many_runs(site)
    answer = site.client(bearer=admin).post("api/restores", json={"backup_key": "latest", **form})
    assert (answer.status_code, set(answer.json())) == (status, {"fact", "hint"}), answer.text
    assert how_many_runs(site) == before


@pytest.mark.parametrize(
    "body, status",
    [
        (b"", 422),
        (b"{", 422),
        (b"null", 422),
        (b"[]", 422),
        (b'"text"', 422),
        (b"NaN", 422),
        (b'{"surprise": 1}', 422),
        (b"\xff\xfe\x00", 400),
        (b"[" * 30_000, 400),
        (b'{"a":' * 9_000 + b"1" + b"}" * 9_000, 400),
        (b" " * 70_000, 413),
    ],
    ids=lambda each: repr(each)[:16],
)
def test_no_action_takes_what_is_no_form(site: Site, admin: str, body: bytes, status: int):
    before, line = how_many_runs(site), newest(site)["id"]
    headers = {"Content-Type": "application/json"}
    for path in FORMS:
        answer = site.client(bearer=admin).post(path.format(id=line), content=body, headers=headers)
        assert answer.status_code in {status, 400, 422}, (path, answer.text)
        assert set(answer.json()) == {"fact", "hint"}
        assert len(answer.text) < 1000
    assert how_many_runs(site) == before


def test_a_body_of_untold_length_is_refused(site: Site, admin: str):
    headers = {"Content-Type": "application/json"}
    answer = site.client(bearer=admin).post("api/backups", content=iter([b"{}"]), headers=headers)
    assert answer.status_code == 413


def test_a_backup_is_pinned_and_unpinned(site: Site, actor: httpx.Client):
    line, key = newest(site), site.planted[-1]
    reason = "<b>audit</b> of 2026"
    pinned = actor.post(f"api/backups/{line['id']}/pin", json={"reason": f" {reason}\u202e\n"}).json()
    assert (pinned["pinned"], pinned["is_expiring"]) == (reason, False)
    assert newest(site)["pinned"] == reason
    assert any(reason.encode() in each for each in small_objects(site))
    unpinned = actor.post(f"api/backups/{line['id']}/unpin", json={}).json()
    assert unpinned["pinned"] is None
    assert not any(reason.encode() in each for each in small_objects(site))
    assert site.store.head(key) is not None


@pytest.mark.parametrize("reason", ["", " \n\u202e ", "x" * 501, None, 1, ["x"]])
def test_a_pin_wants_a_reason(site: Site, admin: str, reason: object):
    answer = site.client(bearer=admin).post(f"api/backups/{newest(site)['id']}/pin", json={"reason": reason})
    assert answer.status_code == 422


def small_objects(site: Site) -> list[bytes]:
    """Pins, leases and the like: all but the documents."""
    client, bucket = site.store.client, site.store.bucket
    found = client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found if each["Size"] < 10_000]


def test_the_document_is_downloaded_by_a_link_that_no_log_holds(site: Site, actor: httpx.Client):
    backup = site.backups[-1]
    name = backup.run.key.rpartition("/")[2]
    link = actor.post(f"api/backups/{entry(site, name)['id']}/download", json={})
    assert link.headers["cache-control"] == "no-store"
    download = link.json()
    whole = httpx.get(download["url"], trust_env=False)
    assert whole.content == site.store.client.get_object(Bucket=site.store.bucket, Key=backup.run.key)["Body"].read()
    assert len(whole.content) == download["size"]
    assert whole.headers["content-disposition"] == f'attachment; filename="{name}"'
    part = httpx.get(download["url"], headers={"Range": "bytes=100-199"}, trust_env=False)
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    signature = parse_qs(urlsplit(download["url"]).query)["X-Amz-Signature"][0]
    assert httpx.get(download["url"].replace(name, NAME), trust_env=False).status_code == 403
    assert signature not in everything_logged(site)
    assert f"was given a link to {name}" in everything_logged(site)


def test_a_link_ends_after_five_minutes(site: Site, admin: str):
    url = site.client(bearer=admin).post(f"api/backups/{newest(site)['id']}/download", json={}).json()["url"]
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["300"]


def test_what_has_no_object_cannot_be_acted_on(site: Site, admin: str):
    gone = entry(site, "collabhunts-backup-2025-12-07T00-00-00-000Z.json")
    assert gone["in_bucket"] is False
    before = how_many_runs(site)
    for path, form in FORMS.items():
        if "{id}" in path:
            answer = site.client(bearer=admin).post(path.format(id=gone["id"]), json=form)
            assert (answer.status_code, set(answer.json())) == (404, {"fact", "hint"}), path
    assert how_many_runs(site) == before


def test_a_viewer_is_refused_every_action(site: Site, viewer: str):
    before, line = how_many_runs(site), newest(site)["id"]
    for credentials in ({"bearer": viewer}, {"cookie": viewer}):
        client = site.client(**credentials)
        for path, form in FORMS.items():
            answer = client.post(path.format(id=line), json=form, headers=MARKED)
            assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"}), path
    assert how_many_runs(site) == before
    assert newest(site)["pinned"] is None


@pytest.mark.parametrize("dag_id", ["somebody_elses", "~", "..", "collabhunts_backup%00", "COLLABHUNTS_BACKUP", "*"])
def test_a_run_of_a_foreign_dag_is_unknown(site: Site, admin: str, dag_id: str):
    answer = site.client(bearer=admin).get(f"api/runs/{dag_id}/manual__1")
    assert (answer.status_code, set(answer.json())) == (404, {"fact", "hint"})


@pytest.mark.parametrize("run_id", ["~", "a/b", "a%2Fb", "%2e%2e/%2e%2e/config", "x?limit=1", "%F0%9F%92%A9"])
def test_a_run_that_is_not_there_is_unknown(site: Site, admin: str, run_id: str):
    answer = site.client(bearer=admin).get(f"api/runs/collabhunts_backup/{run_id}")
    assert (answer.status_code, set(answer.json())) == (404, {"fact", "hint"}), answer.text


def test_no_answer_and_no_log_holds_a_secret_or_a_row(site: Site, admin: str):
    rows = [str(row[0]) for row in site.sql(ROWS)]
    key = site.backups[-1].run.key
    document = site.store.client.get_object(Bucket=site.store.bucket, Key=key)["Body"].read().decode()
    assert all(row in document for row in rows)
    answers = "\n".join(all_answers(site, admin))
    assert key in answers
    kept = {**secrets_of(site), **{f"row {number}": row for number, row in enumerate(rows)}}
    logged = everything_logged(site)
    assert {name for name, text in kept.items() if text in answers} == set()
    assert {name for name, text in kept.items() if text in logged} == set()


def all_answers(site: Site, admin: str) -> Iterator[str]:
    """Of every route that reads, about backups that were really taken."""
    client = site.client(bearer=admin)
    before, after = (entry(site, backup.run.key.rpartition("/")[2])["id"] for backup in site.backups)
    started = client.post("api/backups", json={}).json()
    filled = {"backup_id": after, "kind": "drill", "name": "x", **started}
    described: dict[str, Any] = client.get("openapi.json").json()["paths"]
    for path in [*(path for path, methods in described.items() if "get" in methods), "/openapi.json", "/"]:
        answer = client.get(path.format_map(filled).removeprefix("/"), params={"before": before, "after": after})
        assert answer.status_code == (404 if "{name}" in path else 200), answer.text
        yield answer.text


def secrets_of(site: Site) -> dict[str, str]:
    found = {
        "the owner's password": site.stack.owner_password,
        "the superuser's password": site.stack.postgres.password,
        "the server's address": f"{site.stack.postgres.host}:{site.stack.postgres.port}",
        "the bucket's address": site.stack.s3.endpoint_url,
        **{file.name: file.read_text() for file in (site.airflow.home / "secrets").iterdir()},
    }
    for name in ("admin", "writer"):
        identity = site.stack.s3.identity(name)
        found |= {f"{name}'s key": identity.access_key, f"{name}'s secret": identity.secret_key}
    return found


def everything_logged(site: Site) -> str:
    """By all components, and by tasks."""
    return "\n".join(file.read_text(errors="replace") for file in site.airflow.home.rglob("*.log"))
