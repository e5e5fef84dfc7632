"""Somebody looks at Backup History in Chromium."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Frame, Page, Playwright, expect

from tests.support.chromium import Chromium
from tests.support.site import PAGE, Site

PATIENCE_MS = 30_000
FRAMED = "/plugin/backup-history"


def in_ci() -> bool:
    """CI must have a browser; on a developer's machine without one, its tests are skipped."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def launched(playwright: Playwright, chromium: Chromium) -> Browser:
    """Chromium without a window."""
    expect.set_options(timeout=PATIENCE_MS)
    return playwright.chromium.launch(
        executable_path=str(chromium.program), args=list(chromium.flags), env={**os.environ, **chromium.environment}
    )


def log_in(page: Page, site: Site, user: str = "admin") -> None:
    """Through the form of Airflow's login page."""
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(site.airflow.password(user))
    page.locator("button[type=submit]").click()


@dataclass
class Visits:
    """Pages that a test opened. `complaints` is what a page wrote to its console or threw; `close` wants none.

    A test that provokes one takes it out: `visits.forgive("401")`.
    """

    browser: Browser
    site: Site
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(
        self,
        where: str = "",
        *,
        user: str | None = "admin",
        theme: Literal["light", "dark"] = "light",
        width: int = 1400,
        height: int = 900,
    ) -> Page:
        """The page by itself, at the hash `where`; `user` None: nobody is logged in."""
        page = self._page(user, theme, width, height)
        page.goto(f"{self.site.origin}{self.site.root}{PAGE}/{f'#{where}' if where else ''}")
        return page

    def open_path(self, path: str, *, user: str | None = "admin", theme: Literal["light", "dark"] = "light") -> Page:
        """Any page of Airflow's."""
        page = self._page(user, theme, 1400, 900)
        page.goto(f"{self.site.origin}{self.site.root}{path}")
        return page

    def open_in_airflow(self, where: str = "", *, user: str = "admin") -> tuple[Page, Frame]:
        """Airflow's own page around ours, and the frame of ours in it."""
        page = self._page(user, "light", 1400, 900)
        page.goto(f"{self.site.origin}{self.site.root}{FRAMED}{f'#{where}' if where else ''}")
        return page, self.frame_of(page)

    def frame_of(self, page: Page) -> Frame:
        """The frame of Backup History in a page of Airflow."""
        handle = page.wait_for_selector("iframe", timeout=PATIENCE_MS)
        frame = handle.content_frame() if handle else None
        assert frame is not None
        frame.wait_for_selector("#answer:not([aria-busy])", timeout=PATIENCE_MS)
        return frame

    def forgive(self, text: str) -> None:
        """Take out the complaints that hold `text`; there must be one."""
        kept = [each for each in self.complaints if text not in each]
        assert len(kept) < len(self.complaints), f"no complaint holds {text!r}: {self.complaints}"
        self.complaints[:] = kept

    def close(self) -> None:
        for context in self.contexts:
            context.close()
        assert self.complaints == []

    def _page(self, user: str | None, theme: Literal["light", "dark"], width: int, height: int) -> Page:
        context = self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, timezone_id="Europe/Berlin", locale="en-GB"
        )
        context.set_default_timeout(PATIENCE_MS)
        self.contexts.append(context)
        if user:
            context.add_cookies([{"name": "_token", "value": self.site.token(user), "url": self.site.origin}])
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"threw: {error}"))
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        ours = PAGE in message.location.get("url", "") or "Content Security Policy" in message.text
        of_airflow = "can escape its sandboxing" in message.text  # the sandbox is Airflow's choice
        if message.type in {"error", "warning"} and ours and not of_airflow:
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")
