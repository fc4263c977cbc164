"""Layout of a graph diagram: positions of nodes in rows from top to bottom, routes of edges.

Pure arithmetic: the same nodes and edges in the same order give the same layout. Edges leave a box
at its bottom and enter one at its top; an edge that leads back turns beside its box. Between rows
an edge is a curve, through a row it is a vertical line, so no edge crosses a box.

The cost is bounded: long edges need a lane in each row that they pass, and only ``WAYPOINTS`` lanes
are given, to shorter edges first. An edge without lanes is ``direct``: it runs straight to its
target, behind the boxes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

WIDTH, HEIGHT = 216.0, 58.0
ROW_GAP = 50.0
BOX_GAP, LANE_GAP = 32.0, 18.0
PORTS = 0.7
"""The part of a box's width where edges leave and arrive."""
WAYPOINTS = 4_000
_EFFORT = 60_000
"""The total number of places to visit while rows are ordered, and again while they are moved."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """The box of a node; x and y are its upper left corner."""

    x: float
    y: float
    width: float = WIDTH
    height: float = HEIGHT

    @property
    def middle(self) -> float:
        """The x of the middle."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Route:
    """The route of an edge: curves and lines in turn, beginning and ending with a curve."""

    points: Sequence[Point]
    back: bool = False
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes by node id, and one route for each edge in the order of the edges."""

    boxes: Mapping[str, Box]
    routes: Sequence[Route]
    width: float
    height: float


@dataclass(slots=True, eq=False)
class _Place:
    """An item in a row: a node, or the lane of an edge that passes the row."""

    width: float
    x: float = 0.0
    above: list[_Place] = field(default_factory=list)
    below: list[_Place] = field(default_factory=list)
    beside: _Place | None = None
    """For a lane in which an edge turns back: its node in the same row."""

    @property
    def is_node(self) -> bool:
        return self.width == WIDTH


def layout_graph(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> Layout:
    """Return the layout of these nodes and edges (source, target); both ends must be nodes."""
    ids = list(dict.fromkeys(ids))
    back = _find_back_edges(ids, edges)
    ranks = _rank_nodes(ids, edges, back)
    nodes = {key: _Place(WIDTH) for key in ids}
    rows: list[list[_Place]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for key in ids:
        rows[ranks[key]].append(nodes[key])
    lanes = _assign_lanes(edges, ranks, nodes, rows)
    _order_rows(rows)
    _move_places(rows)
    _straighten(rows)
    return _build_layout(edges, back, ranks, nodes, lanes, rows)


def _find_back_edges(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the edges that close a cycle in a depth-first walk from the nodes without a source."""
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in dict.fromkeys(edges):
        following[source].append(target)
    entered = {target for source, target in edges if source != target}
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    on_path: set[str] = set()
    for root in [*(key for key in ids if key not in entered), *ids]:
        if root in done:
            continue
        stack = [(root, iter(following[root]))]
        on_path.add(root)
        while stack:
            key, targets = stack[-1]
            for target in targets:
                if target in on_path:
                    found.add((key, target))
                elif target not in done:
                    stack.append((target, iter(following[target])))
                    on_path.add(target)
                    break
            else:
                on_path.discard(key)
                done.add(key)
                stack.pop()
    return found


