"""What the administrator presses in Backup History, and where to look then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from playwright.sync_api import Frame, Locator, Page, expect

from include.disaster_recovery.backup_key import file_name
from tests.support.site import Site
from tests.support.visits import Visits

RUN_MS = 400_000  # for a run of Airflow on a busy machine
Where = Page | Frame


def id_of(site: Site, key: str) -> str:
    """The id under which the page knows a backup."""
    (found,) = entries(site, search=file_name(key))
    return str(found["id"])


def entries(site: Site, **wanted: Any) -> list[dict[str, Any]]:
    """Lines of the table, as the page itself asks for them."""
    answer = site.client(bearer=site.token("admin")).get("api/backups", params=wanted)
    return list(answer.raise_for_status().json()["entries"])


def see(visits: Visits, backup_id: str, **how: Any) -> Page:
    """The page with the detail of a backup open, and shown in full."""
    page = visits.open(f"backup/{backup_id}", **how)
    expect(page.locator(".panel .facts")).to_be_visible()
    return page


def press(where: Where | Locator, name: str) -> None:
    where.get_by_role("button", name=name, exact=True).click()


def dialog(where: Where) -> Locator:
    """The dialog that asks."""
    return where.locator("dialog.box")


def ask(where: Where, action: str) -> Locator:
    """Press an action, and wait for its dialog."""
    press(where, action)
    expect(dialog(where)).to_be_visible()
    return dialog(where)


def do(where: Where, action: str, confirm: str) -> None:
    """Press an action, and confirm it as it stands."""
    press(ask(where, action), confirm)
    expect(dialog(where)).to_have_count(0)


def card(where: Where, what: str) -> Locator:
    """The card of a run, or of a word."""
    return where.locator(".toast").filter(has_text=what)


def ended(where: Where, what: str, how: str = "finished") -> Locator:
    """The card of a run that has ended so."""
    found = card(where, f"{what}: ")
    expect(found).to_contain_text(how, timeout=RUN_MS)
    return found


def run_of(where: Where, what: str) -> str:
    """The id of the run that a card follows, from its link."""
    link = card(where, f"{what}: ").get_by_role("link", name="Open the run in Airflow")
    return unquote(str(link.get_attribute("href")).rpartition("/")[2])


def runs(site: Site, dag_id: str) -> list[str]:
    """The ids of all runs of a DAG."""
    return [run["dag_run_id"] for run in site.airflow.admin.api("GET", f"/api/v2/dags/{dag_id}/dagRuns")["dag_runs"]]


@contextmanager
def unpaused(site: Site, *dag_ids: str) -> Iterator[None]:
    """The scheduler may start runs of these meanwhile."""
    for dag_id in dag_ids:
        site.airflow.admin.wait_for_dag(dag_id)
        site.airflow.admin.unpause(dag_id)
    try:
        yield
    finally:
        for dag_id in dag_ids:
            site.airflow.admin.api("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": True})
