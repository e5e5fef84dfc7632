"""Backup History under a real Airflow, once per test process, and a real browser in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from include.demo.stack.stack import OWNER
from include.disaster_recovery.settings import Settings
from tests.support.chromium import NoChromium, find_chromium
from tests.support.rig import Rig
from tests.support.site import Site, running_site
from tests.support.visits import Visits, in_ci, launched


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What acts comes last, and its reports after it: it changes what the others look at."""
    late = ("test_act_", "test_act_r", "test_act_reports")
    ours = [index for index, item in enumerate(items) if Path(__file__).parent in item.path.parents]
    wanted = sorted((items[index] for index in ours), key=lambda item: sum(map(item.path.name.startswith, late)))
    for index, item in zip(ours, wanted, strict=True):
        items[index] = item


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(tmp_path_factory.mktemp("site")) as found:
        yield found


@pytest.fixture(scope="session")
def small(site: Site) -> str:
    """The key of a backup of another database, whole but small: it can be drilled and restored in little time."""
    site.stack.postgres.create_database("small", owner=OWNER)
    everything = {"include": "all", "exclude": ["backup_history"]}
    settings = Settings.model_validate({"tables": everything})
    rig = Rig({**site.rig.parameters, "dbname": "small"}, site.store, settings)
    with rig.connect() as connection:
        connection.execute(
            b"create table public.profiles as select n as id, 'somebody' as name from generate_series(1, 9) as n"
        )
        connection.execute(b"alter table public.profiles add primary key (id)")
    key = rig.backup().run.key
    site.renew()
    return key


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