def _rank_nodes(
    ids: Sequence[str], edges: Sequence[tuple[str, str]], back: set[tuple[str, str]]
) -> dict[str, int]:
    """Return the row of each node: below all of its sources, without edges that lead back."""
    forward = [edge for edge in dict.fromkeys(edges) if edge not in back]
    following: dict[str, list[str]] = defaultdict(list)
    waits: dict[str, int] = dict.fromkeys(ids, 0)
    for source, target in forward:
        following[source].append(target)
        waits[target] += 1
    ranks = dict.fromkeys(ids, 0)
    ready = [key for key in ids if not waits[key]]
    for key in ready:
        for target in following[key]:
            ranks[target] = max(ranks[target], ranks[key] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    return ranks


def _assign_lanes(
    edges: Sequence[tuple[str, str]],
    ranks: Mapping[str, int],
    nodes: Mapping[str, _Place],
    rows: list[list[_Place]],
) -> list[list[_Place] | None]:
    """Return the lanes of each edge in the rows that it passes; None if no lanes are left."""

    def passed(index: int) -> range:
        above, below = (ranks[key] for key in edges[index])
        # An edge that leads back passes the rows of its own ends too.
        return range(above + 1, below) if below > above else range(above, below - 1, -1)

    lanes: list[list[_Place] | None] = [None] * len(edges)
    left = WAYPOINTS
    for index in sorted(range(len(edges)), key=lambda index: len(passed(index))):
        left -= len(passed(index))
        if left < 0:
            break
        lanes[index] = [_Place(0.0) for _ in passed(index)]
    for index, (source, target) in enumerate(edges):
        chain = lanes[index]
        if chain is None:
            continue
        for row, lane in zip(passed(index), chain, strict=True):
            rows[row].append(lane)
        if ranks[target] > ranks[source]:
            whole = [nodes[source], *chain, nodes[target]]
        else:
            chain[0].beside, chain[-1].beside = nodes[source], nodes[target]
            whole = chain[::-1]
        for upper, lower in pairwise(whole):
            upper.below.append(lower)
            lower.above.append(upper)
    return lanes


def _order_rows(rows: list[list[_Place]]) -> None:
    """Order each row so that few edges cross: each place near its neighbours."""
    size = sum(map(len, rows)) or 1
    best, fewest = [list(row) for row in rows], _count_crossings(rows)
    for turn in range(max(2, min(10, _EFFORT // size))):
        if not fewest:
            break
        downwards = turn % 2 == 0
        for row in rows if downwards else rows[::-1]:
            # The mean position of the neighbours, as a fraction of their row.
            at = {place: place.x for place in row}
            for place in row:
                others = place.above if downwards else place.below
                if others:
                    at[place] = sum(other.x for other in others) / len(others)
            for place in row:
                if place.beside is not None and not (place.above if downwards else place.below):
                    at[place] = at[place.beside] + 1e-6
            row.sort(key=at.__getitem__)
            _number(row)
        crossings = _count_crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _number(row: list[_Place]) -> None:
    for index, place in enumerate(row):
        place.x = (index + 0.5) / len(row)


def _count_crossings(rows: list[list[_Place]]) -> int:
    for row in rows:
        _number(row)
    number = 0
    for row in rows:
        seen: list[float] = []
        for place in row:
            targets = sorted(other.x for other in place.below)
            number += sum(len(seen) - bisect_left(seen, x + 1e-9) for x in targets)
            for x in targets:
                insort(seen, x)
    return number


def _gap(left: _Place, right: _Place) -> float:
    """Return the least distance between the middles of two neighbours."""
    free = BOX_GAP if left.is_node or right.is_node else LANE_GAP
    return (left.width + right.width) / 2 + free


def _move_places(rows: list[list[_Place]]) -> None:
    """Move the places of each row towards the middle of their neighbours, keeping their order."""
    for row in rows:
        x = 0.0
        for before, place in pairwise([None, *row]):
            assert place is not None
            x += _gap(before, place) if before is not None else 0.0
            place.x = x
    size = sum(map(len, rows)) or 1
    for turn in range(max(4, min(40, _EFFORT // size))):
        downwards = turn % 2 == 0
        for row in rows if downwards else rows[::-1]:
            _settle(row, [_wanted_x(place, downwards) for place in row])
    for row in rows:
        _settle(row, [_wanted_x(place, None) for place in row])


def _wanted_x(place: _Place, downwards: bool | None) -> float:
    others = [*place.above, *place.below]
    if downwards is not None:
        others = place.above if downwards else place.below
    if others:
        return sum(other.x for other in others) / len(others)
    return place.beside.x + WIDTH / 2 + BOX_GAP if place.beside is not None else place.x


def _settle(row: list[_Place], wanted: list[float]) -> None:
    """Place a row near the wanted positions: the mean of pushing right and pushing left."""
    right, left = list(wanted), list(wanted)
    for index in range(1, len(row)):
        right[index] = max(right[index], right[index - 1] + _gap(row[index - 1], row[index]))
    for index in range(len(row) - 2, -1, -1):
        left[index] = min(left[index], left[index + 1] - _gap(row[index], row[index + 1]))
    for place, one, other in zip(row, right, left, strict=True):
        place.x = (one + other) / 2


def _straighten(rows: list[list[_Place]]) -> None:
    """Align chains of places vertically, as far as their neighbours leave room."""

    def room(row: list[_Place], index: int) -> tuple[float, float]:
        place = row[index]
        left = row[index - 1] if index else None
        right = row[index + 1] if index + 1 < len(row) else None
        return (
            left.x + _gap(left, place) if left is not None else float("-inf"),
            right.x - _gap(place, right) if right is not None else float("inf"),
        )

    at = {place: (row, index) for row in rows for index, place in enumerate(row)}
    for place in at:
        if len(place.above) == 1 and len(place.above[0].below) == 1:
            continue
        run, low, high = [place], *room(*at[place])
        while len(place.below) == 1 and len(place.below[0].above) == 1:
            place = place.below[0]
            least, most = room(*at[place])
            if max(low, least) > min(high, most):
                _line_up(run, low, high)
                run, low, high = [], least, most
            run.append(place)
            low, high = max(low, least), min(high, most)
        _line_up(run, low, high)


def _line_up(run: list[_Place], low: float, high: float) -> None:
    x = min(max(sum(place.x for place in run) / len(run), low), high)
    for place in run:
        place.x = x


def _build_layout(
    edges: Sequence[tuple[str, str]],
    back: set[tuple[str, str]],
    ranks: Mapping[str, int],
    nodes: Mapping[str, _Place],
    lanes: list[list[_Place] | None],
    rows: list[list[_Place]],
) -> Layout:
    places = [place for row in rows for place in row]
    shift = -min((place.x - place.width / 2 for place in places), default=0.0)
    width = max((place.x + place.width / 2 for place in places), default=0.0) + shift
    for place in places:
        place.x = round(place.x + shift, 1)
    top = [row * (HEIGHT + ROW_GAP) for row in range(len(rows))]
    boxes = {key: Box(place.x - WIDTH / 2, top[ranks[key]]) for key, place in nodes.items()}
    leaving = _ports(edges, nodes, lanes, 0)
    arriving = _ports(edges, nodes, lanes, -1)
    routes = []
    for index, (source, target) in enumerate(edges):
        upper, lower = ranks[source], ranks[target]
        points = [(leaving[index], top[upper] + HEIGHT)]
        step = 1 if lower > upper else -1
        row = upper + 1 if step == 1 else upper
        for lane in lanes[index] or ():
            through = [(lane.x, top[row]), (lane.x, top[row] + HEIGHT)]
            points += through[::step]
            row += step
        points.append((arriving[index], top[lower]))
        routes.append(Route(points, (source, target) in back, lanes[index] is None))
    return Layout(
        boxes, routes, round(width, 1), max(len(rows) * (HEIGHT + ROW_GAP) - ROW_GAP, 0.0)
    )


def _ports(
    edges: Sequence[tuple[str, str]],
    nodes: Mapping[str, _Place],
    lanes: list[list[_Place] | None],
    end: int,
) -> dict[int, float]:
    """Return the x at which each edge leaves its source (``end`` 0) or arrives (-1)."""
    at: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for index, edge in enumerate(edges):
        chain = lanes[index]
        towards = chain[end] if chain else nodes[edge[-1 - end]]
        at[edge[end]].append((towards.x, index))
    found = {}
    for key, ports in at.items():
        room = min(44.0, PORTS * WIDTH / len(ports))
        for place, (_, index) in enumerate(sorted(ports)):
            found[index] = round(nodes[key].x + (place - (len(ports) - 1) / 2) * room, 1)
    return found
