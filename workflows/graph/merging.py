"""Putting what one person has drawn on top of what another has saved meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from workflows.graph.changes import ADDED, REMOVED, Changes, changes, objects, way
from workflows.graph.editing import Source, exits_of, forks


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome, and the ids of the nodes that both had changed, where mine were kept."""

    source: Source
    both: list[str] = field(default_factory=list)


def on_top(base: Any, mine: Any, theirs: Any) -> Merged:
    """Make the changes from ``base`` to ``mine`` once more, on top of ``theirs``.

    A node that both have changed is mine. One that I have changed and they have removed comes
    back; where I leave an exit for another target than they do, it leads where mine does.
    """
    done, other = changes(base, mine), changes(base, theirs)
    own = {str(node.get("id")): node for node in objects(mine, "nodes")}
    nodes = [deepcopy(node) for node in objects(theirs, "nodes")]
    at = {str(node.get("id")): index for index, node in enumerate(nodes)}
    for key, state in done.nodes.items():
        if state == REMOVED:
            nodes = [node for node in nodes if str(node.get("id")) != key]
            at = {str(node.get("id")): index for index, node in enumerate(nodes)}
        elif key in at:
            nodes[at[key]] = deepcopy(own[key])
        else:
            at[key] = len(nodes)
            nodes.append(deepcopy(own[key]))
    merged = {"nodes": nodes, "edges": _edges(mine, theirs, done, nodes)}
    apart = changes(mine, theirs).nodes
    return Merged(merged, [key for key in done.nodes if key in other.nodes and key in apart])


def _edges(
    mine: Any, theirs: Any, done: Changes, nodes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    known: Mapping[str, Any] = {str(node.get("id")): node for node in nodes}
    gone = {one for one, state in done.edges.items() if state == REMOVED}
    edges = [deepcopy(edge) for edge in objects(theirs, "edges") if way(edge) not in gone]
    fresh = [edge for edge in objects(mine, "edges") if done.edges.get(way(edge)) == ADDED]
    used = {edge.get("id") for edge in edges}
    for edge in fresh:
        one = way(edge)
        if any(way(row) == one for row in edges):
            continue
        if one[0] in known and not forks(known[one[0]]):
            edges = [row for row in edges if (way(row)[0], way(row)[2]) != (one[0], one[2])]
        copied = deepcopy(edge)
        if copied.get("id") in used:
            copied.pop("id", None)
        used.add(copied.get("id"))
        edges.append(copied)
    # An exit that is not there any more, or not yet, has no edge.
    return [
        edge
        for edge in edges
        if {way(edge)[0], way(edge)[1]} <= set(known)
        and (way(edge)[2] or None) in exits_of(known[way(edge)[0]])
    ]
