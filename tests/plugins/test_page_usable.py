"""The page is usable by whoever comes: with a keyboard, a screen reader, a phone, in the dark, in another time zone."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.support.site import Site
from tests.support.visits import Visits

BERLIN = ZoneInfo("Europe/Berlin")
ACTIONS = ("Restore…", "Verify", "Drill", "Download", "Pin")
LOOKS = [("light", 1400), ("dark", 1400), ("light", 375), ("dark", 375)]
Theme = Literal["light", "dark"]


def barriers(page: Page) -> dict[str, list[str]]:
    """What axe finds: the elements by the rule that they break."""
    found = Axe().run(page).response["violations"]
    return {rule["id"]: [node["html"][:200] for node in rule["nodes"]][:5] for rule in found}


def is_too_wide(page: Page) -> bool:
    boxes = "[document.documentElement, ...document.querySelectorAll('dialog')]"
    return bool(page.evaluate(f"{boxes}.some(each => each.scrollWidth > each.clientWidth + 1)"))


def ready(page: Page) -> Page:
    expect(page.locator(".backups tbody tr").first).to_be_visible()
    expect(page.locator("#answer[aria-busy], .list[aria-busy]")).to_have_count(0)
    return page


def detail(page: Page) -> Locator:
    page.locator(".row-link").first.click()
    box = page.get_by_role("dialog").first
    expect(box.get_by_text("bookings", exact=True)).to_be_visible()
    return box


@pytest.mark.parametrize("theme, width", LOOKS)
def test_axe_finds_nothing_on_the_list_and_its_tabs(visits: Visits, theme: Theme, width: int):
    page = ready(visits.open(theme=theme, width=width))
    page.get_by_text("As a table").first.click()
    page.locator(".day.proven").first.click()
    page.locator(".backups input[type=checkbox]").first.check()
    assert barriers(page) == {}
    for tab in ("Restores", "Drills"):
        page.get_by_role("tab", name=tab).click()
        expect(page.locator(f"#panel-{tab.lower()} .skeleton")).to_have_count(0)
        assert barriers(page) == {}, tab
    assert not is_too_wide(page)


@pytest.mark.parametrize("theme, width", [LOOKS[0], LOOKS[3]])  # colours and widths do not depend on each other
def test_axe_finds_nothing_on_a_backup_and_its_dialogs(visits: Visits, theme: Theme, width: int):
    page = ready(visits.open(theme=theme, width=width))
    box = detail(page)
    assert barriers(page) == {}
    assert not is_too_wide(page)
    for action in ACTIONS:
        box.get_by_role("button", name=action, exact=True).click()
        expect(page.get_by_role("dialog")).to_have_count(2)
        assert barriers(page) == {}, action
        assert not is_too_wide(page), action
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(1)


def test_axe_finds_nothing_on_two_backups_side_by_side(visits: Visits):
    page = ready(visits.open(width=375))
    for at in (0, 1):
        page.locator(".backups input[type=checkbox]").nth(at).check()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("dialog").get_by_text("bookings", exact=True)).to_be_visible()
    assert barriers(page) == {}
    assert not is_too_wide(page)


def tab_to(page: Page, target: Locator) -> None:
    for _ in range(80):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("Tab does not get there")


def test_the_keyboard_reaches_everything_in_order(visits: Visits):
    page = ready(visits.open())
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the backups")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    way = [
        page.get_by_role("button", name="Back up now"),
        page.locator("summary").first,
        page.locator(".day[tabindex='0']"),
        page.get_by_role("tab", name="Backups"),
        page.get_by_label("Show", exact=True),
        page.get_by_role("searchbox"),
        page.get_by_role("columnheader", name="Created").get_by_role("button"),
        page.locator(".row-link").first,
    ]
    for stop in way:
        tab_to(page, stop)
        assert stop.evaluate("element => getComputedStyle(element).outlineStyle") != "none"


def test_the_skip_link_skips_to_the_lists(visits: Visits):
    page = ready(visits.open())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#lists")).to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Tab")
    expect(page.get_by_role("tab", name="Backups")).to_be_focused()


def test_a_detail_opens_with_enter_closes_with_escape_and_gives_the_focus_back(visits: Visits):
    page = ready(visits.open())
    row = page.locator(".row-link").nth(1)
    row.focus()
    page.keyboard.press("Enter")
    box = page.get_by_role("dialog")
    expect(box.get_by_role("heading", name="Backup of")).to_be_visible()
    page.keyboard.press("Tab")
    assert box.evaluate("box => box.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(row).to_be_focused()


def test_arrows_move_through_tabs_and_days(visits: Visits):
    page = ready(visits.open())
    page.get_by_role("tab", name="Backups").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Restores")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="Restores")).to_be_visible()
    today = page.locator(".day[tabindex='0']")
    label = today.get_attribute("aria-label")
    today.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".day:focus")).not_to_have_attribute("aria-label", label or "")
    page.keyboard.press("End")
    expect(page.locator(".day:focus")).to_have_attribute("aria-label", label or "")


def test_the_phone_shows_the_answer_first_and_everything_within_its_width(visits: Visits):
    page = ready(visits.open(width=375, height=667))
    expect(page.locator(".answer-sentence")).to_be_in_viewport(ratio=1)
    expect(page.locator(".backups thead")).to_have_css("position", "absolute")  # cards: each value has its label
    assert not is_too_wide(page)


def test_the_narrow_table_keeps_every_value_within_the_width(visits: Visits):
    for width in (320, 800, 1280):
        assert not is_too_wide(ready(visits.open(width=width))), width


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_page_is_as_light_or_dark_as_the_system(visits: Visits):
    page = ready(visits.open(theme="dark"))
    dark = background(page)
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert background(page) != dark


def test_the_choice_in_airflow_comes_before_the_system(visits: Visits):
    page, frame = visits.open_in_airflow()
    html = frame.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    page.evaluate("document.documentElement.className = 'dark'")  # as Airflow's switch does
    expect(html).to_have_attribute("data-theme", "dark")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    expect(page.locator("html")).to_have_class(re.compile("dark"))
    expect(page.frame_locator("iframe").locator("html")).to_have_attribute("data-theme", "dark")


def test_moments_are_local_with_utc_on_hover(visits: Visits):
    page = ready(visits.open())
    for at in range(3):
        moment = page.locator(".row-link time").nth(at)
        when = datetime.fromisoformat((moment.get_attribute("datetime") or "").replace("Z", "+00:00"))
        expect(moment).to_contain_text(when.astimezone(BERLIN).strftime("%H:%M"))
        expect(moment).to_have_attribute("title", f"{when:%Y-%m-%d %H:%M:%S} UTC")


def night(site: Site, at: int) -> str:
    """The label of the day of a planted backup."""
    (day,) = re.findall(r"\d{4}-\d\d-\d\d", site.planted[at])
    return f"{datetime.fromisoformat(day):%A %-d %B %Y}".replace(" ", ".*", 1)


def test_the_calendar_tells_proven_verified_and_failed_days_apart(visits: Visits, site: Site):
    page = ready(visits.open())
    expected = {"proven": (0, "proven by a drill"), "verified": (1, "verified"), "failed": (4, "failed")}
    colours = {"none": colour_of(page.locator(".day.none").first)}
    for state, (at, words) in expected.items():
        day = page.get_by_role("button", name=re.compile(night(site, at)))
        expect(day).to_have_class(f"day {state}")
        expect(day).to_have_accessible_name(re.compile(f"{words}$"))
        colours[state] = colour_of(day)
    assert len(set(colours.values())) == 4
    expect(page.get_by_role("list", name="Legend").get_by_role("listitem")).to_have_count(5)


def colour_of(element: Locator) -> str:
    return str(element.evaluate("element => getComputedStyle(element).backgroundColor"))


def test_a_day_of_the_calendar_leads_to_its_backup(visits: Visits, site: Site):
    page = ready(visits.open())
    page.get_by_role("button", name=re.compile(night(site, 1))).click()
    page.get_by_role("link", name="Open it").click()
    expect(page.get_by_role("dialog")).to_contain_text(site.planted[1])


@pytest.mark.parametrize("title", ["Size and rows", "Duration of backups and drills"])
def test_a_chart_is_also_a_table(visits: Visits, title: str):
    page = ready(visits.open())
    figure = page.locator("figure", has_text=title)
    expect(figure.locator(".chart-plot")).to_have_attribute("aria-hidden", "true")
    expect(figure.locator("canvas")).to_be_visible()
    figure.get_by_text("As a table").click()
    expect(figure.get_by_role("row").nth(1)).to_be_visible()
    figure.get_by_role("rowheader").first.get_by_role("link").click()
    expect(page.get_by_role("dialog")).to_contain_text("Created")
