"""The document reaches the disk as it lies in the bucket, and the key to it is left nowhere."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import Download, Page, expect

from include.disaster_recovery.backup_key import file_name
from tests.support.acts import Where, ask, card, dialog, id_of, press, see
from tests.support.site import Site
from tests.support.visits import Visits


def fetched(page: Page, where: Where) -> Download:
    """Download the backup whose detail is open."""
    asked = ask(where, "Download")
    with page.expect_download() as waiting:
        press(asked, "Download")
    return waiting.value


def digest(download: Download) -> str:
    return sha256(Path(download.path()).read_bytes()).hexdigest()


def signature(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]


def test_the_file_is_what_lies_in_the_bucket(visits: Visits, site: Site):
    backup = site.backups[1]
    page = see(visits, id_of(site, backup.run.key))
    download = fetched(page, page)
    assert digest(download) == sha256(backup.stored).hexdigest()
    assert download.suggested_filename == file_name(backup.run.key)
    assert urlsplit(download.url).netloc == urlsplit(site.stack.s3.endpoint_url).netloc
    expect(page.locator(".panel .facts")).to_be_visible()


def test_it_downloads_inside_of_airflow_too(visits: Visits, site: Site):
    backup = site.backups[0]
    page, frame = visits.open_in_airflow(f"backup/{id_of(site, backup.run.key)}")
    assert digest(fetched(page, frame)) == sha256(backup.stored).hexdigest()
    expect(frame.locator(".panel .facts")).to_be_visible()


def test_the_link_takes_ranges_and_ends(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[1].run.key))
    url = fetched(page, page).url
    part = httpx.get(url, headers={"Range": "bytes=100-199"}, trust_env=False)
    assert (part.status_code, part.content) == (206, site.backups[1].stored[100:200])
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["300"]


def test_the_link_stays_in_no_page_and_no_log(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[1].run.key))
    secret = signature(fetched(page, page).url)
    assert secret not in page.content()
    logs = {log.name: log.read_text(errors="replace") for log in site.airflow.home.rglob("*.log")}
    assert "api-server.log" in logs
    assert [name for name, text in logs.items() if secret in text or "X-Amz-Signature" in text] == []


def test_the_dialog_says_what_the_link_is_and_for_how_long(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[1].run.key))
    asked = ask(page, "Download")
    expect(asked).to_contain_text("personal data")
    expect(asked).to_contain_text("5 minutes")


def test_the_link_can_be_copied_for_a_tool_that_resumes(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[1].run.key))
    page.context.grant_permissions(["clipboard-read"])
    url = fetched(page, page).url
    press(card(page, "has started"), "Copy the link")
    expect(card(page, "Copied: the link.")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == url
    assert signature(url) not in page.content()


def test_a_document_that_is_gone_is_told_in_the_dialog(visits: Visits, site: Site):
    key = site.planted[0]
    data = site.store.client.get_object(Bucket=site.store.bucket, Key=key)["Body"].read()
    page = see(visits, id_of(site, key))
    site.store.delete([key])
    try:
        press(ask(page, "Download"), "Download")
        expect(dialog(page).get_by_role("alert")).to_contain_text("gone from the bucket \N{EN DASH} reload the page")
    finally:
        site.store.put(key, data)
    visits.forgive("404")
