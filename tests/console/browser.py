"""Chromium, looking at a site that runs as `./run` starts it, and noting all that a page must not do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
# It would copy style sheets into the page to look at them, which the policy forbids.
_AXE = {"resultTypes": ["violations"], "preload": False}
SERIOUS = ("serious", "critical")
QUIET_MS = 100
COLOURS_MS = 300
"""Longer than Django's admin takes to turn one colour into another."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Skips where there is none; CI installs it, and there that is a fault."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        assert "REQUIRE_SERVERS" not in os.environ, "chromium is not installed"
        pytest.skip("chromium is not installed (apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=binary, args=_FLAGS)
        yield browser
        browser.close()


class Operator:
    """Somebody in front of a browser. `faults`: what no page may do, by the page it happened on."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url = url
        self.faults: list[str] = []
        self._context = browser.new_context(**{"viewport": {"width": 1366, "height": 800}, **options})
        self.page: Page = self._context.new_page()
        self.page.on("console", lambda message: self._note(f"console: {message.text}", message.type == "error"))
        self.page.on("pageerror", lambda error: self._note(f"script: {error}", True))
        self.page.on("request", lambda request: self._note(f"asks {request.url}", self._is_foreign(request.url)))
        self.page.on("response", lambda answer: self._note(f"{answer.status} {answer.url}", answer.status >= 400))

    def log_in(self, name: str, password: str) -> Operator:
        self.page.goto(f"{self.url}/admin/login/")
        self.page.fill("[name=username]", name)
        self.page.fill("[name=password]", password)
        self.page.click("[type=submit]")
        self.page.wait_for_url(f"{self.url}/admin/")
        return self

    def open(self, path: str) -> Page:
        self.page.goto(f"{self.url}{path}")
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(QUIET_MS)
        return self.page

    def inspect(self, **options: Any) -> None:
        """The open page is usable without eyes or mouse, and no wider than its window. `options` are axe's."""
        found = Axe().run(self.page, options=_AXE | options).response["violations"]
        self.faults += [
            f"{self.page.url}: {fault['id']} ({fault['impact']}) {fault['nodes'][0]['html'][:200]}"
            for fault in found
            if fault["impact"] in SERIOUS
        ]
        self.check_width()

    def inspect_dark(self) -> None:
        """The open page in the dark: what is written on it can be read."""
        self.page.emulate_media(color_scheme="dark")
        self.page.wait_for_timeout(COLOURS_MS)
        self.inspect(runOnly=["color-contrast"])
        self.page.emulate_media(color_scheme="light")

    def inspect_on_a_phone(self) -> None:
        before = self.page.viewport_size
        self.page.set_viewport_size({"width": 390, "height": 800})
        self.check_width()
        assert before is not None
        self.page.set_viewport_size(before)

    def check_width(self) -> None:
        width = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        self._note(f"is {width} px wider than its window", width > 0)

    def assert_faultless(self) -> None:
        faults, self.faults = self.faults, []
        assert not faults, "\n".join(faults)

    def close(self) -> None:
        self._context.close()

    def _note(self, what: str, is_fault: bool) -> None:
        if is_fault:
            self.faults.append(f"{self.page.url}: {what}")

    def _is_foreign(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc
