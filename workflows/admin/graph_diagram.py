"""Diagrams of graphs as SVG. The stylesheet of the admin sets the colours."""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from workflows.graph import RUN_WORKFLOW, node_types
from workflows.graph.comparison import EdgeKey, edge_key, list_objects
from workflows.graph.layout import HEIGHT, ROW_GAP, WIDTH, Box, Route, layout_graph

MAX_NODES = 1_500
"""Graphs with more nodes have no diagram."""
SELECTED = "selected"
_MARGIN = 14
_LETTERS = 21
_LABEL_LETTERS = 16
_LETTER_WIDTH, _LABEL_HEIGHT = 6.0, 13
_LABEL_SHIFTS = (0, _LABEL_HEIGHT, -_LABEL_HEIGHT, 2 * _LABEL_HEIGHT, -2 * _LABEL_HEIGHT)
"""Distances that a label may move up or down, to leave the labels of other edges readable."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark at the corner of a box, for example the number of executions."""

    text: str
    description: str
    state: str = "live"
    url: str | None = None


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


@dataclass(frozen=True, slots=True)
class EdgeLine:
    """The line of an edge. ``label`` is the label or the name of the exit it leaves by."""

    source: str
    target: str
    label: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Diagram:
    """The boxes and lines of a graph."""

    nodes: list[NodeBox] = field(default_factory=list)
    lines: list[EdgeLine] = field(default_factory=list)
    current: str | None = None
    """The id of the node to go to: its box has the id ``<key>-current``."""


