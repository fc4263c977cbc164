"""Places of the labels of edges, so that they do not cover each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from workflows.graph.layout.shapes import LABEL_HEIGHT, Point

SPACE = 6.0
"""The least distance between two labels of one line."""
LIFT = 14.0
"""The distance from a box to the base line of its first line of labels."""
_DRIFT = 24.0
"""The greatest distance by which a label follows its edge to the side."""

_LINES = 4

RowLabel = tuple[int, float, float, float]
"""The row of a label, the x where its edge leaves, the x where the edge goes, and its width."""


def place_row_labels(
    labels: Sequence[RowLabel],
) -> tuple[list[Point | None], dict[int, int]]:
    """Place labels in lines below their rows.

    Returns:
        For each label its middle, with y from the bottom of the row, or None if its width is 0;
        and by row, its number of lines.
    """
    places: list[Point | None] = [None] * len(labels)
    ends: dict[int, list[float]] = defaultdict(list)
    wanted = []
    for index, (row, x, to_x, width) in enumerate(labels):
        if width:
            drift = max(-_DRIFT, min(_DRIFT, (to_x - x) * 0.16))
            wanted.append((row, round(x + drift, 1), width, index))
    for row, x, width, index in sorted(wanted):
        lines = ends[row]
        start = x - width / 2
        line = next((at for at, end in enumerate(lines) if end + SPACE <= start), len(lines))
        lines[line : line + 1] = [x + width / 2]
        places[index] = (x, LIFT + line * LABEL_HEIGHT)
    return places, {row: len(lines) for row, lines in ends.items()}


def place_free_labels(starts: Sequence[Point], widths: Sequence[float]) -> list[Point | None]:
    """Place labels below the points where their edges leave; each as high as there is room.

    Returns:
        The middle of each label, or None if its width is 0.
    """
    places: list[Point | None] = [None] * len(starts)
    taken = _Labels()
    for index in sorted(range(len(starts)), key=lambda index: starts[index]):
        (x, y), width = starts[index], widths[index]
        if width:
            lines = (y + LIFT + line * LABEL_HEIGHT for line in range(_LINES))
            place = next((y for y in lines if taken.is_free(x, y, width)), y + LIFT)
            taken.add(x, place, width)
            places[index] = (x, place)
    return places


class _Labels:
    """Labels that are placed, by their line, so that few are compared."""

    def __init__(self) -> None:
        self.lines: dict[int, list[tuple[float, float, float]]] = defaultdict(list)

    def add(self, x: float, y: float, width: float) -> None:
        self.lines[int(y // LABEL_HEIGHT)].append((x, y, width))

    def is_free(self, x: float, y: float, width: float) -> bool:
        line = int(y // LABEL_HEIGHT)
        return not any(
            abs(x - other_x) < (width + other) / 2 + SPACE and abs(y - other_y) < LABEL_HEIGHT
            for near in (line - 1, line, line + 1)
            for other_x, other_y, other in self.lines[near]
        )
