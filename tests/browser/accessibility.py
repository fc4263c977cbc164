"""Checks of a page in the browser: its width, and accessibility by axe-core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from axe_playwright_python.sync_playwright import Axe

VIEWS = [
    ("light", "wide", 1280, 900),
    ("dark", "narrow", 390, 844),
]
"""The scheme, size, width and height of each view: each scheme and each size once."""

VISUAL_RULES = ["color-contrast", "link-in-text-block", "scrollable-region-focusable"]
"""The rules of axe-core that depend on colours and sizes. The others check the markup."""

ORIENTATION = "css-orientation-lock"
"""The rule for which axe-core loads all style sheets again, which doubles the time of a check."""

CARDS = """(() => {
    const table = document.querySelector("#result_list");
    if (!table) return "";
    const frame = table.parentElement;
    if (frame.scrollWidth > frame.clientWidth) return "wider than their frame";
    if (innerWidth > 767) return "";
    for (const title of table.querySelectorAll("tbody th")) {
        const others = [...title.parentElement.querySelectorAll("td[data-label]")];
        const top = title.getBoundingClientRect().top;
        const isAbove = one => one.offsetParent && one.getBoundingClientRect().top <= top;
        if (!title.matches(".field-number") && others.some(isAbove))
            return `${title.textContent} does not lead`;
    }
    return "";
})()"""
"""Cards are not wider than their frame, and each leads with its title."""

RUN = """async ([part, options]) => (await axe.run(part || document, options)).violations.map(
    rule => ({impact: rule.impact, help: rule.help, nodes: rule.nodes.map(node => node.target)})
)"""


def find_faults(walk: Any, part: str = "") -> Iterator[tuple[str, str]]:
    """Check the open page in every view, without loading it again.

    Args:
        part: the selector of the part that axe-core checks; the whole page if empty.

    Yields:
        The name of the view ("light, wide") and the fault.
    """
    for scheme, size, width, height in VIEWS:
        show(walk.page, scheme, width, height)
        rules = [] if (scheme, size) == VIEWS[0][:2] else VISUAL_RULES
        violations = find_violations(walk.page, rules, part)
        faults = [*walk.errors, *find_overflow(walk.page), *violations]
        # The content security policy blocks the inline styles of axe-core.
        walk.errors.clear()
        yield from ((f"{scheme}, {size}", fault) for fault in faults)


def show(page: Any, scheme: str, width: int, height: int) -> None:
    """Show the open page in this scheme and size, at the end of its colour transitions."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("document.getAnimations().forEach(animation => animation.finish())")


def find_overflow(page: Any) -> list[str]:
    """Return a message if the page is wider than the window, or a list of cards than its frame."""
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    cards = page.evaluate(CARDS)
    return [
        *([f"It is {wider} px wider than its window."] if wider > 0 else []),
        *([f"Cards: {cards}"] if cards else []),
    ]


def find_violations(page: Any, rules: Sequence[str] = (), part: str = "") -> list[str]:
    """Return serious accessibility violations found by axe-core.

    Args:
        rules: the ids of the rules to check; all rules but ``ORIENTATION`` if empty.
        part: the selector of the part to check; the whole page if empty.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": ORIENTATION in rules}
    if rules:
        options["runOnly"] = list(rules)
    return [
        f"{rule['impact']}: {rule['help']}: {rule['nodes'][:4]}"
        for rule in page.evaluate(RUN, [part, options])
        if rule["impact"] in ("serious", "critical")
    ]
