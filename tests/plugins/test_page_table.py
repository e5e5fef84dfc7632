"""The table over a long history: filter, search, sorting, paging, and texts that mean harm."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Dialog, Locator, Page, expect

from tests.support.site import Site
from tests.support.visits import Visits

MANY = 5_000
PLANT = f"""
insert into public.backup_history (backup_type, status, file_name, file_size, execution_time_ms, error_message,
                                   components_backed_up, created_at, backup_version)
select 'manual', case n % 10 when 0 then 'failed' else 'success' end, 'planted-' || n || '.json', n * 1000, n * 1000,
       case n % 10 when 0 then 'the disk of number ' || n || ' is full' end,
       jsonb_build_object('total_rows', n) || case n % 10 when 1
         then '{{"expired": {{"at": "2020-01-01T00:00:00Z", "reason": "no rule keeps it"}}}}'::jsonb else '{{}}' end,
       '2012-01-01'::timestamptz + n * interval '1 hour', 'planted'
from generate_series(1, {MANY}) as n
"""
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</td></tr></table><h1>gone</h1>",
    "\u202egnp.exe",
    'O\'Brien "quoted"\nsecond line\t{{ 7 * 7 }} ${alert(1)}',
    "javascript:alert(1)",
    "x" * 10_000,
    "شكرا " * 40,
]


@pytest.fixture(scope="module", autouse=True)
def long_history(site: Site) -> Iterator[None]:
    site.sql(PLANT)
    for text in HOSTILE:
        site.sql(
            "insert into public.backup_history (backup_type, status, file_name, error_message, created_at, backup_version)"
            " values ('manual', 'failed', %s, %s, '2011-01-01', 'planted')",
            f"hostile-{text[:500]}",
            text,
        )
    site.renew()
    yield
    site.sql("delete from public.backup_history where backup_version = 'planted'")
    site.renew()


def summary(page: Page) -> Locator:
    return page.locator(".list-summary")


def search(page: Page, text: str) -> None:
    page.get_by_role("searchbox", name="Search").fill(text)


def first_file(page: Page) -> Locator:
    return page.locator(".backups tbody tr").first.locator(".file")


@pytest.mark.parametrize(
    "status, text, found",
    [
        ("All", "planted-", "1\u201325 of 5,000 entries"),
        ("Successful", "planted-", "1\u201325 of 4,000 entries"),
        ("Failed", "planted-", "1\u201325 of 500 entries"),
        ("Expired", "planted-", "1\u201325 of 500 entries"),
        ("In progress", "planted-", "No entry"),
        ("All", "PLANTED-4999.json", "1 entry"),
        ("All", "the disk of number 4990", "1 entry"),
        ("Successful", "the disk of number 4990", "No entry"),
    ],
)
def test_filter_and_search_find_exactly_what_they_name(visits: Visits, status: str, text: str, found: str):
    page = visits.open()
    page.get_by_label("Show", exact=True).select_option(status)
    search(page, text)
    expect(summary(page)).to_have_text(found)


def test_show_all_undoes_filter_and_search(visits: Visits):
    page = visits.open()
    page.get_by_label("Show", exact=True).select_option("Failed")
    search(page, "no such backup")
    page.get_by_role("button", name="Show all").click()
    expect(summary(page)).to_contain_text("of 5,0")
    expect(page.get_by_role("searchbox", name="Search")).to_have_value("")
    expect(page.get_by_label("Show", exact=True)).to_have_value("all")


def test_each_column_sorts_both_ways(visits: Visits):
    page = visits.open()
    search(page, "planted-")
    for name in ("Rows", "Size", "Duration", "Created"):
        head = page.get_by_role("columnheader", name=name)
        for order, first in (("descending", MANY), ("ascending", 1)):
            head.get_by_role("button").click()
            expect(head).to_have_attribute("aria-sort", order)
            expect(first_file(page)).to_have_text(f"planted-{first}.json")
            expect(page.locator("th[aria-sort=ascending], th[aria-sort=descending]")).to_have_count(1)


def test_sorting_by_status_groups_them(visits: Visits):
    page = visits.open()
    search(page, "planted-")
    head = page.get_by_role("columnheader", name="Status")
    for status in ("success", "expired"):
        head.get_by_role("button").click()
        expect(page.locator(".backups tbody tr").first).to_have_class(status)


def test_pages_follow_each_other_without_gap(visits: Visits):
    page = visits.open()
    search(page, "planted-")
    expect(first_file(page)).to_have_text("planted-5000.json")
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.get_by_role("button", name="Next").click()
    expect(summary(page)).to_have_text("26\u201350 of 5,000 entries")
    expect(first_file(page)).to_have_text("planted-4975.json")
    page.get_by_label("Per page").select_option("100")
    expect(summary(page)).to_have_text("1\u2013100 of 5,000 entries")
    expect(page.locator(".backups tbody tr")).to_have_count(100)
    page.get_by_role("columnheader", name="Created").get_by_role("button").click()
    for _ in range(3):
        page.get_by_role("button", name="Next").click()
    expect(summary(page)).to_have_text("301\u2013400 of 5,000 entries")
    expect(first_file(page)).to_have_text("planted-301.json")


def test_the_page_stays_whole_over_a_long_history(visits: Visits):
    page = visits.open()
    expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")
    expect(page.locator(".day")).not_to_have_count(0)
    assert page.locator(".day").count() <= 53 * 7
    page.locator("details", has_text="As a table").first.locator("summary").click()
    assert page.locator("details table tbody tr").count() <= 200


@pytest.mark.parametrize("width", [1400, 375])
def test_hostile_texts_are_only_text(visits: Visits, width: int):
    page = visits.open(width=width)
    alarms: list[str] = []

    def heard(dialog: Dialog) -> None:
        alarms.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", heard)
    search(page, "hostile-")
    expect(summary(page)).to_have_text(f"{len(HOSTILE)} entries")
    for at in range(len(HOSTILE)):
        page.locator(".row-link").nth(at).click()
        box = page.get_by_role("dialog")
        expect(box.get_by_text("It failed")).to_be_visible()
        assert not is_wider_than_its_box(page)
        page.keyboard.press("Escape")
        expect(box).to_have_count(0)
    everything = page.locator("#panel-backups")
    for text in ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</table><h1>gone</h1>"):
        expect(everything).to_contain_text(text)
    expect(page.locator("main script, main img, main h1")).to_have_count(0)
    assert not is_wider_than_its_box(page)
    assert alarms == []


def is_wider_than_its_box(page: Page) -> bool:
    boxes = "[document.documentElement, ...document.querySelectorAll('dialog')]"
    return bool(page.evaluate(f"{boxes}.some(each => each.scrollWidth > each.clientWidth + 1)"))


def test_a_text_that_turns_the_reading_around_cannot_look_like_another(visits: Visits):
    page = visits.open()
    search(page, "gnp.exe")
    expect(first_file(page)).to_have_text("hostile-\ufffdgnp.exe")
    expect(page.locator(".error-line")).to_have_text("\ufffdgnp.exe")
