"""Graphs as pictures: SVG that the server writes; the colours are those of the stylesheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from workflows.graph import RUN_WORKFLOW, node_types
from workflows.graph.changes import Way, objects, way
from workflows.graph.layout import HEIGHT, ROW_GAP, WIDTH, Box, Route, layered

DRAWN = 1_500
"""A graph of more nodes is told, not drawn: its picture would be larger than a page."""
SELECTED = "selected"
_MARGIN = 14
_LETTERS = 21
_LABEL_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Mark:
    """What stands at the corner of a box, e.g. how many executions are there."""

    text: str
    told: str
    kind: str = "live"
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A box: what it says, how it is marked, and where it leads."""

    id: str
    title: str
    kind: str
    icon: str
    told: str = ""
    """What else is to be known, in words, as whoever cannot see the colours is told it."""
    state: str = ""
    url: str | None = None
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """An edge; ``label`` is the exit that it leaves by."""

    source: str
    target: str
    label: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What a picture is made of."""

    nodes: list[Shown] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def icon(name: str) -> SafeString:
    """An icon of the project's own, drawn in the colour of the text; it says nothing itself."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', _sprite(), name
    )


def _sprite() -> str:
    return static("workflows/icons.svg")


def icon_of(kind: str) -> str:
    """The name of the icon for a node type; of one that others have registered, a plain one."""
    return kind if kind in _OWN else "node"


_OWN = frozenset(
    [
        *("start", "end", "fail", "user_action", "approval", "condition", "set_field"),
        *("set_state", "wait", "parallel", "join", "run_workflow"),
        *("http_request", "webhook", "notify"),
    ]
)


def drawing(
    source: Any,
    *,
    urls: Mapping[str, str] | None = None,
    marks: Mapping[str, Sequence[Mark]] | None = None,
    states: Mapping[str, tuple[str, str]] | None = None,
    lines: Mapping[Way, str] | None = None,
) -> Drawing:
    """The drawing of a stored source, however damaged it is.

    Args:
        urls: by node id, where its box leads.
        marks: by node id, what stands at its corner.
        states: by node id, a class and what it means in words.
        lines: by edge, its class.
    """
    urls, marks, states, lines = urls or {}, marks or {}, states or {}, lines or {}
    found = Drawing()
    known: set[str] = set()
    for node in objects(source, "nodes"):
        key, kind = str(node.get("id")), str(node.get("type"))
        if key in known:
            continue
        known.add(key)
        state, told = states.get(key, ("", ""))
        found.nodes.append(
            Shown(
                key,
                label_of(node),
                type_title(kind),
                icon_of(kind),
                told,
                state,
                urls.get(key),
                marks.get(key, ()),
            )
        )
    for edge in objects(source, "edges"):
        one = way(edge)
        if {one[0], one[1]} <= known:
            found.lines.append(Line(*one, state=lines.get(one, "")))
    return found


def label_of(node: Mapping[str, Any]) -> str:
    """What people call a node."""
    data = node.get("data")
    named = data if isinstance(data, dict) else {}
    return str(named.get("label") or named.get("title") or node.get("id"))


def type_title(kind: str) -> str:
    """What people call a node type."""
    known = node_types().get(kind)
    return known.title if known else kind


def picture(drawn: Drawing, title: str, key: str) -> SafeString | None:
    """The picture, in a frame that scrolls; None when there is nothing to draw, or too much.

    ``key`` tells it from others on the same page; its uppermost box has the id ``<key>-0``, and one
    whose state is ``SELECTED`` the id ``<key>-selected``.
    """
    if not drawn.nodes or len(drawn.nodes) > DRAWN:
        return None
    laid = layered(
        [node.id for node in drawn.nodes], [(line.source, line.target) for line in drawn.lines]
    )
    named = {node.id: node.title for node in drawn.nodes}
    routed = list(zip(drawn.lines, laid.routes, strict=True))
    # What is marked is drawn last, above the rest.
    routed.sort(key=lambda pair: bool(pair[0].state))
    stand = laid.boxes
    boxes = sorted(drawn.nodes, key=lambda node: (stand[node.id].y, stand[node.id].x))
    anchors = {
        node.id: f"{key}-{SELECTED if SELECTED in node.state.split() else index}"
        for index, node in enumerate(boxes)
    }
    lines = (
        (_classes("edge", line.state, "back" if route.back else ""), *_line(line, route, named))
        for line, route in routed
    )
    labels = ((*_at(route), short(line.label, _LABEL_LETTERS)) for line, route in routed)
    width, height = laid.width + 2 * _MARGIN, laid.height + 2 * _MARGIN + ROW_GAP / 2
    return format_html(
        '<div class="graph" tabindex="0" role="region" aria-label="{title}">'
        '<svg xmlns="http://www.w3.org/2000/svg" role="{role}" aria-labelledby="{key}-title'
        ' {key}-desc" width="{width}" height="{height}"'
        ' viewBox="-{margin} -{margin} {width} {height}">'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{told}</desc>'
        "{lines}{boxes}{labels}</svg></div>",
        title=title,
        # What is an image to a screen reader has no links in it.
        role="group" if any(node.url or node.marks for node in boxes) else "img",
        key=key,
        width=round(width),
        height=round(height),
        margin=_MARGIN,
        told=_told(drawn, named),
        lines=format_html_join(
            "",
            '<g class="{}"><title>{}</title><path d="{}"/><path class="head" d="{}"/></g>',
            lines,
        ),
        boxes=format_html_join(
            "",
            "{}",
            ((_box(node, stand[node.id], anchors[node.id]),) for node in boxes),
        ),
        labels=format_html_join(
            "",
            '<text class="edge-label" aria-hidden="true" x="{}" y="{}">{}</text>',
            (row for row in labels if row[2]),
        ),
    )


