"""Layout with positions that people have chosen.

Boxes lie where they were put, even on top of each other. A node without a position is placed near
the node before it. Edges that would cross boxes go around them, in one lane for each node that they
lead to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from workflows.graph.layout.labels import place_free_labels
from workflows.graph.layout.ranks import find_back_edges
from workflows.graph.layout.shapes import (
    BOX_GAP,
    HEIGHT,
    LABEL_HEIGHT,
    LANE_GAP,
    ROW_GAP,
    WIDTH,
    Box,
    Layout,
    Point,
    Route,
    spread_ports,
)

Edges = Sequence[tuple[str, str]]
_STEP = (WIDTH + BOX_GAP, HEIGHT + ROW_GAP + LABEL_HEIGHT)
_TRIES = [(column, row) for row in (1, 2, 3) for column in (0, 1, -1, 2, -2, 3, -3)]
_EFFORT = 200_000
"""The greatest number of pairs of edge and box for which edges go around boxes."""


def layout_arranged(
    ids: Sequence[str],
    edges: Edges,
    label_widths: Sequence[float],
    positions: Mapping[str, Point],
) -> Layout:
    """Return the layout of these nodes, some of which have positions: their upper left corners."""
    boxes = _place_boxes(ids, edges, positions)
    groups = [*_group(edges, boxes)]
    lanes = _assign_lanes(edges, boxes, groups) if len(edges) * len(boxes) <= _EFFORT else {}
    back = find_back_edges(ids, edges)
    leaving = _leaving_ports(edges, boxes, lanes, label_widths)
    arriving = _arriving_ports(edges, boxes, lanes, groups)
    starts = [(x, boxes[source].bottom) for x, (source, _) in zip(leaving, edges, strict=True)]
    labels = place_free_labels(starts, label_widths)
    routes = []
    for index, edge in enumerate(edges):
        points = _route(starts[index], (arriving[index], boxes[edge[1]].y), lanes.get(index))
        routes.append(Route(points, edge in back, len(points) == 2, labels[index]))
    xs = [x for route in routes for x, _ in route.points] + [box.x for box in boxes.values()]
    left, top = min(xs), min(box.y for box in boxes.values())
    right = max(*xs, *(box.x + box.width for box in boxes.values()))
    bottom = max(box.bottom for box in boxes.values())
    return Layout(boxes, routes, round(right - left, 1), bottom - top, left, top)


def _place_boxes(
    ids: Sequence[str], edges: Edges, positions: Mapping[str, Point]
) -> dict[str, Box]:
    """Return a box for each node. Nodes without a position take a free place near a neighbour."""
    found = {key: Box(*positions[key]) for key in ids if key in positions}
    taken = _Taken()
    for box in found.values():
        taken.add(box)
    before: dict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        before[target].append(source)
    for key in ids:
        if key not in found:
            near = next((found[one] for one in before[key] if one in found), None)
            found[key] = box = taken.find_room(near)
            taken.add(box)
    return {key: found[key] for key in ids}


class _Taken:
    """The places that boxes take, in cells as large as a box, so that few are compared."""

    def __init__(self) -> None:
        self.cells: dict[tuple[int, int], list[Box]] = defaultdict(list)
        self.left = self.bottom = float("-inf")

    def add(self, box: Box) -> None:
        self.cells[self._cell(box)].append(box)
        self.left = box.x if self.left == float("-inf") else min(self.left, box.x)
        self.bottom = max(self.bottom, box.bottom)

    def find_room(self, near: Box | None) -> Box:
        """Return a free box below or beside another, or else below all of them."""
        for column, row in _TRIES if near is not None else ():
            assert near is not None
            box = Box(near.x + column * _STEP[0], near.y + row * _STEP[1])
            if not any(_is_near(box, other) for other in self._around(box)):
                return box
        return Box(self.left, self.bottom + ROW_GAP + LABEL_HEIGHT)

    def _cell(self, box: Box) -> tuple[int, int]:
        return int(box.x // WIDTH), int(box.y // HEIGHT)

    def _around(self, box: Box) -> Iterator[Box]:
        column, row = self._cell(box)
        for right in (-2, -1, 0, 1, 2):
            for down in (-2, -1, 0, 1, 2):
                yield from self.cells.get((column + right, row + down), ())


def _is_near(one: Box, other: Box) -> bool:
    return abs(one.x - other.x) < WIDTH + BOX_GAP / 2 and abs(one.y - other.y) < HEIGHT + ROW_GAP


def _leads_down(source: Box, target: Box) -> bool:
    return target.y >= source.bottom + LANE_GAP


def _group(edges: Edges, boxes: Mapping[str, Box]) -> Iterator[list[int]]:
    """Yield the indexes of edges that can share a lane: to one box, from above or from below."""
    groups: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for index, (source, target) in enumerate(edges):
        groups[target, _leads_down(boxes[source], boxes[target])].append(index)
    yield from groups.values()


def _assign_lanes(
    edges: Edges, boxes: Mapping[str, Box], groups: Sequence[Sequence[int]]
) -> dict[int, float]:
    """Return the x of the lane of each edge that needs one, because boxes are in its way."""
    space = _Space(boxes.values())
    found: dict[int, float] = {}
    for group in sorted(groups, key=lambda group: _height(edges, boxes, group)):
        target = boxes[edges[group[0]][1]]
        sources = {index: boxes[edges[index][0]] for index in group}
        is_down = _leads_down(sources[group[0]], target)
        needing = [
            index
            for index, source in sources.items()
            if not is_down or not space.is_free(source, target)
        ]
        if not needing:
            continue
        middles = [sources[index].middle for index in needing]
        if is_down:
            top = min(sources[index].bottom for index in needing) + LANE_GAP
            lane = space.find_lane(target.middle, top, target.y - LANE_GAP)
        else:
            bottom = max(sources[index].bottom for index in needing) + LANE_GAP
            wanted = (sum(middles) / len(middles) + target.middle) / 2
            lane = space.find_lane(wanted, target.y - LANE_GAP, bottom)
        found.update(dict.fromkeys(needing, lane))
    return found


def _height(edges: Edges, boxes: Mapping[str, Box], group: Sequence[int]) -> float:
    return max(abs(boxes[edges[index][0]].y - boxes[edges[index][1]].y) for index in group)


class _Space:
    """The space that boxes and lanes leave free."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self.boxes = list(boxes)
        # Left, right, top and bottom.
        self.taken = [
            (box.x - LANE_GAP, box.x + box.width + LANE_GAP, box.y, box.bottom)
            for box in self.boxes
        ]

    def is_free(self, source: Box, target: Box) -> bool:
        """Return True if no box lies between two boxes, one above the other."""
        left, right = sorted((source.middle, target.middle))
        return not any(
            box.x <= right and box.x + box.width >= left
            for box in self.boxes
            if box.y < target.y - LANE_GAP and box.bottom > source.bottom + LANE_GAP
        )

    def find_lane(self, wanted: float, top: float, bottom: float) -> float:
        """Return the x nearest to the wanted one where a vertical line is free, and take it."""
        merged: list[tuple[float, float]] = []
        for left, right in sorted(
            (left, right) for left, right, y, to_y in self.taken if y < bottom and to_y > top
        ):
            if merged and left < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], right))
            else:
                merged.append((left, right))
        x = wanted
        for left, right in merged:
            if left < wanted < right:
                x = left if wanted - left < right - wanted else right
        self.taken.append((x - LANE_GAP / 2, x + LANE_GAP / 2, top, bottom))
        return round(x, 1)


