"""Where the nodes of a drawing stand and how its edges run: rows from top to bottom.

Pure arithmetic: the same nodes and edges in the same order give the same picture. Edges leave a
box at its bottom and enter one at its top; one that leads back turns round beside its box. Between
the rows an edge is a curve, through a row it is a vertical line, so none crosses a box.

What it takes is bounded: of the places that long edges need in the rows between, only
``WAYPOINTS`` are given, to the shorter ones first. An edge without is ``direct``: it runs straight
to its target, behind what stands there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

WIDTH, HEIGHT = 216.0, 52.0
ROW_GAP = 64.0
BOX_GAP, LANE_GAP = 32.0, 18.0
PORTS = 0.7
"""The part of a box's width at which edges may leave and arrive."""
WAYPOINTS = 4_000
_EFFORT = 60_000
"""How many places may be looked at in all while rows are ordered, and while they are moved."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A node: its upper left corner."""

    x: float
    y: float
    width: float = WIDTH
    height: float = HEIGHT

    @property
    def middle(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2


@dataclass(frozen=True, slots=True)
class Route:
    """An edge: curve, line, curve, … from point to point, beginning and ending with a curve."""

    points: Sequence[Point]
    back: bool = False
    direct: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture: boxes by node id, and one route for each edge, in their order."""

    boxes: Mapping[str, Box]
    routes: Sequence[Route]
    width: float
    height: float


@dataclass(slots=True, eq=False)
class _Place:
    """What stands in a row: a node, or a lane in which an edge passes."""

    width: float
    x: float = 0.0
    above: list[_Place] = field(default_factory=list)
    below: list[_Place] = field(default_factory=list)
    beside: _Place | None = None
    """Of a lane in which an edge turns round: its node, in the same row."""

    @property
    def is_node(self) -> bool:
        return self.width == WIDTH


def layered(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> Layout:
    """Lay out these nodes and edges (source, target), both ends among the nodes."""
    ids = list(dict.fromkeys(ids))
    back = _back(ids, edges)
    ranks = _ranks(ids, edges, back)
    nodes = {key: _Place(WIDTH) for key in ids}
    rows: list[list[_Place]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for key in ids:
        rows[ranks[key]].append(nodes[key])
    lanes = _lanes(edges, ranks, nodes, rows)
    _order(rows)
    _move(rows)
    _straighten(rows)
    return _picture(edges, back, ranks, nodes, lanes, rows)


def _back(ids: Sequence[str], edges: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """The edges that close a cycle, walking from where nothing leads to, in their order."""
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in dict.fromkeys(edges):
        following[source].append(target)
    entered = {target for source, target in edges if source != target}
    found: set[tuple[str, str]] = set()
    done: set[str] = set()
    on_the_way: set[str] = set()
    for root in [*(key for key in ids if key not in entered), *ids]:
        if root in done:
            continue
        stack = [(root, iter(following[root]))]
        on_the_way.add(root)
        while stack:
            key, targets = stack[-1]
            for target in targets:
                if target in on_the_way:
                    found.add((key, target))
                elif target not in done:
                    stack.append((target, iter(following[target])))
                    on_the_way.add(target)
                    break
            else:
                on_the_way.discard(key)
                done.add(key)
                stack.pop()
    return found


def _ranks(
    ids: Sequence[str], edges: Sequence[tuple[str, str]], back: set[tuple[str, str]]
) -> dict[str, int]:
    """The row of each node: below all that lead to it, edges that lead back left out."""
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


def _lanes(
    edges: Sequence[tuple[str, str]],
    ranks: Mapping[str, int],
    nodes: Mapping[str, _Place],
    rows: list[list[_Place]],
) -> list[list[_Place] | None]:
    """For each edge its lanes in the rows that it passes; None where there were none left."""

    def passed(index: int) -> range:
        above, below = (ranks[key] for key in edges[index])
        # One that leads back passes the rows of its own ends too.
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


def _order(rows: list[list[_Place]]) -> None:
    """Put each row in an order in which few edges cross: each place near its neighbours."""
    size = sum(map(len, rows)) or 1
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for turn in range(max(2, min(10, _EFFORT // size))):
        if not fewest:
            break
        downwards = turn % 2 == 0
        for row in rows if downwards else rows[::-1]:
            # Where the neighbours stand, in parts of their row.
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
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    rows[:] = best


def _number(row: list[_Place]) -> None:
    for index, place in enumerate(row):
        place.x = (index + 0.5) / len(row)


def _crossings(rows: list[list[_Place]]) -> int:
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
    """How far the middles of two neighbours are apart at the least."""
    free = BOX_GAP if left.is_node or right.is_node else LANE_GAP
    return (left.width + right.width) / 2 + free


def _move(rows: list[list[_Place]]) -> None:
    """Move the places of each row, their order kept, towards the middle of their neighbours."""
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
            _settle(row, [_wanted(place, downwards) for place in row])
    for row in rows:
        _settle(row, [_wanted(place, None) for place in row])


def _wanted(place: _Place, downwards: bool | None) -> float:
    others = [*place.above, *place.below]
    if downwards is not None:
        others = place.above if downwards else place.below
    if others:
        return sum(other.x for other in others) / len(others)
    return place.beside.x + WIDTH / 2 + BOX_GAP if place.beside is not None else place.x


def _settle(row: list[_Place], wanted: list[float]) -> None:
    """Place a row near what is wanted: half way between pushed to the right and to the left."""
    right, left = list(wanted), list(wanted)
    for index in range(1, len(row)):
        right[index] = max(right[index], right[index - 1] + _gap(row[index - 1], row[index]))
    for index in range(len(row) - 2, -1, -1):
        left[index] = min(left[index], left[index + 1] - _gap(row[index], row[index + 1]))
    for place, one, other in zip(row, right, left, strict=True):
        place.x = (one + other) / 2


def _straighten(rows: list[list[_Place]]) -> None:
    """Put what follows one upon another in a line, as far as its neighbours leave room."""

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


def _picture(
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
    """For each edge the x at which it leaves its source (``end`` 0) or arrives (-1)."""
    at: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for index, edge in enumerate(edges):
        chain = lanes[index]
        towards = chain[end] if chain else nodes[edge[-1 - end]]
        at[edge[end]].append((towards.x, index))
    found = {}
    for key, ways in at.items():
        room = min(44.0, PORTS * WIDTH / len(ways))
        for place, (_, index) in enumerate(sorted(ways)):
            found[index] = round(nodes[key].x + (place - (len(ways) - 1) / 2) * room, 1)
    return found
