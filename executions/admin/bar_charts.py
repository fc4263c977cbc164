"""Bars as SVG, for the rows of tables. The stylesheet of the admin sets the colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

WIDTH = 240
HEIGHT = 12
GAP = 2
HEAT_LEVELS = 5


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar: its value, its CSS class and the name of what it counts."""

    value: float
    css_class: str
    label: str


def render_bar(parts: Sequence[Part], most: float) -> SafeString:
    """Return a bar of parts beside each other. The cells of its row have the numbers.

    Args:
        most: the sum of the parts of the longest bar, which fills the width.
    """
    scale = WIDTH / most if most > 0 else 0
    found, left = [], 0.0
    for part in parts:
        width = part.value * scale
        if part.value > 0:
            # The smallest part stays visible, and a gap separates it from the next one.
            visible_width = max(1.0, width - GAP)
            found.append(
                (part.css_class, round(left, 1), round(visible_width, 1), HEIGHT, part.label)
            )
        left += width
    rects = format_html_join(
        "",
        '<rect class="{}" x="{}" width="{}" height="{}" rx="2"><title>{}</title></rect>',
        found,
    )
    return format_html(
        '<svg class="bar" aria-hidden="true" width="{}" height="{}" viewBox="0 0 {} {}">{}</svg>',
        *(WIDTH, HEIGHT, WIDTH, HEIGHT, rects),
    )


def heat_level(value: float, most: float) -> int:
    """Return the level of a value on a scale from 1 to ``HEAT_LEVELS``, in proportion to most."""
    if most <= 0:
        return 1
    return min(HEAT_LEVELS, 1 + int(value / most * HEAT_LEVELS))
