"""Take the pictures of Backup History in docs/images: light, dark, a backup's details, on a telephone.

    make screenshots        # or: PYTHONPATH=. .venv/bin/python scripts/screenshots.py --into elsewhere

Starts Postgres, S3 and Airflow with half a year's past, takes a backup and drills it, looks at the page in Chromium.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.chromium import find_chromium
from tests.support.showcase import showcase
from tests.support.site import PAGE, Site
from tests.support.visits import FRAMED, launched

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
LARGEST = 300_000  # bytes of a picture: it is in the repository
READY = "#answer:not([aria-busy])"
Theme = Literal["light", "dark"]


def opened(browser: Browser, site: Site, path: str, theme: Theme, width: int, height: int) -> Page:
    """A page of Airflow's as the admin sees it."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        reduced_motion="reduce",
        timezone_id="Europe/Berlin",
        locale="en-GB",
    )
    context.add_cookies([{"name": "_token", "value": site.token("admin"), "url": site.origin}])
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(f"{site.origin}{path}")
    return page


def in_airflow(browser: Browser, site: Site, theme: Theme) -> Page:
    """The page with Airflow's navigation around it."""
    page = opened(browser, site, FRAMED, theme, 1440, 900)
    page.frame_locator("iframe").locator(READY).wait_for()
    return page


def alone(browser: Browser, site: Site, hash_: str, width: int, height: int) -> Page:
    """The page by itself."""
    page = opened(browser, site, f"{PAGE}/{hash_}", "light", width, height)
    page.locator(READY).wait_for()
    return page


def take(browser: Browser, site: Site, into: Path) -> None:
    """All pictures."""
    with site.client(bearer=site.token("admin")) as client:
        newest = client.get("api/backups").json()["entries"][0]["id"]
    pages = {
        "light": in_airflow(browser, site, "light"),
        "dark": in_airflow(browser, site, "dark"),
        "detail": alone(browser, site, f"#backup/{newest}", 1200, 900),
        "phone": alone(browser, site, "", 375, 812),
    }
    pages["detail"].locator("dialog[open] table").first.wait_for()
    for name, page in pages.items():
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(1000)  # charts are drawn in the next frames
        taken = page.screenshot(path=into / f"backup-history-{name}.png")
        print(f"backup-history-{name}.png: {len(taken):,} bytes")
        if len(taken) > LARGEST:
            raise ValueError(f"the picture {name} has {len(taken)} bytes, more than {LARGEST}")


def main() -> int:
    """Start everything, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--into", type=Path, default=IMAGES)
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    found = find_chromium()
    with (
        tempfile.TemporaryDirectory(prefix="screenshots-") as folder,
        showcase(Path(folder) / "stack") as site,
        sync_playwright() as playwright,
    ):
        take(launched(playwright, found), site, options.into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
