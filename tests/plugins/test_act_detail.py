"""One backup in full, and two side by side."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from include.disaster_recovery.backup_key import file_name
from tests.support.acts import id_of, press, see
from tests.support.site import PAGE, Site
from tests.support.visits import Visits

TWICE = """() => new Promise((done) => {
  let followed = 0;
  window.addEventListener("hashchange", () => (followed += 1) === 2 && done());
  const { hash } = window.location;
  window.location.hash = "";
  window.location.hash = hash;
})"""


@pytest.fixture
def newest(visits: Visits, site: Site) -> Page:
    return see(visits, id_of(site, site.backups[1].run.key))


def line(page: Page, table: str) -> Locator:
    """A table's line: rows, change, bytes, change."""
    return (
        page.locator(".panel .plain tr")
        .filter(has=page.get_by_role("rowheader", name=table, exact=True))
        .get_by_role("cell")
    )


def fact(page: Page, name: str) -> Locator:
    return page.locator(".panel .facts dt", has_text=re.compile(f"^{name}$")).locator("+ dd")


def rows_in(site: Site, table: str) -> int:
    ((count,),) = site.sql(f"select count(*) from {table}")
    return int(str(count))


def test_each_table_with_its_rows_and_the_change(newest: Page, site: Site):
    expect(line(newest, "messages").nth(0)).to_have_text(f"{rows_in(site, 'public.messages'):,}")
    expect(line(newest, "messages").nth(1)).to_have_text("\N{MINUS SIGN}20")
    expect(line(newest, "messages").nth(3)).to_have_text(re.compile("^\N{MINUS SIGN}"))
    expect(line(newest, "profiles").nth(1)).to_have_text("±0")


def test_a_new_column_is_named(newest: Page):
    expect(newest.locator(".panel")).to_contain_text("+ 1 added")
    expect(newest.locator(".panel .diff li", has_text="tip")).to_contain_text("bookings")


def test_what_a_backup_is_made_of(newest: Page, site: Site):
    panel = newest.locator(".panel")
    expect(panel.locator(".counts")).to_contain_text(re.compile(r"tables \d+"))
    expect(panel).to_contain_text("3 edge functions")
    expect(panel).to_contain_text("no JWT check")
    expect(fact(newest, "Location")).to_contain_text(f"s3://{site.store.bucket}/{site.backups[1].run.key}")
    expect(fact(newest, "Checksum")).to_contain_text(re.compile("[a-z0-9]+:.+"))
    expect(fact(newest, "Manifest SHA-256")).to_contain_text(re.compile("[0-9a-f]{64}"))
    expect(fact(newest, "Started by")).to_have_text("tester")


def test_many_warnings_are_folded(newest: Page):
    banner = newest.locator(".panel .banner.warning")
    expect(banner).to_contain_text("13 warnings")
    expect(banner.get_by_text("table reviews is in no backup")).to_be_hidden()
    banner.locator("summary").click()
    expect(banner.get_by_text("table reviews is in no backup")).to_be_visible()


def test_the_run_is_linked(newest: Page, site: Site):
    link = newest.locator(".panel").get_by_role("link", name="Open the run in Airflow")
    assert str(link.get_attribute("href")) == f"{site.origin}/dags/collabhunts_backup/runs/manual__1"


def test_logs_of_a_run_that_airflow_has_not_are_told_of(newest: Page, visits: Visits):
    newest.get_by_text("Logs in Airflow").click()
    expect(newest.locator(".panel details").last).to_contain_text("404")
    visits.forgive("404")


def test_what_is_copied_is_what_stands_there(newest: Page):
    newest.context.grant_permissions(["clipboard-read"])
    for name in ("file name", "location", "checksum", "snapshot", "SHA-256 of the manifest"):
        button = newest.get_by_role("button", name=f"Copy the {name}", exact=True)
        button.click()
        expect(newest.locator(".toast").filter(has_text=f"Copied: {name}.")).to_be_visible()
        expect(button).to_be_focused()
        assert newest.evaluate("navigator.clipboard.readText()") == button.locator("xpath=../code").inner_text()


def test_a_damaged_backup_says_what_was_found(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.planted[4]))
    expect(page.locator(".panel .mark.bad")).to_contain_text("invalid")
    expect(page.locator(".panel .banner.bad")).to_have_count(1)
    expect(page.locator(".panel .banner.bad")).to_contain_text("messages")


def test_another_backup_before_can_be_chosen(newest: Page, site: Site):
    expect(line(newest, "messages").nth(1)).to_have_text("\N{MINUS SIGN}20")
    newest.get_by_label("Changes against").focus()
    newest.get_by_label("Changes against").select_option(id_of(site, site.planted[0]))
    expect(newest.locator(".panel .plain tr").filter(has_text="every_type")).to_contain_text("gone")
    expect(newest.locator(".panel .plain tr").filter(has_text="user_roles")).to_contain_text("new")
    expect(newest.get_by_label("Changes against")).to_be_focused()


def test_two_that_were_chosen_are_compared(visits: Visits, site: Site):
    page = visits.open()
    for backup in reversed(site.backups):
        page.get_by_role("row").filter(has_text=file_name(backup.run.key)).get_by_role("checkbox").check()
    press(page, "Compare")
    expect(page.locator(".panel h2")).to_have_text("Compare two backups")
    expect(line(page, "messages").nth(1)).to_have_text("\N{MINUS SIGN}20")
    expect(page.locator(".panel .diff li", has_text="tip")).to_be_visible()
    page.locator(".panel").get_by_role("link").first.click()
    expect(page.locator(".panel h2")).to_contain_text("Backup of")
    expect(page.locator("dialog")).to_have_count(1)


def test_an_unknown_one_is_told_kindly(visits: Visits):
    page = visits.open()
    for where in ("backup/no-such", "backup/%3Cscript%3E", "compare/a/b", "report/drill/no-such"):
        page.evaluate("where => location.hash = where", where)
        expect(page.locator(".panel")).to_contain_text("It is not here any more.")
        press(page, "Back to the list")
        expect(page.locator("dialog")).to_have_count(0)
    visits.forgive("404")


def test_an_address_that_was_gone_to_twice_at_once_stays_open(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[1].run.key))
    page.evaluate(TWICE)
    expect(page.locator("dialog")).to_have_count(1)
    expect(page.locator(".panel .facts")).to_be_visible()
    assert f"{PAGE}/#backup/" in page.url


def test_back_closes_it_and_the_address_can_be_shared(visits: Visits, site: Site):
    page = visits.open()
    link = page.get_by_role("row").filter(has_text=file_name(site.backups[1].run.key)).get_by_role("link")
    link.click()
    expect(page.locator(".panel .facts")).to_be_visible()
    assert f"{PAGE}/#backup/" in page.url
    page.go_back()
    expect(page.locator("dialog")).to_have_count(0)
    expect(link).to_be_focused()
