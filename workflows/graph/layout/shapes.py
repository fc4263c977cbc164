"""The shapes of a layout: boxes of nodes, routes of edges, places of labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 216.0, 58.0
ROW_GAP = 34.0
"""The least distance between two rows. Labels of edges take more."""
LABEL_HEIGHT = 14.0
BOX_GAP, LANE_GAP = 32.0, 18.0
PORTS = 0.8
"""The part of a box's width where edges leave and arrive."""

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

    @property
    def bottom(self) -> float:
        """The y of the lower side, where edges leave."""
        return self.y + self.height


@dataclass(frozen=True, slots=True)
class Route:
    """The route of an edge: curves and lines in turn, beginning and ending with a curve."""

    points: Sequence[Point]
    back: bool = False
    direct: bool = False
    label: Point | None = None
    """The middle of the label's base line; None without a label."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes by node id, and one route for each edge in the order of the edges.

    ``left`` and ``top`` are the least coordinates. Only positions that people have chosen can be
    negative.
    """

    boxes: Mapping[str, Box]
    routes: Sequence[Route]
    width: float
    height: float
    left: float = 0.0
    top: float = 0.0


def spread_ports(middle: float, number: int, wanted: float) -> list[float]:
    """Return the x of this number of ports of a box, from left to right.

    Args:
        middle: the middle of the box.
        number: the number of ports.
        wanted: the distance between two ports, if there is room for it.
    """
    room = min(wanted, PORTS * WIDTH / max(number, 1))
    return [round(middle + (place - (number - 1) / 2) * room, 1) for place in range(number)]
