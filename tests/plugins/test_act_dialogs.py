"""Dialogs: the page's own, for keyboards too, and nothing happens by accident or twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import pytest
from playwright.sync_api import Page, Request, Route, expect

from include.disaster_recovery.s3 import pins
from tests.support.acts import ask, card, dialog, do, id_of, press, runs, see
from tests.support.site import Site
from tests.support.visits import Visits

VERIFY = "collabhunts_verify"
ASKING = ["Restore…", "Verify", "Drill", "Download", "Pin"]
WAYS_OUT = ["Escape", "Cancel", "Close"]


@pytest.fixture
def detail(verified: list[str], visits: Visits, site: Site) -> Page:  # in this order: no page asks for a deleted run
    return see(visits, id_of(site, site.backups[0].run.key))


@pytest.fixture
def posted(detail: Page) -> list[str]:
    """What the page has asked for that changes something."""
    found: list[str] = []

    def notice(request: Request) -> None:
        if request.method == "POST":
            found.append(request.url)

    detail.on("request", notice)
    return found


@contextmanager
def held(page: Page, pattern: str) -> Iterator[list[Route]]:
    """Requests are held up until the end, then answered by the real server."""
    found: list[Route] = []
    page.route(pattern, lambda route: found.append(route))  # noqa: PLW0108 - Playwright takes no builtin
    yield found
    for route in found:
        route.continue_()
    page.unroute(pattern)


@pytest.fixture
def verified(site: Site) -> Iterator[list[str]]:
    """The runs of collabhunts_verify that were there before; new ones, which wait, are deleted."""
    site.airflow.admin.wait_for_dag(VERIFY)
    known = runs(site, VERIFY)
    yield known
    for run_id in set(runs(site, VERIFY)) - set(known):
        site.airflow.admin.api("DELETE", f"/api/v2/dags/{VERIFY}/dagRuns/{run_id}")


def leave(page: Page, way: str) -> None:
    if way == "Escape":
        page.keyboard.press("Escape")
    else:
        press(dialog(page), way)
    expect(dialog(page)).to_have_count(0)


def test_leaving_a_dialog_does_nothing(detail: Page, posted: list[str]):
    for way, action in product(WAYS_OUT, ASKING):
        ask(detail, action)
        leave(detail, way)
        expect(detail.get_by_role("button", name=action, exact=True)).to_be_focused()
    expect(detail.locator(".panel .facts")).to_be_visible()
    assert posted == []


def test_the_focus_stays_inside(detail: Page):
    where = "document.activeElement === document.body || document.activeElement.closest('dialog.box') !== null"
    for action in ASKING:
        ask(detail, action)
        for _ in range(14):
            detail.keyboard.press("Tab")
            assert detail.evaluate(where)
        leave(detail, "Escape")


def test_enter_confirms(detail: Page, site: Site, verified: list[str]):
    ask(detail, "Verify")
    detail.keyboard.press("Enter")
    expect(card(detail, "Verify: ")).to_be_visible()
    assert len(runs(site, VERIFY)) == len(verified) + 1


def test_enter_confirms_a_pin_and_an_unpin(detail: Page, site: Site):
    key = site.backups[0].run.key
    ask(detail, "Pin")
    detail.keyboard.type("by keyboard")
    detail.keyboard.press("Enter")
    expect(detail.get_by_role("button", name="Unpin", exact=True)).to_be_focused()
    assert pins.is_pinned(site.store, "backups/", key)
    detail.keyboard.press("Enter")
    expect(dialog(detail)).to_be_visible()
    detail.keyboard.press("Enter")
    expect(detail.get_by_role("button", name="Pin", exact=True)).to_be_focused()
    assert not pins.is_pinned(site.store, "backups/", key)


def test_enter_in_the_form_of_a_restore_changes_no_database(detail: Page, posted: list[str]):
    asked = ask(detail, "Restore…")
    asked.get_by_label("Restore", exact=True).check()
    asked.get_by_label("Target connection").press("Enter")
    asked.get_by_label("Type RESTORE").press("Enter")
    expect(asked).to_be_visible()
    assert posted == []


def test_while_it_is_asked_nothing_can_be_asked_twice(detail: Page, site: Site, verified: list[str], posted: list[str]):
    asked = ask(detail, "Verify")
    with held(detail, "**/verify"):
        detail.keyboard.press("Enter")
        expect(asked.get_by_role("button", name="Verify", exact=True)).to_be_disabled()
        expect(asked.get_by_role("button", name="Cancel")).to_be_disabled()
        asked.get_by_label("Depth").select_option("quick")
        detail.keyboard.press("Enter")
        expect(asked.get_by_role("button", name="Verify", exact=True)).to_be_disabled()
    expect(dialog(detail)).to_have_count(0)
    assert len(posted) == 1
    assert len(runs(site, VERIFY)) == len(verified) + 1


def test_a_run_that_was_asked_for_is_followed_though_the_dialog_was_closed(detail: Page, verified: list[str]):
    ask(detail, "Verify")
    with held(detail, "**/verify") as waiting:
        detail.keyboard.press("Enter")
        leave(detail, "Escape")
        assert len(waiting) == 1
    expect(card(detail, "Verify: ")).to_be_visible()


def test_a_refusal_is_told_though_the_dialog_was_closed(detail: Page, visits: Visits):
    ask(detail, "Verify")
    with held(detail, "**/verify"):
        detail.keyboard.press("Enter")
        leave(detail, "Escape")
        detail.context.clear_cookies()
    expect(card(detail, "your login has ended \N{EN DASH} log in again")).to_be_visible()
    visits.forgive("401")


def test_a_lost_login_is_told_inside_and_all_stays_as_it_was(detail: Page, visits: Visits):
    asked = ask(detail, "Pin")
    asked.get_by_label("Reason").fill("kept")
    detail.context.clear_cookies()
    press(asked, "Pin")
    expect(asked.get_by_role("alert")).to_have_text("your login has ended \N{EN DASH} log in again")
    expect(asked.get_by_label("Reason")).to_have_value("kept")
    visits.forgive("401")


def test_the_card_of_a_run_can_be_used_over_an_open_detail(detail: Page, verified: list[str]):
    do(detail, "Verify", "Verify")
    expect(detail.locator(".panel .facts")).to_be_visible()
    card(detail, "Verify: ").get_by_role("link", name="Open the run in Airflow").click(trial=True)
    press(card(detail, "Verify: "), "Dismiss")
    expect(card(detail, "Verify: ")).to_have_count(0)


def test_the_card_of_a_run_survives_closing_the_detail(detail: Page, verified: list[str]):
    do(detail, "Verify", "Verify")
    expect(card(detail, "Verify: ")).to_be_visible()
    detail.keyboard.press("Escape")
    expect(detail.locator("dialog")).to_have_count(0)
    expect(card(detail, "Verify: ")).to_contain_text("its DAG is paused")
    card(detail, "Verify: ").get_by_role("link", name="Unpause").click(trial=True)


def test_going_back_closes_what_asks(detail: Page, posted: list[str]):
    ask(detail, "Pin")
    detail.evaluate("location.hash = ''")
    expect(detail.locator("dialog")).to_have_count(0)
    assert posted == []


def test_dialogs_open_in_the_frame_of_airflow(visits: Visits, site: Site):
    page, frame = visits.open_in_airflow(f"backup/{id_of(site, site.backups[0].run.key)}")
    expect(frame.locator(".panel .facts")).to_be_visible()
    for action in ASKING:
        ask(frame, action)
        page.keyboard.press("Escape")
        expect(dialog(frame)).to_have_count(0)


def test_a_viewer_is_told_why_not(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[0].run.key), user="viewer")
    for action in ASKING:
        button = page.locator(".panel").get_by_role("button", name=action, exact=True)
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_accessible_description(re.compile("needs the permission to trigger collabhunts_"))
        button.click(force=True)
        expect(dialog(page)).to_have_count(0)
