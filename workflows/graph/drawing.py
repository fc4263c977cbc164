"""A graph that was checked: nodes, edges, and the ways through them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.jsontext import quoted

START = "start"
RUN_WORKFLOW = "run_workflow"

START_TO_END: dict[str, Any] = {
    "nodes": [
        {"id": "start", "type": "start", "position": {"x": 0, "y": 0}, "data": {"label": "Start"}},
        {"id": "end", "type": "end", "position": {"x": 0, "y": 160}, "data": {"label": "End"}},
    ],
    "edges": [{"id": "start-end", "source": "start", "target": "end"}],
}
"""The source of a new workflow. Copy it before changing it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a graph; ``index`` is its place in the source."""

    id: str
    type: str
    data: Mapping[str, Any]
    index: int

    @property
    def label(self) -> str:
        """What people call this node."""
        return self.data.get("label") or self.data.get("title") or self.id


@dataclass(frozen=True, slots=True)
class Edge:
    """One edge of a graph; ``handle`` names the exit of its source that it leaves by."""

    source: str
    target: str
    handle: str | None
    index: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A checked graph: it has one start, every exit leads somewhere, and an end is in reach."""

    nodes: Mapping[str, Node]
    edges: Sequence[Edge]
    start: Node
    calls: list[Node]
    exits: Mapping[str, Mapping[str | None, str]]
    """By node id, the target of each named exit; a single exit stands under None."""
    forks: Mapping[str, Sequence[str]]
    """By node id, all targets of a node that takes every way at once."""
    _sources: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def node(self, node_id: str) -> Node:
        """Return the node with this id (KeyError if there is none)."""
        return self.nodes[node_id]

    def callee_cuids(self) -> list[str]:
        """Return the cuids of the workflows that are called, each once, in order."""
        return list(dict.fromkeys(node.data["workflow"] for node in self.calls))

    def follow(self, node_id: str, handle: str | None = None) -> Node:
        """Return the node that a node leads to; a single exit is taken whatever the handle."""
        ways = self.exits.get(node_id, {})
        target = ways.get(None) or ways.get(handle)
        if target is None:
            raise LookupError(f"Node {quoted(node_id)} has no way out by {handle!r}.")
        return self.nodes[target]

    def sources_of(self, node_id: str) -> frozenset[str]:
        """Return the ids of all nodes from which this one can be reached; worked out once."""
        if node_id not in self._sources:
            # What lies behind the node is reached through it: no arrival of its own.
            pairs = ((edge.target, edge.source) for edge in self.edges if edge.source != node_id)
            self._sources[node_id] = frozenset(reach([node_id], pairs) - {node_id})
        return self._sources[node_id]


def reach(roots: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    """All that can be reached from the roots, themselves included, along pairs from and to."""
    following: dict[str, list[str]] = defaultdict(list)
    for source, target in pairs:
        following[source].append(target)
    stack = list(roots)
    reached = set(stack)
    while stack:
        fresh = set(following[stack.pop()]) - reached
        reached |= fresh
        stack.extend(fresh)
    return reached


def calls_in(source: Any) -> Iterator[tuple[str, str]]:
    """The id and the callee's cuid of every ``run_workflow`` node, however damaged the source."""
    nodes = source.get("nodes") if isinstance(source, dict) else None
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict) and node.get("type") == RUN_WORKFLOW:
            data = node.get("data")
            yield str(node.get("id")), str(data.get("workflow") if isinstance(data, dict) else None)
