"""Fixtures for tests in Chromium, which fail on console errors and on requests to other hosts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from executions import demo
from tests.factories import user_in
from tests.programs import require_program

# Chromium sends no requests of its own to other hosts.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CLICKS = re.compile(r"_in_(\d+)_clicks?$")
FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    # The first one needs a fifth less time than the others.
    program = require_program("chromium-headless-shell", "chromium", "chromium-browser")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's event loop runs in the thread of the test, which queries the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@dataclass
class Walk:
    """A user in a browser: the page, the number of clicks, and the errors."""

    page: Any
    host: str
    clicks: int = 0
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def click(self, role: str, name: str, *, within: Any = None, nth: int = 0) -> None:
        """Click the element with this ARIA role and accessible name."""
        self.clicks += 1
        found = (within or self.page).get_by_role(role, name=name, exact=True)
        found.nth(nth).click()

    def choose(self, label: str, option: str) -> None:
        """Select an option, which counts as two clicks."""
        self.clicks += 2
        self.page.get_by_role("combobox", name=label, exact=True).select_option(label=option)

    def write(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def sees(self, text: str) -> bool:
        """Wait until the text is visible on the page."""
        self.page.get_by_text(text).first.wait_for()
        return True

    def _watch(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._logged)
        self.page.on("response", self._responded)
        self.page.on("request", self._requested)

    def _logged(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _responded(self, response: Any) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.url}")

    def _requested(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != self.host:
            self.elsewhere.append(request.url)


@pytest.fixture
def walking(
    chromium: Any, live_server: Any, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Walk]]:
    """Return a function that opens the home page of the admin as a user.

    At teardown, fail if a page logged a console error or sent a request to another host, or if the
    number of clicks differs from the one in the test's name.
    """
    walks: list[Walk] = []

    def walking(user: Any, **look: Any) -> Walk:
        client = Client()
        client.force_login(user)
        cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
        context = chromium.new_context(base_url=live_server.url, **look)
        context.set_default_timeout(15_000)
        context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
        )
        walk = Walk(context.new_page(), urlsplit(live_server.url).netloc)
        walk._watch()
        walks.append(walk)
        walk.page.goto("/admin/")
        return walk

    yield walking
    for walk in walks:
        walk.page.context.close()
        assert walk.errors == []
        assert walk.elsewhere == []
    said = CLICKS.search(request.node.originalname)
    # A failed test is already reported.
    if said and not request.node.stash.get(FAILED, False):
        assert sum(walk.clicks for walk in walks) == int(said[1])


@pytest.fixture
def played(transactional_db: None) -> Any:
    """Run the demo: a caller that waits at a form, and its callee."""
    return demo.make()[0]


@pytest.fixture
def operator(played: Any, walking: Callable[..., Walk], request: pytest.FixtureRequest) -> Walk:
    """Return an administrator at the home page; a parameter switches JavaScript on or off."""
    ada = get_user_model().objects.filter(username="ada").first()
    return walking(
        ada or user_in("administrator", username="ada", is_staff=True),
        java_script_enabled=getattr(request, "param", True),
    )
