"""Three-way merge: one user's changes to a graph on top of a version saved meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from workflows.graph.comparison import (
    ADDED,
    REMOVED,
    GraphChanges,
    compare_graphs,
    edge_key,
    list_objects,
)
from workflows.graph.edit_steps import Source, is_fork, list_exits


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The merged source, and the ids of nodes changed on both sides, where mine won."""

    source: Source
    conflicts: list[str] = field(default_factory=list)


def merge_graphs(base: Any, mine: Any, theirs: Any) -> MergeResult:
    """Apply the changes from ``base`` to ``mine`` on top of ``theirs``.

    ``mine`` wins: for a node changed on both sides, for a node that ``theirs`` removed and
    ``mine`` changed, and for an exit with different targets.
    """
    my_changes, their_changes = compare_graphs(base, mine), compare_graphs(base, theirs)
    own = {str(node.get("id")): node for node in list_objects(mine, "nodes")}
    nodes = [deepcopy(node) for node in list_objects(theirs, "nodes")]
    at = {str(node.get("id")): index for index, node in enumerate(nodes)}
    for key, state in my_changes.nodes.items():
        if state == REMOVED:
            nodes = [node for node in nodes if str(node.get("id")) != key]
            at = {str(node.get("id")): index for index, node in enumerate(nodes)}
        elif key in at:
            nodes[at[key]] = deepcopy(own[key])
        else:
            at[key] = len(nodes)
            nodes.append(deepcopy(own[key]))
    merged = {"nodes": nodes, "edges": _merge_edges(mine, theirs, my_changes, nodes)}
    different = compare_graphs(mine, theirs).nodes
    return MergeResult(
        merged, [key for key in my_changes.nodes if key in their_changes.nodes and key in different]
    )


def _merge_edges(
    mine: Any, theirs: Any, my_changes: GraphChanges, nodes: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    known: Mapping[str, Any] = {str(node.get("id")): node for node in nodes}
    removed = {one for one, state in my_changes.edges.items() if state == REMOVED}
    edges = [
        deepcopy(edge) for edge in list_objects(theirs, "edges") if edge_key(edge) not in removed
    ]
    fresh = [
        edge
        for edge in list_objects(mine, "edges")
        if my_changes.edges.get(edge_key(edge)) == ADDED
    ]
    used = {edge.get("id") for edge in edges}
    for edge in fresh:
        one = edge_key(edge)
        if any(edge_key(row) == one for row in edges):
            continue
        if one[0] in known and not is_fork(known[one[0]]):
            edges = [
                row for row in edges if (edge_key(row)[0], edge_key(row)[2]) != (one[0], one[2])
            ]
        copied = deepcopy(edge)
        if copied.get("id") in used:
            copied.pop("id", None)
        used.add(copied.get("id"))
        edges.append(copied)
    # An exit that no longer exists has no edge.
    return [
        edge
        for edge in edges
        if {edge_key(edge)[0], edge_key(edge)[1]} <= set(known)
        and (edge_key(edge)[2] or None) in list_exits(known[edge_key(edge)[0]])
    ]
