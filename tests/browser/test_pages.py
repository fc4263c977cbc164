"""Every page of the admin in light and dark mode, on wide and narrow screens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.people import Samples, create_samples
from tests.test_role_pages import PAGES, address

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

VIEWS = [
    ("light", "wide", 1280, 900),
    ("dark", "narrow", 390, 844),
]
PHOTOGRAPHED = [*VIEWS, ("dark", "wide", 1280, 900), ("light", "narrow", 390, 844)]
"""The combinations for screenshots; the test alone checks each scheme and each size once."""

VISUAL_RULES = ["color-contrast", "link-in-text-block", "scrollable-region-focusable"]
"""The rules of axe-core that depend on colours and sizes. The others check the markup."""

LEAD_ELSEWHERE = ("_submit", "_redeliver", "_csv")
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
        for scheme, size, width, height in PHOTOGRAPHED if photographs else VIEWS:
            # Reloaded for each view, because colour transitions on an open page take time.
            walk.page.emulate_media(color_scheme=scheme)
            walk.page.set_viewport_size({"width": width, "height": height})
            answer = walk.page.goto(path)
            assert answer.status == 200, f"{name}: {answer.status}"
            rules = [] if (scheme, size) == ("light", "wide") else VISUAL_RULES
            wrong = [*walk.errors, *find_overflow(walk.page), *find_violations(walk.page, rules)]
            found |= {f"{name}, {scheme}, {size}: {fault}": path for fault in wrong}
            # The content security policy blocks the inline styles of axe-core.
            walk.errors.clear()
            if photographs:
                place = Path(photographs) / f"{name}-{size}-{scheme}.png"
                walk.page.screenshot(path=place, full_page=True)
    assert not found, "\n".join(found)


def find_overflow(page: Any) -> list[str]:
    """Return a message if the page is wider than the window."""
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [f"It is {wider} px wider than its window."] if wider > 0 else []


def find_violations(page: Any, rules: Sequence[str] = ()) -> list[str]:
    """Return serious accessibility violations found by axe-core.

    Args:
        rules: the ids of the rules to check; all rules if empty.
    """
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    return [
        f"{rule['impact']}: {rule['help']}: {[node['target'] for node in rule['nodes']][:4]}"
        for rule in Axe().run(page, options=options).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
