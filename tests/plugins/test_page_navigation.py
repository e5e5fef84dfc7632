"""The way to the page, and the ways from it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.support.site import Site
from tests.support.visits import FRAMED, Visits, log_in

MENU = "Backup History"
LOADED = f"{FRAMED}/backup-history/"  # Airflow appends the address of what the frame shows


def ours(page: Page) -> FrameLocator:
    return page.frame_locator("iframe")


def test_whoever_logs_in_finds_the_page_in_airflows_own_menu(visits: Visits, site: Site):
    page = visits.open_path("/", user=None)
    log_in(page, site)
    entry = page.get_by_role("link", name=MENU)  # in sight: in no submenu
    icon = entry.locator("img")
    expect(icon).to_be_visible()
    expect(icon).to_have_js_property("complete", True)
    assert icon.evaluate("image => image.naturalWidth") > 0
    entry.click()
    expect(ours(page).locator(".answer-sentence")).to_contain_text("Recoverable to")
    sandbox = page.locator("iframe").get_attribute("sandbox") or ""
    assert "allow-top-navigation" not in sandbox
    assert "allow-popups" not in sandbox


@pytest.fixture
def run_id(site: Site) -> Iterator[str]:
    """A run that Airflow knows; the DAG is paused, so that nothing happens in it."""
    found = site.airflow.admin.trigger("collabhunts_backup")
    yield found
    site.airflow.admin.api("DELETE", f"/api/v2/dags/collabhunts_backup/dagRuns/{quote(found)}")


@pytest.fixture
def backup_of_run(site: Site, run_id: str) -> Iterator[str]:
    """A backup whose history names that run."""
    insert = """insert into backup_history (backup_type, status, error_message, created_at, components_backed_up)
                values ('manual', 'failed', 'of a run', '2020-01-01', %s::jsonb) returning id::text"""
    ((row_id,),) = site.sql(insert, json.dumps({"run": {"run_id": run_id}}))
    site.renew()
    yield str(row_id)
    site.sql("delete from backup_history where id = %s::uuid", row_id)
    site.renew()


def test_links_to_airflows_pages_work_from_inside_the_sandbox(visits: Visits, run_id: str, backup_of_run: str):
    page, _ = visits.open_in_airflow(f"backup/{backup_of_run}")
    dialog = ours(page).get_by_role("dialog")
    dialog.get_by_role("link", name="Open the run in Airflow").click()
    expect(page).to_have_url(re.compile(re.escape(f"/dags/collabhunts_backup/runs/{quote(run_id)}")))
    expect(page.locator("iframe")).to_have_count(0)
    expect(page.get_by_text("collabhunts_backup").first).to_be_visible()
    page.go_back()
    dialog.get_by_text("Logs in Airflow, task by task").click()
    dialog.get_by_role("link", name="preflight").click()
    expect(page).to_have_url(re.compile("/tasks/preflight"))


def test_an_address_with_a_backup_opens_it_again(visits: Visits):
    page, frame = visits.open_in_airflow()
    frame.locator(".row-link").nth(2).click()
    dialog = ours(page).get_by_role("dialog")
    expect(dialog).to_contain_text("Created")
    expect(page).to_have_url(re.compile(f"{LOADED}#backup/"))
    shared = page.url
    page.reload()
    expect(dialog).to_contain_text("Created")
    page.goto("about:blank")
    page.goto(shared.replace(LOADED, FRAMED))
    expect(dialog).to_contain_text("Created")
    expect(page).to_have_url(shared)


def test_back_closes_the_detail_and_forward_opens_it_again(visits: Visits):
    page, frame = visits.open_in_airflow()
    frame.locator(".row-link").nth(2).click()
    dialog = ours(page).get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.go_back()
    expect(dialog).to_have_count(0)
    expect(page).to_have_url(re.compile(f"{LOADED}$"))
    page.go_forward()
    expect(dialog).to_be_visible()


def test_an_address_with_a_tab_opens_the_tab(visits: Visits):
    page = visits.open("drills")
    expect(page.get_by_role("tab", name="Drills")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="Drills")).to_be_visible()
