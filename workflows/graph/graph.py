"""A graph that was checked: nodes, edges, and the ways through them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.db.json_values import quoted

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
    """One edge of a graph; ``handle`` names the exit of its source that it leaves by.

    ``number`` tells apart the edges of a fork that lead to the same node.
    """

    source: str
    target: str
    handle: str | None
    index: int
    number: int = 1

    @property
    def name(self) -> str | list[Any]:
        """How stored data name the edge: by its source; in a list, by its handle and number too."""
        if self.number > 1:
            return [self.source, self.handle, self.number]
        return self.source if self.handle is None else [self.source, self.handle]


@dataclass(frozen=True, slots=True)
class Ways:
    """How branches can come to a node: each edge into it has a bit of its own."""

    bits: Mapping[str, int]
    """The bit of each edge, by the ``repr`` of its name."""
    from_node: Mapping[str, int]
    """By node id, the edges by which a branch can come from there, not through the node itself."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A checked graph: it has one start, every exit leads somewhere, and an end is in reach."""

    nodes: Mapping[str, Node]
    edges: Sequence[Edge]
    start: Node
    calls: list[Node]
    exits: Mapping[str, Mapping[str | None, Edge]]
    """By node id, the edge of each named exit; a single exit stands under None."""
    forks: Mapping[str, Sequence[Edge]]
    """By node id, all edges of a node that takes every way at once."""
    _incoming: dict[str, list[Edge]] = field(default_factory=dict, compare=False, repr=False)
    _ways: dict[str, Ways] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the edges by their target."""
        for edge in self.edges:
            self._incoming.setdefault(edge.target, []).append(edge)

    def node(self, node_id: str) -> Node:
        """Return the node with this id (KeyError if there is none)."""
        return self.nodes[node_id]

    def callee_cuids(self) -> list[str]:
        """Return the cuids of the workflows that are called, each once, in order."""
        return list(dict.fromkeys(node.data["workflow"] for node in self.calls))

    def exit(self, node_id: str, handle: str | None = None) -> Edge:
        """Return the edge by which a node is left; a single exit is taken whatever the handle.

        Raises ``LookupError`` when the node has no such exit.
        """
        edges = self.exits.get(node_id, {})
        edge = edges.get(None) or edges.get(handle)
        if edge is None:
            raise LookupError(f"Node {quoted(node_id)} has no way out by {handle!r}.")
        return edge

    def follow(self, node_id: str, handle: str | None = None) -> Node:
        """Return the node that a node leads to, as ``exit`` says."""
        return self.nodes[self.exit(node_id, handle).target]

    def incoming(self, node_id: str) -> Sequence[Edge]:
        """Return the edges that lead into a node."""
        return self._incoming.get(node_id, ())

    def ways_to(self, node_id: str) -> Ways:
        """Return how branches can come to a node; worked out once."""
        if node_id not in self._ways:
            incoming = self.incoming(node_id)
            bits = {repr(edge.name): 1 << place for place, edge in enumerate(incoming)}
            from_node: dict[str, int] = defaultdict(int)
            for edge in incoming:
                from_node[edge.source] |= bits[repr(edge.name)]
            from_node.pop(node_id, None)
            self._spread(from_node, without=node_id)
            self._ways[node_id] = Ways(bits, dict(from_node))
        return self._ways[node_id]

    def _spread(self, from_node: dict[str, int], without: str) -> None:
        """Add to each node the bits of the nodes that it leads to, until nothing is added."""
        due = deque(from_node)
        queued = set(due)
        while due:
            node = due.popleft()
            queued.remove(node)
            for edge in self.incoming(node):
                source = edge.source
                if source != without and from_node[node] & ~from_node[source]:
                    from_node[source] |= from_node[node]
                    if source not in queued:
                        queued.add(source)
                        due.append(source)


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