def icon(name: str) -> SafeString:
    """Return a decorative icon in the colour of the text."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', _sprite(), name
    )


def _sprite() -> str:
    return static("workflows/icons.svg")


def icon_of(node_type: str) -> str:
    """Return the icon name of a node type, or a generic icon for a custom type."""
    return node_type if node_type in _icon_names() else "node"


@functools.cache
def _icon_names() -> frozenset[str]:
    path = Path(__file__).parents[1] / "static" / "workflows" / "icons.svg"
    return frozenset(re.findall(r'<symbol id="(\w+)"', path.read_text()))


def build_diagram(
    source: Any,
    *,
    urls: Mapping[str, str] | None = None,
    marks: Mapping[str, Sequence[Mark]] | None = None,
    states: Mapping[str, tuple[str, str]] | None = None,
    lines: Mapping[EdgeKey, str] | None = None,
    current: str | None = None,
) -> Diagram:
    """Return the diagram of a stored source, which may be damaged.

    Args:
        urls: the links of the boxes, by node id.
        marks: the marks of the boxes, by node id.
        states: by node id, a CSS class and its meaning in words.
        lines: the CSS classes of the lines, by edge.
        current: the id of the node to go to.
    """
    urls, marks, states, lines = urls or {}, marks or {}, states or {}, lines or {}
    found = Diagram(current=current)
    known: set[str] = set()
    exit_labels: dict[str, Mapping[str, str]] = {}
    for node in list_objects(source, "nodes"):
        key, kind = str(node.get("id")), str(node.get("type"))
        if key in known:
            continue
        known.add(key)
        exit_labels[key] = _exit_labels(node)
        state, description = states.get(key, ("", ""))
        found.nodes.append(
            NodeBox(
                key,
                label_of(node),
                type_title(kind),
                icon_of(kind),
                description,
                state,
                urls.get(key),
                marks.get(key, ()),
            )
        )
    for edge in list_objects(source, "edges"):
        one = edge_key(edge)
        if {one[0], one[1]} <= known:
            source_id, target, exit_ = one
            label = exit_labels[source_id].get(exit_, exit_)
            found.lines.append(EdgeLine(source_id, target, label, lines.get(one, "")))
    return found


def _exit_labels(node: Mapping[str, Any]) -> Mapping[str, str]:
    node_type, data = node_types().get(str(node.get("type"))), node.get("data")
    return node_type.exit_labels(data) if node_type and isinstance(data, dict) else {}


def label_of(node: Mapping[str, Any]) -> str:
    """Return the label of a node, or its title, or its id."""
    data = node.get("data")
    named = data if isinstance(data, dict) else {}
    return str(named.get("label") or named.get("title") or node.get("id"))


def type_title(node_type: str) -> str:
    """Return the title of a node type, or its name if it is unknown."""
    known = node_types().get(node_type)
    return known.title if known else node_type


def render_diagram(diagram: Diagram, title: str, key: str) -> SafeString | None:
    """Return a diagram as SVG in a scrollable frame.

    Args:
        key: the prefix of element ids. The top box has the id ``<key>-0``, a box whose state is
            ``SELECTED`` has the id ``<key>-selected``.

    Returns:
        The SVG, or None if the graph has no nodes or more than ``MAX_NODES``.
    """
    if not diagram.nodes or len(diagram.nodes) > MAX_NODES:
        return None
    layout = layout_graph(
        [node.id for node in diagram.nodes], [(line.source, line.target) for line in diagram.lines]
    )
    named = {node.id: node.title for node in diagram.nodes}
    routed = list(zip(diagram.lines, layout.routes, strict=True))
    # Lines with a state come last, so that they lie above the others.
    routed.sort(key=lambda pair: bool(pair[0].state))
    positions = layout.boxes
    boxes = sorted(diagram.nodes, key=lambda node: (positions[node.id].y, positions[node.id].x))
    anchors = {
        node.id: f"{key}-{SELECTED if SELECTED in node.state.split() else index}"
        for index, node in enumerate(boxes)
    }
    if diagram.current in anchors:
        anchors[diagram.current] = f"{key}-current"
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN + ROW_GAP / 2
    return format_html(
        '<div class="graph" tabindex="0" role="region" aria-label="{title}">'
        '<svg xmlns="http://www.w3.org/2000/svg" role="{role}" aria-labelledby="{key}-title'
        ' {key}-desc" width="{width}" height="{height}"'
        ' viewBox="-{margin} -{margin} {width} {height}">'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{description}</desc>'
        "{lines}{boxes}{labels}</svg></div>",
        title=title,
        # Screen readers ignore links inside an image.
        role="group" if any(node.url or node.marks for node in boxes) else "img",
        key=key,
        width=round(width),
        height=round(height),
        margin=_MARGIN,
        description=_describe(diagram, named),
        lines=_lines(routed, named),
        boxes=format_html_join(
            "",
            "{}",
            ((_box(node, positions[node.id], anchors[node.id]),) for node in boxes),
        ),
        labels=_labels(routed),
    )


def _lines(routed: Sequence[tuple[EdgeLine, Route]], named: Mapping[str, str]) -> SafeString:
    return format_html_join(
        "",
        '<g class="{}"><title>{}</title><path d="{}"/><path class="head" d="{}"/></g>',
        (
            (_classes("edge", line.state, "back" if route.back else ""), *_line(line, route, named))
            for line, route in routed
        ),
    )


def _labels(routed: Sequence[tuple[EdgeLine, Route]]) -> SafeString:
    # By the height at which edges leave: labels of different rows are apart.
    placed: dict[float, list[tuple[float, float, float]]] = defaultdict(list)
    rows = []
    for line, route in routed:
        if text := short(line.label, _LABEL_LETTERS):
            (x, y), half = _at(route), len(text) * _LETTER_WIDTH / 2
            others = placed[route.points[0][1]]
            y = next(
                (y + shift for shift in _LABEL_SHIFTS if _is_free(x, y + shift, half, others)), y
            )
            others.append((x, y, half))
            rows.append((_number(x), _number(y), text))
    return format_html_join(
        "", '<text class="edge-label" aria-hidden="true" x="{}" y="{}">{}</text>', rows
    )


def _is_free(x: float, y: float, half: float, others: Sequence[tuple[float, float, float]]) -> bool:
    """Return True if a label of this half width, with its middle here, overlaps none of these."""
    return not any(
        abs(x - other_x) < half + other_half + _LETTER_WIDTH and abs(y - other_y) < _LABEL_HEIGHT
        for other_x, other_y, other_half in others
    )


def _describe(diagram: Diagram, named: Mapping[str, str]) -> str:
    """Return the graph in words, for screen readers."""
    sentences = [
        gettext("%(nodes)s nodes and %(edges)s edges.")
        % {"nodes": len(diagram.nodes), "edges": len(diagram.lines)}
    ]
    for line in diagram.lines[:200]:
        names = {"source": named[line.source], "exit": line.label, "target": named[line.target]}
        if line.label:
            sentences.append(gettext("%(source)s, exit %(exit)s: next %(target)s.") % names)
        else:
            sentences.append(gettext("%(source)s: next %(target)s.") % names)
    return " ".join(sentences)


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
        turn = ROW_GAP * (0.55 if index == 1 else -0.55)
        return y + turn, to_y + turn
    if route.direct and to_y < y:
        return y + ROW_GAP, to_y - ROW_GAP
    return (y + to_y) / 2, (y + to_y) / 2


def _at(route: Route) -> tuple[float, float]:
    """Return the position of an edge's label: beside its first curve, near its source."""
    (x, y), (to_x, to_y) = route.points[0], route.points[1]
    if to_y <= y or route.direct:
        return x + (to_x - x) * 0.15, y + ROW_GAP * 0.4
    return x + (to_x - x) * 0.42, y + (to_y - y) * 0.46 + 4


def _box(node: NodeBox, at: Box, anchor: str) -> SafeString:
    name = f"{node.title}, {node.type_title}"
    description = f"{name}. {node.description}" if node.description else name
    body = format_html(
        '<title>{}</title><rect class="box" width="{}" height="{}" rx="8"/>'
        '<use class="node-icon" href="{}#{}" x="12" y="16" width="20" height="20"/>'
        '<text x="42" y="23">{}</text><text class="node-type" x="42" y="40">{}</text>',
        description,
        _number(WIDTH),
        _number(HEIGHT),
        _sprite(),
        node.icon,
        short(node.title, _LETTERS),
        short(node.type_title, _LETTERS + 3),
    )
    if node.url:
        body = format_html('<a href="{}" aria-label="{}">{}</a>', node.url, description, body)
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


def callees_of(source: Any) -> dict[str, str]:
    """Return the cuids of the called workflows, by node id."""
    return {
        str(node.get("id")): str(node["data"].get("workflow"))
        for node in list_objects(source, "nodes")
        if node.get("type") == RUN_WORKFLOW and isinstance(node.get("data"), dict)
    }
