"""Who sees what: a viewer looks at everything and may do nothing, a stranger is sent to the login."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.site import Site
from tests.support.visits import Visits, log_in

NEEDS = {
    "Back up now": "collabhunts_backup",
    "Restore…": "collabhunts_restore",
    "Verify": "collabhunts_verify",
    "Drill": "collabhunts_drill",
    "Download": "collabhunts_restore",
    "Pin": "collabhunts_retention",
}


@pytest.mark.parametrize("action", NEEDS)
def test_a_viewer_is_told_why_an_action_is_not_theirs(visits: Visits, action: str):
    page = visits.open(user="viewer")
    if action != "Back up now":
        page.locator(".row-link").first.click()
    button = page.get_by_role("button", name=action, exact=True)
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_have_accessible_description(f"needs the permission to trigger {NEEDS[action]}")
    expect(button).to_have_attribute("title", re.compile(NEEDS[action]))
    before = page.get_by_role("dialog").count()
    button.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(before)


def test_a_viewer_sees_everything(visits: Visits):
    page = visits.open(user="viewer")
    expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")
    expect(page.locator(".tile")).to_have_count(7)
    expect(page.locator("figure.chart")).to_have_count(3)
    page.locator(".row-link").first.click()
    expect(page.get_by_role("dialog").get_by_text("bookings", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    for tab in ("Restores", "Drills"):
        page.get_by_role("tab", name=tab).click()
        expect(page.get_by_role("tabpanel", name=tab)).not_to_be_empty()


def test_nobody_logged_in_comes_back_to_the_page_after_the_login(visits: Visits, site: Site):
    page = visits.open(user=None)
    expect(page).to_have_url(re.compile("/login"))
    log_in(page, site)
    expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")
    expect(page).to_have_url(re.compile("/backup-history/"))