def _told(drawn: Drawing, named: Mapping[str, str]) -> str:
    """The whole graph in words: for whoever cannot see it."""
    told = [f"{len(drawn.nodes)} nodes and {len(drawn.lines)} edges."]
    for line in drawn.lines[:200]:
        by = f" by {line.label}" if line.label else ""
        told.append(f"{named[line.source]} leads{by} to {named[line.target]}.")
    return " ".join(told)


def _number(value: float) -> str:
    return f"{round(value, 1):.10g}"


def _pair(x: float, y: float) -> str:
    return f"{_number(x)} {_number(y)}"


def _classes(*names: str) -> str:
    return " ".join(name for name in names if name)


def short(text: str, letters: int) -> str:
    """As much of a text as there is room for."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def _line(line: Line, route: Route, named: Mapping[str, str]) -> tuple[str, str, str]:
    by = f" by {line.label}" if line.label else ""
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
    """The heights that a curve is drawn towards: half way, or round a turn."""
    last = len(route.points) - 1
    if to_y <= y + HEIGHT / 8 and not route.direct and index in (1, last):
        turn = ROW_GAP * (0.55 if index == 1 else -0.55)
        return y + turn, to_y + turn
    if route.direct and to_y < y:
        return y + ROW_GAP, to_y - ROW_GAP
    return (y + to_y) / 2, (y + to_y) / 2


def _at(route: Route) -> tuple[str, str]:
    """Where the label of an edge stands: beside its first curve, near its source."""
    (x, y), (to_x, to_y) = route.points[0], route.points[1]
    if to_y <= y or route.direct:
        return _number(x + (to_x - x) * 0.15), _number(y + ROW_GAP * 0.4)
    return _number(x + (to_x - x) * 0.42), _number(y + (to_y - y) * 0.46 + 4)


def _box(node: Shown, at: Box, anchor: str) -> SafeString:
    name = f"{node.title}, {node.kind}"
    told = f"{name}. {node.told}" if node.told else name
    body = format_html(
        '<title>{}</title><rect class="box" width="{}" height="{}" rx="8"/>'
        '<use class="node-icon" href="{}#{}" x="12" y="16" width="20" height="20"/>'
        '<text x="42" y="23">{}</text><text class="kind" x="42" y="40">{}</text>',
        told,
        _number(WIDTH),
        _number(HEIGHT),
        _sprite(),
        node.icon,
        short(node.title, _LETTERS),
        short(node.kind, _LETTERS + 3),
    )
    if node.url:
        body = format_html('<a href="{}" aria-label="{}">{}</a>', node.url, told, body)
    return format_html(
        '<g id="{}" class="{}" transform="translate({} {})">{}{}</g>',
        anchor,
        _classes("node", node.state),
        _number(at.x),
        _number(at.y),
        body,
        _marks(node.marks),
    )


def _marks(marks: Sequence[Mark]) -> SafeString:
    """The marks of a box, from its upper right corner to the left."""
    drawn, right = [], WIDTH + 8
    for mark in marks:
        width = 14 + 7 * len(mark.text)
        right -= width
        body = format_html(
            '<title>{}</title><rect x="{}" y="-10" width="{}" height="20" rx="10"/>'
            '<text x="{}" y="4">{}</text>',
            mark.told,
            _number(right),
            width,
            _number(right + width / 2),
            mark.text,
        )
        if mark.url:
            body = format_html('<a href="{}" aria-label="{}">{}</a>', mark.url, mark.told, body)
        drawn.append((mark.kind, body))
        right -= 3
    return format_html_join("", '<g class="mark mark-{}">{}</g>', drawn)


def callees_of(source: Any) -> dict[str, str]:
    """By node id, the cuid of the workflow that it calls."""
    return {
        str(node.get("id")): str(node["data"].get("workflow"))
        for node in objects(source, "nodes")
        if node.get("type") == RUN_WORKFLOW and isinstance(node.get("data"), dict)
    }
