"""The shapes of a graph diagram as SVG: boxes, lines, labels, marks and links to insert nodes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from workflows.graph.layout import HEIGHT, WIDTH, Box, Route

_LETTERS = 23
"""Letters of a line in a box."""
_LABEL_LETTERS = 16
_LETTER_WIDTH = 6.0
_TURN = 27.0
"""The distance of the handles of a curve that turns back from its ends."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark at the corner of a box, for example the number of executions."""

    text: str
    description: str
    state: str = "live"
    url: str | None = None


@dataclass(frozen=True, slots=True)
class InsertLink:
    """A link to insert a node at an exit of a node. ``value`` names the exit and its target."""

    url: str
    value: str
    description: str
    text: str = ""
    """The name of an exit that leads to no node."""


@dataclass(frozen=True, slots=True)
class NodeBox:
    """The box of a node: its texts, marks, state and link."""

    id: str
    title: str
    type_title: str
    icon: str
    description: str = ""
    """The meaning of the state, for screen readers."""
    state: str = ""
    url: str | None = None
    marks: Sequence[Mark] = ()
    inserts: Sequence[InsertLink] = ()
    """The exits at which a node can be added."""


@dataclass(frozen=True, slots=True)
class EdgeLine:
    """The line of an edge. ``label`` is the label or the name of the exit it leaves by."""

    source: str
    target: str
    label: str = ""
    state: str = ""
    insert: InsertLink | None = None


def draw_lines(routed: Sequence[tuple[EdgeLine, Route]], named: Mapping[str, str]) -> SafeString:
    """Return the lines of edges with their arrow heads."""
    return format_html_join(
        "",
        '<g class="{}"><title>{}</title><path d="{}"/><path class="head" d="{}"/></g>',
        (
            (_classes("edge", line.state, "back" if route.back else ""), *_line(line, route, named))
            for line, route in routed
        ),
    )


def label_width(line: EdgeLine) -> float:
    """Return the width that the label of a line takes; 0 without a label."""
    return len(short(line.label, _LABEL_LETTERS)) * _LETTER_WIDTH


def draw_labels(routed: Sequence[tuple[EdgeLine, Route]]) -> SafeString:
    """Return the labels of edges."""
    rows = [
        (*map(_number, route.label), short(line.label, _LABEL_LETTERS))
        for line, route in routed
        if route.label is not None
    ]
    return format_html_join(
        "", '<text class="edge-label" aria-hidden="true" x="{}" y="{}">{}</text>', rows
    )


def _number(value: float) -> str:
    return f"{round(value, 1):.10g}"


def _pair(x: float, y: float) -> str:
    return f"{_number(x)} {_number(y)}"


def _classes(*names: str) -> str:
    return " ".join(name for name in names if name)


