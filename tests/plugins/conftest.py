"""Backup History under a real Airflow, once per test process, and a real browser in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.chromium import NoChromium, find_chromium
from tests.support.site import Site, running_site
from tests.support.visits import Visits, in_ci, launched


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="session")
def admin(site: Site) -> str:
    return site.token("admin")


@pytest.fixture(scope="session")
def viewer(site: Site) -> str:
    return site.token("viewer")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    try:
        program = find_chromium()
    except NoChromium as error:
        if in_ci():
            raise
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        browser = launched(playwright, program)
        yield browser
        browser.close()


@pytest.fixture
def visits(chromium: Browser, site: Site) -> Iterator[Visits]:
    """Opens pages; at the end of the test nothing may have gone wrong in one of them unnoticed."""
    opened = Visits(chromium, site)
    yield opened
    opened.close()
