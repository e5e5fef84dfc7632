"""Restores and drills that really ran have left a report, which the page lists and opens."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from include.disaster_recovery.backup_key import file_name
from tests.support.acts import press, unpaused
from tests.support.site import Site
from tests.support.visits import Visits

pytestmark = pytest.mark.timeout(900)

UNREADABLE = "2026-01-02T03-04-05-678Z-of-collabhunts-backup-2026-01-02T00-00-00-000Z.json"


@pytest.fixture(scope="module", autouse=True)
def reported(site: Site, small: str) -> None:
    """A report of each kind: of the runs that other tests have started here, else of runs of our own."""
    for kind, more in (("drill", {}), ("restore", {"restore_schema": True})):
        if not site.client(bearer=site.token("admin")).get(f"api/reports/{kind}").json():
            dag_id = f"collabhunts_{kind}"
            with unpaused(site, dag_id):
                run_id = site.airflow.admin.trigger(dag_id, {"backup_key": small, **more})
                assert site.airflow.admin.wait_for_run(dag_id, run_id) == "success"


def opened(visits: Visits, key: str, tab: str) -> Page:
    """The newest report of a tab, opened from its line."""
    page = visits.open()
    page.get_by_role("tab", name=tab).click()
    row = page.get_by_role("tabpanel", name=tab).locator("tbody tr").first
    expect(row).to_contain_text("passed")
    expect(row).to_contain_text(file_name(key))
    expect(row).to_contain_text(re.compile(r"\d+ passed, 0 failed"))
    row.get_by_role("link").click()
    expect(page.locator(".panel .facts")).to_be_visible()
    return page


def table(page: Page, name: str) -> Locator:
    return page.locator(".panel").get_by_role("region", name=name, exact=True)


def test_a_drill_is_listed_and_shows_its_phases(visits: Visits, small: str):
    page = opened(visits, small, "Drills")
    expect(page.locator(".panel h2")).to_contain_text("Drill of")
    for phase in ("rebuild", "load", "compare"):
        expect(table(page, "Phases")).to_contain_text(phase)
    link = page.locator(".panel").get_by_role("link", name="Open the run in Airflow")
    assert "/dags/collabhunts_drill/runs/" in str(link.get_attribute("href"))


def test_a_restore_is_listed_and_shows_what_it_did(visits: Visits, small: str):
    page = opened(visits, small, "Restores")
    expect(page.locator(".panel h2")).to_contain_text("Restore of")
    expect(table(page, "Rows by table").get_by_role("row").filter(has_text="profiles")).to_contain_text(
        re.compile(r"\d")
    )
    page.get_by_text(re.compile(r"\d+ checks passed")).click()
    expect(table(page, "Passed")).to_contain_text("profiles")


def test_closing_a_report_leads_back_to_its_tab(visits: Visits, small: str):
    page = opened(visits, small, "Drills")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page.get_by_role("tab", name="Drills")).to_have_attribute("aria-selected", "true")
    assert page.url.endswith("#drills")


def test_a_report_can_be_linked_to(visits: Visits, small: str):
    page = opened(visits, small, "Restores")
    again = visits.open(page.url.partition("#")[2])
    expect(again.locator(".panel h2")).to_contain_text("Restore of")


def test_a_report_that_cannot_be_read_says_so(visits: Visits, site: Site):
    key = f"backups/drills/{UNREADABLE}"
    site.store.put(key, b"<script>")
    try:
        page = visits.open("drills")
        page.get_by_role("row").filter(has_text="unreadable").get_by_role("link").click()
        expect(page.locator(".panel")).to_contain_text("The report cannot be read")
        press(page, "Copy the name of the report")
    finally:
        site.store.delete([key])