def short(text: str, letters: int) -> str:
    """Return a text, cut to a number of letters."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def _line(line: EdgeLine, route: Route, named: Mapping[str, str]) -> tuple[str, str, str]:
    by = f" ({line.label})" if line.label else ""
    state = f" ({line.state})" if line.state else ""
    x, y = route.points[-1]
    head = f"M{_number(x - 4.5)} {_number(y - 8)}h9L{_number(x)} {_number(y)}Z"
    return f"{named[line.source]} →{by} {named[line.target]}{state}", _path(route), head


def _path(route: Route) -> str:
    points = [*route.points[:-1], (route.points[-1][0], route.points[-1][1] - 6)]
    parts = [f"M{_pair(*points[0])}"]
    for index in range(1, len(points)):
        (x, y), (to_x, to_y) = points[index - 1], points[index]
        if index % 2 == 0:
            parts.append(f"V{_number(to_y)}")
            continue
        first, second = _handles(route, index, y, to_y)
        parts.append(f"C{_pair(x, first)} {_pair(to_x, second)} {_pair(to_x, to_y)}")
    return "".join(parts)


def _handles(route: Route, index: int, y: float, to_y: float) -> tuple[float, float]:
    """Return the heights of the control points of a curve."""
    last = len(route.points) - 1
    if to_y <= y + HEIGHT / 8 and not route.direct and index in (1, last):
        turn = _TURN if index == 1 else -_TURN
        return y + turn, to_y + turn
    if route.direct and to_y < y:
        return y + 2 * _TURN, to_y - 2 * _TURN
    return (y + to_y) / 2, (y + to_y) / 2


def draw_box(node: NodeBox, at: Box, anchor: str) -> SafeString:
    """Return the box of a node. ``anchor`` is its element id."""
    name = f"{node.title}, {node.type_title}"
    description = f"{name}. {node.description}" if node.description else name
    lines = _wrap(node.title)
    top = HEIGHT / 2 + 2 - 8 * (len(lines) + 1)
    body = format_html(
        '<title>{}</title><rect class="box" width="{}" height="{}" rx="8"/>'
        '<use class="node-icon" href="{}#{}" x="12" y="{}" width="20" height="20"/>'
        '{}<text class="node-type" x="42" y="{}">{}</text>',
        description,
        _number(WIDTH),
        _number(HEIGHT),
        sprite(),
        node.icon,
        _number(HEIGHT / 2 - 10),
        format_html_join(
            "",
            '<text x="42" y="{}">{}</text>',
            ((_number(top + 16 * (index + 0.75)), line) for index, line in enumerate(lines)),
        ),
        _number(top + 16 * (len(lines) + 0.75)),
        short(node.type_title, _LETTERS + 3),
    )
    if node.url:
        body = format_html('<a href="{}" aria-label="{}">{}</a>', node.url, description, body)
    return format_html(
        '<g id="{}" class="{}" transform="translate({} {})" data-node="{}">{}{}{}</g>',
        anchor,
        _classes("node", node.state),
        _number(at.x),
        _number(at.y),
        node.id,
        body,
        _marks(node.marks),
        _free_exits(node),
    )


def _wrap(text: str) -> list[str]:
    """Return a text in two lines at most."""
    return textwrap.wrap(text, _LETTERS, max_lines=2, placeholder="…") or [""]


def draw_inserts(routed: Sequence[tuple[EdgeLine, Route]]) -> SafeString:
    """Return the links that insert a node into an edge, above the arrow heads."""
    return format_html_join(
        "",
        "{}",
        (
            (_insert(line.insert, line.source, route.points[-1][0], route.points[-1][1] - 20),)
            for line, route in routed
            if line.insert is not None
        ),
    )


def _free_exits(node: NodeBox) -> SafeString:
    """Return the links at the exits of a box that lead nowhere, from its right corner."""
    parts, right = [], WIDTH - 10
    for one in node.inserts:
        half = 10 + _LETTER_WIDTH * len(short(one.text, _LABEL_LETTERS)) / 2
        parts.append((_insert(one, node.id, right - half, HEIGHT, half),))
        right -= 2 * half + 4
    return format_html_join("", "{}", parts)


def _insert(link: InsertLink, node_id: str, x: float, y: float, half: float = 8) -> SafeString:
    # Keyboards reach the same forms in the panel: a stop at each edge would be too many.
    return format_html(
        '<a class="insert" href="{}" data-source="{}" data-exit="{}" tabindex="-1"'
        ' aria-label="{}" transform="translate({} {})"><title>{}</title>'
        '<rect x="{}" y="-9" width="{}" height="18" rx="9"/><text y="4">{}</text></a>',
        link.url,
        node_id,
        link.value,
        link.description,
        _number(x),
        _number(y),
        link.description,
        _number(-half),
        _number(2 * half),
        f"+ {short(link.text, _LABEL_LETTERS)}".rstrip(),
    )


def _marks(marks: Sequence[Mark]) -> SafeString:
    """Return the marks of a box, from its upper right corner to the left."""
    parts, right = [], WIDTH + 8
    for mark in marks:
        width = 14 + 7 * len(mark.text)
        right -= width
        body = format_html(
            '<title>{}</title><rect x="{}" y="-10" width="{}" height="20" rx="10"/>'
            '<text x="{}" y="4">{}</text>',
            mark.description,
            _number(right),
            width,
            _number(right + width / 2),
            mark.text,
        )
        if mark.url:
            body = format_html(
                '<a href="{}" aria-label="{}">{}</a>', mark.url, mark.description, body
            )
        parts.append((mark.state, body))
        right -= 3
    return format_html_join("", '<g class="mark mark-{}">{}</g>', parts)


def sprite() -> str:
    """Return the URL of the file with all icons."""
    return static("workflows/icons.svg")
