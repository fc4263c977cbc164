"""A page of each template of the admin in light and dark mode, on wide and narrow screens."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.browser.accessibility import ORIENTATION, VIEWS, find_faults, find_violations, show
from tests.factories import user_in
from tests.people import Samples, create_samples
from tests.test_role_pages import address, one_page_of_each_template

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

PHOTOGRAPHED = [*VIEWS, ("dark", "wide", 1280, 900), ("light", "narrow", 390, 844)]
"""The combinations for screenshots."""

GROUPS = 4

OF_THE_SITE = {"index": "/admin/", "password_change": "/admin/password_change/"}


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
    for name in [*OF_THE_SITE, *one_page_of_each_template()][group::GROUPS]:
        path = OF_THE_SITE.get(name) or address(name, made)
        answer = walk.page.goto(path)
        assert (answer.status, answer.url) == (200, urljoin(walk.page.url, path)), name
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
    # All pages have the same style sheet.
    found += find_violations(walk.page, [ORIENTATION])
    walk.errors.clear()
    assert not found, "\n".join(found)
