"""Every page of the admin, by day and by night, on a screen and on a telephone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.people import World, world
from tests.test_role_pages import PAGES, address

pytestmark = pytest.mark.postgresql

SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
LEAD_ELSEWHERE = ("_submit", "_redeliver", "_csv")
"""They take what is posted and lead back to the page that it came from, or hand out a file."""


@pytest.fixture
def made(settings: Any, transactional_db: None) -> World:
    return world(settings, is_staff=True)


@pytest.mark.parametrize(
    ("size", "scheme"),
    [("wide", "light"), ("narrow", "dark"), ("wide", "dark"), ("narrow", "light")],
)
def test_every_page_can_be_used_by_everybody(
    made: World, walking: Any, pytestconfig: pytest.Config, size: str, scheme: str
) -> None:
    kept = pytestconfig.getoption("--photographs")
    if not kept and (size, scheme) in (("wide", "dark"), ("narrow", "light")):
        pytest.skip("Each size and each scheme is looked at once, unless pictures are wanted.")
    width, height = SIZES[size]
    viewport = {"width": width, "height": height}
    walk = walking(made.users["administrator"], viewport=viewport, color_scheme=scheme)
    seen = [name for name, may in PAGES.items() if "administrator" in may]
    addresses = {name: address(name, made) for name in seen if not name.endswith(LEAD_ELSEWHERE)}
    addresses |= {"index": "/admin/", "password_change": "/admin/password_change/"}
    found: dict[str, str] = {}
    for name, path in addresses.items():
        answer = walk.page.goto(path)
        assert answer.status == 200, f"{name}: {answer.status}"
        wrong = [*walk.errors, *beyond(walk.page), *grave(walk.page)]
        # The policy also keeps the judge from styles of its own.
        walk.errors.clear()
        found |= {f"{name}: {fault}": path for fault in wrong}
        if kept:
            place = Path(kept) / f"{name}-{size}-{scheme}.png"
            walk.page.screenshot(path=place, full_page=True)
    assert not found, "\n".join(found)


def beyond(page: Any) -> list[str]:
    """Whether something of the page is clipped at the side."""
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [f"It is {wider} px wider than its window."] if wider > 0 else []


def grave(page: Any) -> list[str]:
    """What keeps somebody who cannot see or point well from using this page (axe-core)."""
    return [
        f"{rule['impact']}: {rule['help']}: {[node['target'] for node in rule['nodes']][:4]}"
        for rule in Axe().run(page).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
