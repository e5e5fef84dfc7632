"""A pin is in the bucket, with its reason, and off again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from include.disaster_recovery.backup_key import file_name
from include.disaster_recovery.s3 import pins
from tests.support.acts import ask, dialog, do, id_of, press, see
from tests.support.site import Site
from tests.support.visits import Visits

PREFIX = "backups/"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> {{7*7}} \N{RIGHT-TO-LEFT OVERRIDE}gnip '; drop table x; --"


@pytest.fixture
def key(site: Site) -> Iterator[str]:
    """Of a backup that is pinned by no other test."""
    found = site.planted[5]
    yield found
    site.client(bearer=site.token("admin")).post(f"api/backups/{id_of(site, found)}/unpin", json={})


@pytest.fixture
def detail(visits: Visits, site: Site, key: str) -> Page:
    return see(visits, id_of(site, key))


def badge(page: Page, key: str) -> Locator:
    return page.get_by_role("row").filter(has_text=file_name(key)).locator(".badge.info", has_text="pinned")


def pinned(page: Page, reason: str) -> None:
    ask(page, "Pin").get_by_label("Reason").fill(reason)
    press(dialog(page), "Pin")
    expect(page.get_by_role("button", name="Unpin", exact=True)).to_be_visible()


def test_a_pin_is_in_the_bucket_and_shows_everywhere(detail: Page, site: Site, key: str):
    pinned(detail, "  before the migration ")
    assert pins.pinned(site.store, PREFIX)[key] == "before the migration"
    expect(detail.locator(".panel .facts")).to_contain_text("before the migration")
    expect(badge(detail, key)).to_have_attribute("title", "before the migration")
    expect(detail.get_by_role("button", name="Unpin", exact=True)).to_be_focused()


def test_unpinning_asks_with_the_reason_and_removes_it(detail: Page, site: Site, key: str):
    pinned(detail, "until the audit")
    expect(ask(detail, "Unpin")).to_contain_text("until the audit")
    press(dialog(detail), "Unpin")
    expect(detail.get_by_role("button", name="Pin", exact=True)).to_be_visible()
    expect(badge(detail, key)).to_have_count(0)
    assert key not in pins.pinned(site.store, PREFIX)


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_pin_without_a_reason_is_not_sent(detail: Page, site: Site, key: str, reason: str):
    asked = ask(detail, "Pin")
    asked.get_by_label("Reason").fill(reason)
    expect(asked.get_by_role("button", name="Pin", exact=True)).to_be_disabled()
    detail.keyboard.press("Enter")
    expect(asked).to_be_visible()
    assert key not in pins.pinned(site.store, PREFIX)


def test_a_hostile_reason_is_text(detail: Page, site: Site, key: str):
    pinned(detail, HOSTILE)
    assert pins.pinned(site.store, PREFIX)[key] == HOSTILE.replace("\N{RIGHT-TO-LEFT OVERRIDE}", " ")
    expect(detail.locator(".panel .facts")).to_contain_text("<img src=x onerror")
    do(detail, "Unpin", "Unpin")
    assert detail.title() == "Backup History"
    assert detail.locator("img").count() == 0


def test_the_longest_reason_is_kept_whole(detail: Page, site: Site, key: str):
    pinned(detail, "x" * 500)
    assert pins.pinned(site.store, PREFIX)[key] == "x" * 500
    assert detail.evaluate(
        "document.querySelector('.panel').scrollWidth <= document.querySelector('.panel').clientWidth"
    )


def test_more_cannot_be_typed(detail: Page):
    ask(detail, "Pin")
    detail.keyboard.insert_text("x" * 501)
    expect(dialog(detail).get_by_label("Reason")).to_have_value("x" * 500)
