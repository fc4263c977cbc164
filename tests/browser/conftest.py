"""A browser for the tests: Debian's Chromium, watched for errors and for other hosts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client

from executions import demo
from tests.factories import user_in
from tests.programs import require_program

# It asks no other host for anything, not even for itself.
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

    program = require_program("chromium", "chromium-browser")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Its loop stands in this thread, where the test's own statements are made too.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        yield browser
        browser.close()


@dataclass
class Walk:
    """One person at the browser: what was clicked, and what went wrong meanwhile."""

    page: Any
    host: str
    clicks: int = 0
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    def click(self, role: str, name: str, *, within: Any = None, nth: int = 0) -> None:
        """Click what a screen reader calls this: a ``link``, a ``button``, a ``radio`` …"""
        self.clicks += 1
        found = (within or self.page).get_by_role(role, name=name, exact=True)
        found.nth(nth).click()

    def choose(self, label: str, option: str) -> None:
        """Choose from a list, which takes two clicks: one opens it."""
        self.clicks += 2
        self.page.get_by_role("combobox", name=label, exact=True).select_option(label=option)

    def write(self, label: str, text: str) -> None:
        self.page.get_by_label(label, exact=True).fill(text)

    def sees(self, text: str) -> bool:
        """Whether it stands on the page, where it can be seen; waits for it a moment."""
        self.page.get_by_text(text).first.wait_for()
        return True

    def _watch(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("response", self._answered)
        self.page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {response.url}")

    def _asked(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != self.host:
            self.elsewhere.append(request.url)


@pytest.fixture
def walking(
    chromium: Any, live_server: Any, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Walk]]:
    """``walking(user)``: this user at the home page of the admin.

    Afterwards no page has had an error in its console or asked another host for anything, and
    there were as many clicks as the test's name says, where it says so.
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
    said = CLICKS.search(request.node.name)
    # What failed on its way has been told.
    if said and not request.node.stash.get(FAILED, False):
        assert sum(walk.clicks for walk in walks) == int(said[1])


@pytest.fixture
def played(transactional_db: None) -> Any:
    """The demonstration: a caller that waits at a form, and the workflow that it will call."""
    return demo.make()[0]


@pytest.fixture
def operator(played: Any, walking: Callable[..., Walk]) -> Walk:
    """Somebody who may do all that is done here, at the home page."""
    return walking(user_in("administrator", username="ada", is_staff=True))
