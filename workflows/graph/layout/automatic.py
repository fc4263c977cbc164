"""Layout without positions: nodes in rows from top to bottom.

Pure arithmetic: the same nodes and edges in the same order give the same layout. Edges leave a box
at its bottom and enter one at its top. Between rows an edge is a curve, through a row it is a
vertical line, so no edge crosses a box.

Edges to the same node share the lanes in which they pass rows: many errors that lead to one node
are one line. A short back edge turns beside its box; a long one goes up in a lane beside all rows.

The cost is bounded: only ``WAYPOINTS`` lanes are given, to shorter edges first. An edge without
lanes is ``direct``: it runs straight to its target, behind the boxes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from workflows.graph.layout.labels import place_row_labels
from workflows.graph.layout.ranks import find_back_edges, rank_nodes
from workflows.graph.layout.rows import Place, move_places, order_rows, straighten
from workflows.graph.layout.shapes import (
    BOX_GAP,
    HEIGHT,
    LABEL_HEIGHT,
    LANE_GAP,
    ROW_GAP,
    WIDTH,
    Box,
    Layout,
    Route,
    spread_ports,
)

WAYPOINTS = 4_000
FAR = 3
"""A back edge over this number of rows, or more, goes up beside all rows."""

Edges = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Chain:
    """The lanes of an edge, from its source to its target, each with the rows that it passes."""

    lanes: Sequence[Place] = ()
    rows: Sequence[tuple[int, int]] = ()
    """The first and the last row, in the direction of the edge."""
    direct: bool = False


def layout_automatically(ids: Sequence[str], edges: Edges, label_widths: Sequence[float]) -> Layout:
    """Return the layout of these nodes and edges.

    Args:
        ids: the ids of the nodes, each once.
        edges: the edges, as source and target.
        label_widths: the width of the label of each edge; 0 without a label.
    """
    back = find_back_edges(ids, edges)
    ranks = rank_nodes(ids, edges, back)
    nodes = {key: Place(WIDTH) for key in ids}
    rows: list[list[Place]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for key in ids:
        rows[ranks[key]].append(nodes[key])
    chains = _Lanes(edges, ranks, nodes, rows).assign()
    order_rows(rows)
    move_places(rows)
    straighten(rows)
    outer = _place_outer_lanes(edges, nodes, chains, rows)
    shift = -min((place.x - place.width / 2 for row in [*rows, outer] for place in row), default=0)
    for place in [*(place for row in rows for place in row), *outer]:
        place.x = round(place.x + shift, 1)
    return _build_layout(edges, back, ranks, nodes, chains, [*rows, outer], label_widths)


class _Lanes:
    """Gives lanes to edges. Edges to the same node share them."""

    def __init__(
        self,
        edges: Edges,
        ranks: Mapping[str, int],
        nodes: Mapping[str, Place],
        rows: list[list[Place]],
    ) -> None:
        self.edges, self.ranks, self.nodes, self.rows = edges, ranks, nodes, rows
        self.shared: dict[tuple[str, int, bool], Place] = {}
        self.outer: dict[str, Place] = {}

    def assign(self) -> list[_Chain]:
        """Return the lanes of each edge, and add them to the rows."""
        chains = [_Chain(direct=True)] * len(self.edges)
        for index in sorted(range(len(self.edges)), key=lambda index: len(self._passed(index))):
            source, target = self.edges[index]
            if self.ranks[source] - self.ranks[target] >= FAR:
                lane = self.outer.setdefault(target, Place(0.0))
                chains[index] = _Chain([lane], [(self.ranks[source], self.ranks[target])])
                continue
            passed = self._passed(index)
            is_back = self.ranks[target] <= self.ranks[source]
            missing = [row for row in passed if (target, row, is_back) not in self.shared]
            if len(self.shared) + len(missing) > WAYPOINTS:
                continue
            for row in missing:
                self.shared[target, row, is_back] = lane = Place(0.0)
                self.rows[row].append(lane)
            lanes = [self.shared[target, row, is_back] for row in passed]
            self._link(lanes, self.nodes[source], self.nodes[target], is_back=is_back)
            chains[index] = _Chain(lanes, [(row, row) for row in passed])
        return chains

    def _passed(self, index: int) -> range:
        above, below = (self.ranks[key] for key in self.edges[index])
        # An edge that leads back passes the rows of its own ends too.
        return range(above + 1, below) if below > above else range(above, below - 1, -1)

    def _link(self, lanes: list[Place], source: Place, target: Place, *, is_back: bool) -> None:
        whole = [source, *lanes, target]
        if is_back:
            lanes[0].beside, lanes[-1].beside = lanes[0].beside or source, target
            whole = lanes[::-1]
        for upper, lower in pairwise(whole):
            if lower not in upper.below or not lanes:
                upper.below.append(lower)
                lower.above.append(upper)


def _place_outer_lanes(
    edges: Edges,
    nodes: Mapping[str, Place],
    chains: Sequence[_Chain],
    rows: list[list[Place]],
) -> list[Place]:
    """Place the lanes of long back edges beside the rows that they pass; return them."""
    spans: dict[Place, tuple[int, int]] = {}
    ends: dict[Place, list[float]] = defaultdict(list)
    for edge, chain in zip(edges, chains, strict=True):
        for lane, (first, last) in zip(chain.lanes, chain.rows, strict=True):
            if first - last >= FAR:
                spans[lane] = (last, max(first, spans.get(lane, (0, 0))[1]))
                ends[lane] += [nodes[key].x for key in edge]
    left = [min((one.x - one.width / 2 for one in row), default=0.0) for row in rows]
    right = [max((one.x + one.width / 2 for one in row), default=0.0) for row in rows]
    for lane, (top, bottom) in sorted(spans.items(), key=lambda item: item[1][1] - item[1][0]):
        passed = slice(top, bottom + 1)
        leftmost, rightmost = min(left[passed]), max(right[passed])
        if sum(ends[lane]) / len(ends[lane]) < (leftmost + rightmost) / 2:
            lane.x = leftmost - LANE_GAP
            left[passed] = [lane.x] * len(left[passed])
        else:
            lane.x = rightmost + LANE_GAP
            right[passed] = [lane.x] * len(right[passed])
    return list(spans)


def _build_layout(
    edges: Edges,
    back: set[tuple[str, str]],
    ranks: Mapping[str, int],
    nodes: Mapping[str, Place],
    chains: Sequence[_Chain],
    rows: Sequence[Sequence[Place]],
    label_widths: Sequence[float],
) -> Layout:
    leaving = _leaving_ports(edges, nodes, chains, label_widths)
    arriving = _arriving_ports(edges, nodes, chains)
    labels = []
    for index, (source, _target) in enumerate(edges):
        towards = chains[index].lanes[0].x if chains[index].lanes else arriving[index]
        labels.append((ranks[source], leaving[index], towards, label_widths[index]))
    at, lines = place_row_labels(labels)
    top, y = [], 0.0
    for row in range(len(rows) - 1):
        top.append(y)
        y += HEIGHT + ROW_GAP + LABEL_HEIGHT * lines.get(row, 0)
    height = top[-1] + HEIGHT if top else 0.0
    boxes = {key: Box(place.x - WIDTH / 2, top[ranks[key]]) for key, place in nodes.items()}
    routes = []
    for index, (source, target) in enumerate(edges):
        points = [(leaving[index], boxes[source].bottom)]
        for lane, (first, last) in zip(chains[index].lanes, chains[index].rows, strict=True):
            if ranks[target] > ranks[source]:
                points += [(lane.x, top[first]), (lane.x, top[last] + HEIGHT)]
            else:
                points += [(lane.x, top[first] + HEIGHT), (lane.x, top[last])]
        points.append((arriving[index], boxes[target].y))
        place = at[index]
        label = None if place is None else (place[0], boxes[source].bottom + place[1])
        is_back = (source, target) in back
        routes.append(Route(points, is_back, chains[index].direct, label))
    width = max((place.x + place.width / 2 for row in rows for place in row), default=0.0)
    return Layout(boxes, routes, round(width, 1), height)


def _leaving_ports(
    edges: Edges,
    nodes: Mapping[str, Place],
    chains: Sequence[_Chain],
    label_widths: Sequence[float],
) -> dict[int, float]:
    """Return the x at which each edge leaves its source."""
    at: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for index, (source, target) in enumerate(edges):
        towards = chains[index].lanes[0] if chains[index].lanes else nodes[target]
        at[source].append((towards.x, index))
    found = {}
    for key, ports in at.items():
        ports.sort()
        wanted = max(44.0, BOX_GAP / 2 + sum(label_widths[one] for _, one in ports) / len(ports))
        spread = spread_ports(nodes[key].x, len(ports), wanted)
        found.update({index: x for x, (_, index) in zip(spread, ports, strict=True)})
    return found


def _arriving_ports(
    edges: Edges, nodes: Mapping[str, Place], chains: Sequence[_Chain]
) -> dict[int, float]:
    """Return the x at which each edge arrives. Edges in one lane arrive together."""
    at: dict[str, dict[Place, list[int]]] = defaultdict(lambda: defaultdict(list))
    for index, (source, target) in enumerate(edges):
        lane = chains[index].lanes[-1] if chains[index].lanes else nodes[source]
        at[target][lane].append(index)
    found = {}
    for key, groups in at.items():
        ports = sorted(groups, key=lambda place: place.x)
        for x, place in zip(spread_ports(nodes[key].x, len(ports), 44.0), ports, strict=True):
            found.update(dict.fromkeys(groups[place], x))
    return found
