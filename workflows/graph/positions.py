"""Positions of nodes in diagrams, which people choose. Executions ignore them.

A source names them in its nodes: ``"position": {"x": 10, "y": 20}``. A version stores them beside
its source, so that moving a node makes no new version.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _

from workflows.db.json_values import is_number, quoted
from workflows.graph.comparison import list_objects
from workflows.graph.edit_steps import GraphEditError, Source

MAX_COORDINATE = 100_000
Positions = dict[str, dict[str, Any]]
"""The position of nodes by their ids: an object with the numbers ``x`` and ``y``."""


def is_position(value: object) -> bool:
    """Return True if the value is an object with the numbers ``x`` and ``y`` and nothing else."""
    return (
        isinstance(value, dict)
        and set(value) == {"x", "y"}
        and all(
            is_number(one) and math.isfinite(one) and abs(one) <= MAX_COORDINATE
            for one in value.values()
        )
    )


def find_position_problems(source: Source) -> Iterator[tuple[str, str]]:
    """Yield the JSON pointer and a sentence for each node with an invalid position."""
    for index, node in enumerate(source["nodes"]):
        if isinstance(node, dict) and "position" in node and not is_position(node["position"]):
            detail = _(
                "The position of a node must be an object with the numbers x and y, each from"
                " -%(most)s to %(most)s."
            )
            yield f"/nodes/{index}/position", detail % {"most": MAX_COORDINATE}


def list_positions(source: object) -> Positions:
    """Return the positions that a source names, without invalid ones."""
    return {
        str(node.get("id")): dict(node["position"])
        for node in list_objects(source, "nodes")
        if is_position(node.get("position"))
    }


def without_positions(source: Source) -> Source:
    """Return a source whose nodes have no positions. Other sources are returned as they are."""
    found: Source = with_positions(source, {})
    return found


def with_positions(source: Any, positions: Mapping[str, Any]) -> Any:
    """Return a source whose nodes have these positions and no others."""
    if not isinstance(source, dict) or not isinstance(source.get("nodes"), list):
        return source
    nodes: list[Any] = []
    for node in source["nodes"]:
        if isinstance(node, dict):
            node = {key: value for key, value in node.items() if key != "position"}
            position = positions.get(str(node.get("id")))
            if position is not None:
                node["position"] = dict(position)
        nodes.append(node)
    return {**source, "nodes": nodes}


def merge_positions(base: Positions, mine: Positions, theirs: Positions) -> Positions:
    """Apply the moves from ``base`` to ``mine`` on top of ``theirs``."""
    if base == mine:
        return theirs
    if not mine:
        return {}
    moved = {key: position for key, position in mine.items() if base.get(key) != position}
    return {**mine, **theirs, **moved}


def move_nodes(source: Source, moves: object, displayed: Mapping[str, Any]) -> Source:
    """Return the source with other positions of some nodes.

    Afterwards, every node has a position: moving one node leaves the others where they are.

    Args:
        source: the source.
        moves: the new positions by node id.
        displayed: the positions of all nodes in the picture.

    Raises:
        GraphEditError: a node does not exist, or a position is invalid.
    """
    if not isinstance(moves, dict) or not all(is_position(one) for one in moves.values()):
        text = _("Enter two numbers from -%(most)s to %(most)s as the position.")
        raise GraphEditError(text % {"most": MAX_COORDINATE})
    known = {str(node.get("id")) for node in list_objects(source, "nodes")}
    for key in moves:
        if key not in known:
            text = _("The graph no longer has the node %(id)s.")
            raise GraphEditError(text % {"id": quoted(key)})
    changed: Source = with_positions(source, {**displayed, **moves})
    return changed
