"""Every page of the admin, by day and by night, on a screen and on a telephone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.people import Samples, create_samples
from tests.test_role_pages import PAGES, address

pytestmark = [pytest.mark.postgresql, pytest.mark.slow]

LOOKS = [
    ("light", "wide", 1280, 900),
    ("dark", "narrow", 390, 844),
]
PHOTOGRAPHED = [*LOOKS, ("dark", "wide", 1280, 900), ("light", "narrow", 390, 844)]
"""Each scheme and each size is looked at once, and all four where pictures are wanted."""

OF_LOOKS = ["color-contrast", "link-in-text-block", "scrollable-region-focusable"]
"""The rules of axe-core whose answer depends on colors and sizes: the others judge the markup."""

LEAD_ELSEWHERE = ("_submit", "_redeliver", "_csv")
"""They take what is posted and lead back to the page that it came from, or hand out a file."""

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
        for scheme, size, width, height in PHOTOGRAPHED if photographs else LOOKS:
            # Loaded anew in each look: colors that change on an open page change by and by.
            walk.page.emulate_media(color_scheme=scheme)
            walk.page.set_viewport_size({"width": width, "height": height})
            answer = walk.page.goto(path)
            assert answer.status == 200, f"{name}: {answer.status}"
            rules = [] if (scheme, size) == ("light", "wide") else OF_LOOKS
            wrong = [*walk.errors, *beyond(walk.page), *grave(walk.page, rules)]
            found |= {f"{name}, {scheme}, {size}: {fault}": path for fault in wrong}
            # The policy also keeps the judge from styles of its own.
            walk.errors.clear()
            if photographs:
                place = Path(photographs) / f"{name}-{size}-{scheme}.png"
                walk.page.screenshot(path=place, full_page=True)
    assert not found, "\n".join(found)


def beyond(page: Any) -> list[str]:
    """Whether something of the page is clipped at the side."""
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [f"It is {wider} px wider than its window."] if wider > 0 else []


def grave(page: Any, rules: Sequence[str] = ()) -> list[str]:
    """What keeps somebody who cannot see or point well from using this page (axe-core).

    Args:
        rules: the ids of the rules to judge by; all of them where none is named.
    """
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    return [
        f"{rule['impact']}: {rule['help']}: {[node['target'] for node in rule['nodes']][:4]}"
        for rule in Axe().run(page, options=options).response["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
