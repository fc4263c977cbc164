"""Diagrams of graphs as SVG. The stylesheet of the admin sets the colours."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from workflows.admin.diagram_shapes import (
    EdgeLine,
    InsertLink,
    Mark,
    NodeBox,
    draw_box,
    draw_inserts,
    draw_labels,
    draw_lines,
    label_width,
    sprite,
)
from workflows.graph import RUN_WORKFLOW, node_types
from workflows.graph.comparison import EdgeKey, edge_key, list_objects
from workflows.graph.layout import ROW_GAP, Layout, layout_graph
from workflows.graph.positions import Positions, list_positions

__all__ = [
    "MAX_NODES",
    "SELECTED",
    "Diagram",
    "EdgeLine",
    "InsertLink",
    "Mark",
    "NodeBox",
    "box_positions",
    "build_diagram",
    "callees_of",
    "displayed_positions",
    "icon",
    "icon_of",
    "label_of",
    "layout_diagram",
    "render_diagram",
    "type_title",
]

MAX_NODES = 1_500
"""Graphs with more nodes have no diagram."""
SELECTED = "selected"
_MARGIN = 14


@dataclass(frozen=True, slots=True)
class Diagram:
    """The boxes and lines of a graph."""

    nodes: list[NodeBox] = field(default_factory=list)
    lines: list[EdgeLine] = field(default_factory=list)
    current: str | None = None
    """The id of the node to go to: its box has the id ``<key>-current``."""
    positions: Positions = field(default_factory=dict)


def icon(name: str) -> SafeString:
    """Return a decorative icon in the colour of the text."""
    return format_html(
        '<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', sprite(), name
    )


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
    inserts: Mapping[EdgeKey | str, Sequence[InsertLink]] | None = None,
) -> Diagram:
    """Return the diagram of a stored source, which may be damaged.

    Args:
        urls: the links of the boxes, by node id.
        marks: the marks of the boxes, by node id.
        states: by node id, a CSS class and its meaning in words.
        lines: the CSS classes of the lines, by edge.
        current: the id of the node to go to.
        inserts: the links that insert a node: by edge, and by the node id of a free exit.
    """
    urls, marks, states, lines = urls or {}, marks or {}, states or {}, lines or {}
    inserts = inserts or {}
    found = Diagram(current=current, positions=list_positions(source))
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
                inserts.get(key, ()),
            )
        )
    for edge in list_objects(source, "edges"):
        one = edge_key(edge)
        if {one[0], one[1]} <= known:
            source_id, target, exit_ = one
            label = exit_labels[source_id].get(exit_, exit_)
            insert = next(iter(inserts.get(one, ())), None)
            found.lines.append(EdgeLine(source_id, target, label, lines.get(one, ""), insert))
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


def layout_diagram(diagram: Diagram) -> Layout | None:
    """Return the places of the boxes and lines, or None without nodes or with too many."""
    if not diagram.nodes or len(diagram.nodes) > MAX_NODES:
        return None
    return layout_graph(
        [node.id for node in diagram.nodes],
        [(line.source, line.target) for line in diagram.lines],
        [label_width(line) for line in diagram.lines],
        {key: (at["x"], at["y"]) for key, at in diagram.positions.items()},
    )


def displayed_positions(source: Any) -> Positions:
    """Return the position of each box in the diagram of a source; empty without a diagram."""
    diagram = build_diagram(source)
    layout = layout_diagram(diagram)
    return {} if layout is None else box_positions(layout)


def box_positions(layout: Layout) -> Positions:
    """Return the position of each box in whole numbers."""
    return {key: {"x": round(box.x), "y": round(box.y)} for key, box in layout.boxes.items()}


def render_diagram(
    diagram: Diagram, title: str, key: str, layout: Layout | None = None
) -> SafeString | None:
    """Return a diagram as SVG in a scrollable frame.

    Args:
        key: the prefix of element ids. The top box has the id ``<key>-0``, a box whose state is
            ``SELECTED`` has the id ``<key>-selected``.
        layout: the result of ``layout_diagram``, if it is known.

    Returns:
        The SVG, or None if the graph has no nodes or more than ``MAX_NODES``.
    """
    layout = layout or layout_diagram(diagram)
    if layout is None:
        return None
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
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN + ROW_GAP
    return format_html(
        '<div class="graph" tabindex="0" role="region" aria-label="{title}">'
        '<svg xmlns="http://www.w3.org/2000/svg" role="{role}" aria-labelledby="{key}-title'
        ' {key}-desc" width="{width}" height="{height}"'
        ' viewBox="{left} {top} {width} {height}">'
        '<title id="{key}-title">{title}</title><desc id="{key}-desc">{description}</desc>'
        "{lines}{boxes}{labels}{inserts}</svg></div>",
        title=title,
        # Screen readers ignore links inside an image.
        role="group" if any(node.url or node.marks for node in boxes) else "img",
        key=key,
        width=round(width),
        height=round(height),
        left=round(layout.left) - _MARGIN,
        top=round(layout.top) - _MARGIN,
        description=_describe(diagram, named),
        lines=draw_lines(routed, named),
        boxes=format_html_join(
            "",
            "{}",
            ((draw_box(node, positions[node.id], anchors[node.id]),) for node in boxes),
        ),
        labels=draw_labels(routed),
        inserts=draw_inserts(routed),
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


def callees_of(source: Any) -> dict[str, str]:
    """Return the cuids of the called workflows, by node id."""
    return {
        str(node.get("id")): str(node["data"].get("workflow"))
        for node in list_objects(source, "nodes")
        if node.get("type") == RUN_WORKFLOW and isinstance(node.get("data"), dict)
    }
