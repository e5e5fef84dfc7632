"""The page when something that it needs is away, and when that comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.site import DAYS, PAGE, Site
from tests.support.visits import Visits, log_in

TAKEN = DAYS + 2


def look_again(page: Page) -> None:
    """What the page does every half minute, and whenever somebody comes back to its tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@contextmanager
def away(site: Site, *sources: str) -> Iterator[None]:
    """Without `postgres`, `s3` or both, as far as the page knows."""
    servers = [getattr(site.stack, source) for source in sources]
    try:
        for server in servers:
            server.stop()
        site.renew()
        yield
    finally:
        for server in servers:
            server.start()
        site.renew()


def test_without_the_database_the_page_lists_from_the_bucket_and_says_so(visits: Visits, site: Site):
    with away(site, "postgres"):
        page = visits.open()
        expect(page.locator("#problems")).to_contain_text("The source database cannot be read.")
        expect(page.locator("#problems")).to_contain_text("lists the backups from the bucket")
        expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")
        expect(page.locator(".backups tbody tr")).to_have_count(TAKEN)
        page.locator(".row-link").first.click()
        expect(page.get_by_role("dialog").get_by_text("bookings", exact=True)).to_be_visible()
        page.keyboard.press("Escape")
    look_again(page)
    expect(page.locator("#problems")).to_be_empty()
    expect(page.locator(".list-summary")).not_to_have_text(f"{TAKEN} entries")


def test_without_the_bucket_the_page_lists_from_the_history_and_says_so(visits: Visits, site: Site):
    with away(site, "s3"):
        page = visits.open()
        expect(page.locator("#problems")).to_contain_text("The bucket cannot be read.")
        expect(page.locator("#answer")).to_have_class(re.compile("bad"))
        expect(page.locator(".backups tbody tr").first).to_be_visible()
        page.locator(".row-link").first.click()
        expect(page.get_by_role("button", name="Download")).to_have_attribute("aria-disabled", "true")
        page.keyboard.press("Escape")
        page.get_by_role("tab", name="Drills").click()
        panel = page.get_by_role("tabpanel", name="Drills")
        expect(panel.get_by_role("alert")).to_contain_text("This could not be read.")
        visits.forgive("503")
    panel.get_by_role("button", name="Try again").click()
    expect(panel.get_by_role("alert")).to_have_count(0)
    look_again(page)
    expect(page.locator("#problems")).to_be_empty()
    expect(page.locator("#answer")).not_to_have_class(re.compile("bad"))


def test_without_both_the_page_says_what_it_does_not_know(visits: Visits, site: Site):
    with away(site, "postgres", "s3"):
        page = visits.open()
        expect(page.locator("#problems .banner")).to_have_count(2)
        expect(page.locator("#answer")).to_have_class(re.compile("bad"))
        expect(page.locator(".empty")).to_contain_text("cannot be read")
        expect(page.locator("body")).not_to_contain_text("There is no backup yet")
    look_again(page)
    expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")
    expect(page.locator(".backups tbody tr").first).to_be_visible()


@contextmanager
def nothing_taken(site: Site) -> Iterator[None]:
    """As on the first day: no run, no history, and an empty bucket."""
    site.drop_waiting_runs()
    client, bucket = site.store.client, site.store.bucket
    keys = [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]]
    tags = {key: client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] for key in keys}
    found = {key: client.get_object(Bucket=bucket, Key=key) for key in keys}
    bodies = {key: answer["Body"].read() for key, answer in found.items()}
    site.sql("alter table public.backup_history rename to backup_history_away")
    try:
        site.store.delete(keys)
        site.renew()
        yield
    finally:
        site.sql("alter table public.backup_history_away rename to backup_history")
        for key, body in bodies.items():
            more = {name: found[key][name] for name in ("Metadata", "ContentType") if name in found[key]}
            client.put_object(Bucket=bucket, Key=key, Body=body, **more)
            client.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": tags[key]})
        site.renew()


def test_before_the_first_backup_the_page_says_what_to_do(visits: Visits, site: Site):
    with nothing_taken(site):
        page = visits.open()
        expect(page.locator("#answer")).to_have_class(re.compile("bad"))
        expect(page.locator(".answer-sentence")).to_contain_text("Not recoverable")
        expect(page.locator(".answer-next")).to_contain_text("collabhunts_backup")
        expect(page.locator("#panel-backups")).to_contain_text("There is no backup yet.")
        expect(page.get_by_text("Nothing to draw yet.")).to_have_count(2)
        expect(page.locator(".day:not(.none)")).to_have_count(0)
        expect(page.get_by_role("button", name="Back up now")).to_be_enabled()
    look_again(page)
    expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")


def test_what_is_not_read_yet_is_seen_to_be_loading(visits: Visits, site: Site):
    page = visits.open_path(f"{PAGE}/static/icon.svg")
    waiting: list[Route] = []
    page.route("**/api/**", lambda route: waiting.append(route))  # noqa: PLW0108 - Playwright marks it
    page.goto(f"{site.origin}{PAGE}/")
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")
    expect(page.locator(".skeleton").first).to_be_visible()
    for each in waiting:
        each.continue_()
    page.unroute("**/api/**")
    expect(page.locator(".answer-sentence")).to_be_visible()
    expect(page.locator("[aria-busy=true], .skeleton")).to_have_count(0)


def test_an_api_server_that_is_gone_is_named_and_can_be_asked_again(visits: Visits):
    page = visits.open()
    expect(page.locator(".backups tbody tr").first).to_be_visible()
    page.route("**/api/**", lambda route: route.abort())
    look_again(page)
    alert = page.locator("#answer").get_by_role("alert")
    expect(alert).to_contain_text("Airflow's API server does not answer")
    page.unroute("**/api/**")
    alert.get_by_role("button", name="Try again").click()
    expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")
    expect(page.locator(".backups tbody tr").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    visits.forgive("ERR_FAILED")


def test_a_page_that_never_got_an_answer_does_not_look_as_if_it_were_loading(visits: Visits, site: Site):
    page = visits.open_path(f"{PAGE}/static/icon.svg")
    page.route("**/api/**", lambda route: route.abort())
    page.goto(f"{site.origin}{PAGE}/")
    expect(page.get_by_role("alert").first).to_be_visible()
    expect(page.locator(".skeleton, [aria-busy=true]")).to_have_count(0)
    visits.forgive("ERR_FAILED")


def test_a_login_that_has_ended_leads_to_the_login_and_back(visits: Visits, site: Site):
    page = visits.open()
    expect(page.locator(".backups tbody tr").first).to_be_visible()
    page.context.clear_cookies()
    look_again(page)
    alert = page.locator("#answer").get_by_role("alert")
    expect(alert).to_contain_text("You are not logged in.")
    alert.get_by_role("link", name="Log in again").click()
    log_in(page, site)
    expect(page).to_have_url(re.compile(f"{PAGE}/$"))
    expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")
    visits.forgive("401")


@pytest.mark.parametrize("where", ["", "backup/none"])
def test_an_address_of_nothing_harms_nothing(visits: Visits, where: str):
    page = visits.open(where or "%E0%A4%A")
    expect(page.locator(".answer-sentence")).to_contain_text("Recoverable to")
    if where:
        expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("there is no backup 'none'")
        visits.forgive("404")