def _leaving_ports(
    edges: Edges,
    boxes: Mapping[str, Box],
    lanes: Mapping[int, float],
    label_widths: Sequence[float],
) -> list[float]:
    """Return the x at which each edge leaves its source."""
    at: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for index, (source, target) in enumerate(edges):
        at[source].append((lanes.get(index, boxes[target].middle), index))
    found = [0.0] * len(edges)
    for key, ports in at.items():
        ports.sort()
        wanted = max(44.0, BOX_GAP / 2 + sum(label_widths[one] for _, one in ports) / len(ports))
        spread = spread_ports(boxes[key].middle, len(ports), wanted)
        for x, (_, index) in zip(spread, ports, strict=True):
            found[index] = x
    return found


def _arriving_ports(
    edges: Edges,
    boxes: Mapping[str, Box],
    lanes: Mapping[int, float],
    groups: Iterable[Sequence[int]],
) -> list[float]:
    """Return the x at which each edge arrives. Edges in one lane arrive together."""
    at: dict[str, list[tuple[float, list[int]]]] = defaultdict(list)
    for group in groups:
        target = edges[group[0]][1]
        together = [index for index in group if index in lanes]
        if together:
            at[target].append((lanes[together[0]], together))
        at[target] += [
            (boxes[edges[index][0]].middle, [index]) for index in group if index not in lanes
        ]
    found = [0.0] * len(edges)
    for key, ports in at.items():
        ports.sort()
        spread = spread_ports(boxes[key].middle, len(ports), 44.0)
        for x, (_, indexes) in zip(spread, ports, strict=True):
            for index in indexes:
                found[index] = x
    return found


def _route(start: Point, end: Point, lane: float | None) -> list[Point]:
    """Return the points of an edge between two ports."""
    (_, y), (_, to_y) = start, end
    if lane is None:
        return [start, end]
    if to_y < y + LANE_GAP:
        return [start, (lane, y), (lane, to_y), end]
    return [start, (lane, y + LANE_GAP), (lane, to_y - LANE_GAP), end]
