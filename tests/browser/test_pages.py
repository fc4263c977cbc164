"""Every page of the admin in light and dark mode, on wide and narrow screens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.accessibility import VIEWS, find_faults, show
from tests.factories import user_in
from tests.people import Samples, create_samples
from tests.test_role_pages import PAGES, address

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

PHOTOGRAPHED = [*VIEWS, ("dark", "wide", 1280, 900), ("light", "narrow", 390, 844)]
"""The combinations for screenshots."""

LEAD_ELSEWHERE = ("_submit", "_redeliver", "_retry_alike", "_csv", "_start_on", "_file")
"""Suffixes of routes that redirect or return a file."""

GROUPS = 6


OF_THE_SITE = {"index": "/admin/", "password_change": "/admin/password_change/"}


def seen() -> list[str]:
    """Return the names of the pages that an administrator sees."""
    named = [name for name, may in PAGES.items() if "administrator" in may]
    return [*OF_THE_SITE, *(name for name in named if not name.endswith(LEAD_ELSEWHERE))]


@pytest.fixture
def made(settings: Any, transactional_db: None) -> Samples:
    return create_samples(settings, is_staff=True)


@pytest.mark.parametrize("group", range(GROUPS))
def test_pages_are_accessible(
    made: Samples, walking: Any, pytestconfig: pytest.Config, group: int
) -> None:
    photographs = pytestconfig.getoption("--photographs")
    walk = walking(made.users["administrator"])
    found: dict[str, str] = {}
    for name in seen()[group::GROUPS]:
        path = OF_THE_SITE.get(name) or address(name, made)
        answer = walk.page.goto(path)
        assert answer.status == 200, f"{name}: {answer.status}"
        found |= {f"{name}, {view}: {fault}": path for view, fault in find_faults(walk)}
        for scheme, size, width, height in PHOTOGRAPHED if photographs else ():
            show(walk.page, scheme, width, height)
            place = Path(photographs) / f"{name}-{size}-{scheme}.png"
            walk.page.screenshot(path=place, full_page=True)
    assert not found, "\n".join(found)


def test_home_of_a_new_installation_is_accessible(transactional_db: None, walking: Any) -> None:
    user_in("participant")
    walk = walking(user_in("administrator", is_staff=True))
    assert walk.sees("First steps")
    walk.click("link", "Load example workflows")
    walk.click("button", "Load all 5 examples")
    assert walk.sees("Loaded: Example: review for each area")
    walk.click("link", "Home")
    found = [f"{view}: {fault}" for view, fault in find_faults(walk)]
    assert not found, "\n".join(found)
