"""Rows of a layout: the order of their places, and where each place lies in its row."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from itertools import pairwise

from workflows.graph.layout.shapes import BOX_GAP, LANE_GAP, WIDTH

_EFFORT = 60_000
"""The total number of places to visit while rows are ordered, and again while they are moved."""


@dataclass(slots=True, eq=False)
class Place:
    """An item in a row: a node, or the lane of an edge that passes the row."""

    width: float
    x: float = 0.0
    above: list[Place] = field(default_factory=list)
    below: list[Place] = field(default_factory=list)
    beside: Place | None = None
    """For a lane in which an edge turns back: its node in the same row."""

    @property
    def is_node(self) -> bool:
        return self.width == WIDTH


def order_rows(rows: list[list[Place]]) -> None:
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


def _number(row: list[Place]) -> None:
    for index, place in enumerate(row):
        place.x = (index + 0.5) / len(row)


def _count_crossings(rows: list[list[Place]]) -> int:
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


def gap_between(left: Place, right: Place) -> float:
    """Return the least distance between the middles of two neighbours."""
    free = BOX_GAP if left.is_node or right.is_node else LANE_GAP
    return (left.width + right.width) / 2 + free


def move_places(rows: list[list[Place]]) -> None:
    """Move the places of each row towards the middle of their neighbours, keeping their order."""
    for row in rows:
        x = 0.0
        for before, place in pairwise([None, *row]):
            assert place is not None
            x += gap_between(before, place) if before is not None else 0.0
            place.x = x
    size = sum(map(len, rows)) or 1
    for turn in range(max(4, min(40, _EFFORT // size))):
        downwards = turn % 2 == 0
        for row in rows if downwards else rows[::-1]:
            _settle(row, [_wanted_x(place, downwards) for place in row])
    for row in rows:
        _settle(row, [_wanted_x(place, None) for place in row])


def _wanted_x(place: Place, downwards: bool | None) -> float:
    others = [*place.above, *place.below]
    if downwards is not None:
        others = place.above if downwards else place.below
    if others:
        # Nodes line up with nodes and lanes with lanes, rather than with each other.
        weights = [4 if other.is_node == place.is_node else 1 for other in others]
        return sum(w * o.x for w, o in zip(weights, others, strict=True)) / sum(weights)
    return place.beside.x + WIDTH / 2 + BOX_GAP if place.beside is not None else place.x


def _settle(row: list[Place], wanted: list[float]) -> None:
    """Place a row near the wanted positions: the mean of pushing right and pushing left."""
    right, left = list(wanted), list(wanted)
    for index in range(1, len(row)):
        right[index] = max(right[index], right[index - 1] + gap_between(row[index - 1], row[index]))
    for index in range(len(row) - 2, -1, -1):
        left[index] = min(left[index], left[index + 1] - gap_between(row[index], row[index + 1]))
    for place, one, other in zip(row, right, left, strict=True):
        place.x = (one + other) / 2


def straighten(rows: list[list[Place]]) -> None:
    """Align chains of places vertically, as far as their neighbours leave room."""

    def room(row: list[Place], index: int) -> tuple[float, float]:
        place = row[index]
        left = row[index - 1] if index else None
        right = row[index + 1] if index + 1 < len(row) else None
        return (
            left.x + gap_between(left, place) if left is not None else float("-inf"),
            right.x - gap_between(place, right) if right is not None else float("inf"),
        )

    at = {place: (row, index) for row in rows for index, place in enumerate(row)}
    for place in at:
        above = _only_alike(place, place.above)
        if above is not None and _only_alike(above, above.below) is place:
            continue
        run, low, high = [place], *room(*at[place])
        while (below := _only_alike(place, place.below)) is not None:
            if _only_alike(below, below.above) is not place:
                break
            place = below
            least, most = room(*at[place])
            if max(low, least) > min(high, most):
                _line_up(run, low, high)
                run, low, high = [], least, most
            run.append(place)
            low, high = max(low, least), min(high, most)
        _line_up(run, low, high)


def _only_alike(place: Place, others: list[Place]) -> Place | None:
    """Return the only node among the neighbours of a node, or the only lane among a lane's."""
    alike = [other for other in others if other.is_node == place.is_node]
    return alike[0] if len(alike) == 1 else None


def _line_up(run: list[Place], low: float, high: float) -> None:
    x = min(max(sum(place.x for place in run) / len(run), low), high)
    for place in run:
        place.x = x
