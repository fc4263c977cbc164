"""A checked graph: nodes, edges and the paths between them."""

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
        {"id": "start", "type": "start", "data": {"label": "Start"}},
        {"id": "end", "type": "end", "data": {"label": "End"}},
    ],
    "edges": [{"id": "start-end", "source": "start", "target": "end"}],
}
"""The source of a new workflow. Copy it before changing it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node; ``index`` is its position in the source."""

    id: str
    type: str
    data: Mapping[str, Any]
    index: int

    @property
    def label(self) -> str:
        """The name of the node for users: its label, title or id."""
        return self.data.get("label") or self.data.get("title") or self.id


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge; ``handle`` is the exit of its source.

    ``number`` distinguishes the edges of a fork that lead to the same node.
    """

    source: str
    target: str
    handle: str | None
    index: int
    number: int = 1

    @property
    def name(self) -> str | list[Any]:
        """The name of the edge in stored data: its source, or a list with handle and number."""
        if self.number > 1:
            return [self.source, self.handle, self.number]
        return self.source if self.handle is None else [self.source, self.handle]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The edges by which branches can arrive at a node, each with its own bit."""

    bits: Mapping[str, int]
    """The bit of each edge, by the ``repr`` of its name."""
    from_node: Mapping[str, int]
    """By node id, the edges by which a branch can arrive from there, not through the node."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A checked graph: one start node, a target for each exit, a reachable end."""

    nodes: Mapping[str, Node]
    edges: Sequence[Edge]
    start: Node
    calls: list[Node]
    exits: Mapping[str, Mapping[str | None, Edge]]
    """By node id, the edge of each named exit; the key of an unnamed exit is None."""
    forks: Mapping[str, Sequence[Edge]]
    """By node id, all outgoing edges of a fork."""
    _incoming: dict[str, list[Edge]] = field(default_factory=dict, compare=False, repr=False)
    _arrivals: dict[str, Arrivals] = field(default_factory=dict, compare=False, repr=False)
    _branches: dict[str, set[str]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Sort the edges by their target."""
        for edge in self.edges:
            self._incoming.setdefault(edge.target, []).append(edge)

    def node(self, node_id: str) -> Node:
        """Return the node with this id. Raises ``KeyError`` if there is none."""
        return self.nodes[node_id]

    def callee_cuids(self) -> list[str]:
        """Return the cuids of the called workflows, each once, in order."""
        return list(dict.fromkeys(node.data["workflow"] for node in self.calls))

    def exit(self, node_id: str, handle: str | None = None) -> Edge:
        """Return the edge of an exit; an unnamed exit matches every other handle.

        Raises:
            LookupError: the node has no such exit.
        """
        edges = self.exits.get(node_id, {})
        edge = edges.get(handle) or edges.get(None)
        if edge is None:
            raise LookupError(f"Node {quoted(node_id)} has no exit {handle!r}.")
        return edge

    def has_exit(self, node_id: str, handle: str) -> bool:
        """Return True if the node has an edge by an exit with this name."""
        return handle in self.exits.get(node_id, {})

    def follow(self, node_id: str, handle: str | None = None) -> Node:
        """Return the target of an exit. Raises the errors of ``exit``."""
        return self.nodes[self.exit(node_id, handle).target]

    def incoming(self, node_id: str) -> Sequence[Edge]:
        """Return the edges that lead to a node."""
        return self._incoming.get(node_id, ())

    def arrivals_at(self, node_id: str) -> Arrivals:
        """Return the edges by which branches can arrive at a node; computed once."""
        if node_id not in self._arrivals:
            incoming = self.incoming(node_id)
            bits = {repr(edge.name): 1 << place for place, edge in enumerate(incoming)}
            from_node: dict[str, int] = defaultdict(int)
            for edge in incoming:
                from_node[edge.source] |= bits[repr(edge.name)]
            from_node.pop(node_id, None)
            self._spread(from_node, without=node_id)
            self._arrivals[node_id] = Arrivals(bits, dict(from_node))
        return self._arrivals[node_id]

    def branches_to(self, node_id: str) -> set[str]:
        """Return the nodes of the branches between a node and its fork; computed once.

        The fork is the last one that every path from the start to the node passes. The branches
        lead to the node without passing the fork again.
        """
        if node_id not in self._branches:
            forks = [one for one in self.forks if one != node_id and self._is_before(one, node_id)]
            found = [self._leading_to(node_id, without=fork) for fork in forks]
            self._branches[node_id] = min(found, key=len, default=self._leading_to(node_id))
        return self._branches[node_id]

    def _is_before(self, node_id: str, target: str) -> bool:
        """Return True if every path from the start to the target passes the node."""
        others = ((e.source, e.target) for e in self.edges if node_id not in (e.source, e.target))
        return target not in find_reachable([self.start.id], others)

    def _leading_to(self, node_id: str, without: str | None = None) -> set[str]:
        """Return the nodes from which a path that does not pass ``without`` leads to a node."""
        left = (e for e in self.edges if without not in (e.source, e.target))
        backwards = ((e.target, e.source) for e in left if e.source != node_id)
        return find_reachable([node_id], backwards) - {node_id}

    def _spread(self, from_node: dict[str, int], without: str) -> None:
        """Add to each node the bits of its targets, until nothing changes."""
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


def find_reachable(roots: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
    """Return what can be reached from the roots, including them, along (source, target) pairs."""
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


def find_calls(source: Any) -> Iterator[tuple[str, str]]:
    """Yield the id and the callee's cuid of each ``run_workflow`` node of any source."""
    nodes = source.get("nodes") if isinstance(source, dict) else None
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict) and node.get("type") == RUN_WORKFLOW:
            data = node.get("data")
            yield str(node.get("id")), str(data.get("workflow") if isinstance(data, dict) else None)
