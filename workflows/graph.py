"""The drawing of a workflow: what ``{"nodes": [...], "edges": [...]}`` must look like.

Nothing here knows of the database. The node types are registered by the package that makes
them run; this module holds their static half only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from workflows.jsontext import below, kind, quoted, unstorable_in
from workflows.refusals import Problem, Refusal

MAX_NODES = 5000
MAX_EDGES = 4 * MAX_NODES
MAX_PROBLEMS = 100
MAX_ID_LENGTH = 128

START = "start"
RUN_WORKFLOW = "run_workflow"
COMMON_KEYS = ("label", "description", "notes")

START_TO_END: dict[str, Any] = {
    "nodes": [
        {"id": "start", "type": "start", "position": {"x": 0, "y": 0}, "data": {"label": "Start"}},
        {"id": "end", "type": "end", "position": {"x": 0, "y": 160}, "data": {"label": "End"}},
    ],
    "edges": [{"id": "start-end", "source": "start", "target": "end"}],
}
"""The source of a new workflow. Copy it before changing it."""


class WorkflowValidationError(Refusal):
    """The workflow graph is not valid."""

    code = "invalid_graph"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0] if problems else None
        super().__init__(
            first.detail if first else None, code=first.code if first else None, problems=problems
        )


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
            self._sources[node_id] = frozenset(_reach([node_id], pairs) - {node_id})
        return self._sources[node_id]


class NodeType:
    """The static half of a node type: which data it takes, and by which exits it is left."""

    name: str
    ends: bool = False
    """Nothing follows a node of this type."""
    forks: bool = False
    """All ways out are taken at once."""
    keys: frozenset[str] = frozenset()
    """What ``data`` may hold beside the keys that every node may have."""

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield a pointer relative to ``data`` and a sentence for everything that is wrong."""
        return iter(())

    def handles(self, data: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the named exits, or None for the one exit; asked of unsound data too."""
        return None


_NODE_TYPES: dict[str, NodeType] = {}


def register(node_type: NodeType) -> None:
    """Make a node type known to ``parse``. Registering the same class again is harmless."""
    known, new = type(_NODE_TYPES.get(node_type.name, node_type)), type(node_type)
    if (known.__module__, known.__qualname__) != (new.__module__, new.__qualname__):
        raise ValueError(f"The node type {quoted(node_type.name)} is registered already.")
    _NODE_TYPES[node_type.name] = node_type


def node_types() -> Mapping[str, NodeType]:
    """Return the registered node types by name."""
    return MappingProxyType(_NODE_TYPES)


def _data_problems(node_type: NodeType | None, data: object) -> Iterator[tuple[str, str]]:
    if not isinstance(data, dict):
        yield "", f"Its 'data' must be an object, not {kind(data)}."
        return
    for key in COMMON_KEYS:
        if not isinstance(data.get(key, ""), str):
            yield f"/{key}", f"Its '{key}' must be text, not {kind(data[key])}."
    if node_type is None:
        return
    for key in data:
        if key not in node_type.keys and key not in COMMON_KEYS:
            allowed = ", ".join((*sorted(node_type.keys), *COMMON_KEYS))
            yield (
                below("", key),
                f"{quoted(key)} means nothing here; its data may hold: {allowed}.",
            )
    yield from node_type.problems(data)


class _Parse:
    """One reading of one source. What could not be read is remembered, so that a flaw is not
    reported again as what follows from it: a missing start, an unreachable node."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.outgoing: dict[str, list[Edge]] = defaultdict(list)
        self.sound = True
        self.lost: set[str] = set()
        self.unclear: set[str] = set()

    def report(self, pointer: str, detail: str) -> None:
        self.problems.append(Problem(pointer, "invalid_graph", detail))

    def flaw(self, pointer: str, detail: str) -> None:
        """Report what makes it pointless to walk the drawing."""
        self.sound = False
        self.report(pointer, detail)

    def read(self, source: object) -> Graph | None:
        if not self.read_shape(source):
            return None
        assert isinstance(source, dict)
        for pointer, detail in unstorable_in(source):
            self.report(pointer, detail)
        for index, raw in enumerate(source["nodes"]):
            self.read_node(index, raw)
        edge_ids: set[str] = set()
        for index, raw in enumerate(source["edges"]):
            self.read_edge(index, raw, edge_ids)
        starts = self.check_terminals()
        exits = {node.id: self.check_exits(node) for node in self.nodes.values()}
        forks = {
            node.id: tuple(edge.target for edge in self.outgoing[node.id])
            for node in self.nodes.values()
            if node.type in _NODE_TYPES and _NODE_TYPES[node.type].forks
        }
        if self.sound:
            self.check_reach(starts[0])
        if self.problems:
            return None
        calls = [node for node in self.nodes.values() if node.type == RUN_WORKFLOW]
        return Graph(self.nodes, self.edges, starts[0], calls, exits, forks)

    def read_shape(self, source: object) -> bool:
        if not isinstance(source, dict):
            self.report("", f"A graph is an object with 'nodes' and 'edges', not {kind(source)}.")
            return False
        for key in source:
            if key not in ("nodes", "edges"):
                self.report(below("", key), f"A graph has no {quoted(key)}, only nodes and edges.")
        readable = True
        for key, most in (("nodes", MAX_NODES), ("edges", MAX_EDGES)):
            value = source.get(key)
            if key not in source:
                detail = f"The graph has no '{key}'."
            elif not isinstance(value, list):
                detail = f"The '{key}' of a graph must be a list, not {kind(value)}."
            elif len(value) > most:
                detail = f"The graph has {len(value)} {key}; at most {most} are allowed."
            else:
                continue
            readable = False
            self.report(f"/{key}", detail)
        return readable

    def read_node(self, index: int, raw: object) -> None:
        at = f"/nodes/{index}"
        if not isinstance(raw, dict):
            self.lost |= {"node", "type"}
            return self.flaw(at, f"A node is an object, not {kind(raw)}.")
        node_id, type_name, data = raw.get("id"), raw.get("type"), raw.get("data", {})
        name = quoted(node_id) if isinstance(node_id, str) and node_id else f"number {index + 1}"
        node_type = _NODE_TYPES.get(type_name) if isinstance(type_name, str) else None
        if node_type is None:
            self.lost.add("type")
            what = f"the unknown type {quoted(type_name)}" if "type" in raw else "no type"
            known = ", ".join(sorted(_NODE_TYPES))
            self.flaw(f"{at}/type", f"Node {name} has {what}; known types are: {known}.")
        wrong = [
            Problem(f"{at}/data{pointer}", "invalid_graph", f"Node {name}: {detail}")
            for pointer, detail in _data_problems(node_type, data)
        ]
        self.problems.extend(wrong)
        if not isinstance(node_id, str) or not node_id:
            self.lost |= {"node", "type"}
            return self.flaw(f"{at}/id", f"Node {name} needs an id, a text that is not empty.")
        if node_id in self.nodes:
            self.lost.add("type")
            self.unclear.add(node_id)
            return self.flaw(f"{at}/id", f"The id {name} belongs to an earlier node already.")
        if len(node_id) > MAX_ID_LENGTH:
            self.report(f"{at}/id", f"The id {name} has more than {MAX_ID_LENGTH} characters.")
        kept = data if isinstance(data, dict) else {}
        self.nodes[node_id] = Node(node_id, str(type_name), kept, index)
        # Which named exits a node has is read from its data, so unsound data leave that open.
        if node_type is None or (wrong and node_type.handles(kept) is not None):
            self.unclear.add(node_id)
        return None

    def read_edge(self, index: int, raw: object, edge_ids: set[str]) -> None:
        at = f"/edges/{index}"
        if not isinstance(raw, dict):
            self.lost.add("source")
            return self.flaw(at, f"An edge is an object, not {kind(raw)}.")
        edge_id, handle = raw.get("id"), raw.get("sourceHandle")
        name = quoted(edge_id) if isinstance(edge_id, str) and edge_id else f"number {index + 1}"
        if "id" in raw and (not isinstance(edge_id, str) or not edge_id):
            self.report(f"{at}/id", f"The id of edge {name} must be a text that is not empty.")
        elif isinstance(edge_id, str):
            if edge_id in edge_ids:
                self.report(f"{at}/id", f"The id {name} belongs to an earlier edge already.")
            edge_ids.add(edge_id)
        for end, verb in (("source", "comes from"), ("target", "leads to")):
            value = raw.get(end)
            if not isinstance(value, str):
                self.flaw(f"{at}/{end}", f"Edge {name} needs a {end}, the id of a node.")
            elif value in self.nodes:
                continue
            elif "node" not in self.lost:
                self.flaw(f"{at}/{end}", f"Edge {name} {verb} {quoted(value)}, which is no node.")
            self.sound = False
            if end == "source":
                self.lost.add("source")
        source, target = raw.get("source"), raw.get("target")
        if handle is not None and not isinstance(handle, str):
            detail = f"The sourceHandle of edge {name} must be text or null, not {kind(handle)}."
            self.flaw(f"{at}/sourceHandle", detail)
            if isinstance(source, str):
                self.unclear.add(source)
        if isinstance(source, str) and source in self.nodes:
            edge = Edge(source, str(target), str(handle) if handle is not None else None, index)
            self.edges.append(edge)
            self.outgoing[source].append(edge)
        if isinstance(target, str) and target in self.nodes and self.nodes[target].type == START:
            self.flaw(f"{at}/target", f"Edge {name} leads into the start, {quoted(target)}.")
        return None

    def check_terminals(self) -> list[Node]:
        starts = [node for node in self.nodes.values() if node.type == START]
        for node in starts[1:]:
            detail = f"Node {quoted(node.id)} is one start too many; a graph has exactly one."
            self.flaw(f"/nodes/{node.index}/type", detail)
        if "type" not in self.lost:
            if not starts:
                self.flaw("/nodes", "The graph has no start.")
            if not any(_NODE_TYPES[node.type].ends for node in self.nodes.values()):
                self.flaw("/nodes", "The graph has no end and no fail, so nothing could finish.")
        return starts

    def check_exits(self, node: Node) -> dict[str | None, str]:
        edges, at, name = (self.outgoing[node.id], f"/nodes/{node.index}", quoted(node.id))
        if node.id in self.unclear:
            self.sound = False
            return {}
        node_type = _NODE_TYPES[node.type]
        handles = node_type.handles(node.data)
        if node_type.ends:
            for edge in edges:
                where = f"/edges/{edge.index}/source"
                self.flaw(where, f"Node {name} is of the type {node.type}; nothing can follow it.")
            return {}
        if handles is None:
            if not edges and "source" not in self.lost:
                self.flaw(at, f"Node {name} has no way out.")
            if len(edges) > 1 and not node_type.forks:
                detail = "only a node with named exits may have more than one."
                self.flaw(at, f"Node {name} has {len(edges)} ways out; {detail}")
            return {None: edges[0].target} if edges else {}
        exits: dict[str | None, str] = {}
        for edge in edges:
            where = f"/edges/{edge.index}/sourceHandle"
            if edge.handle not in handles:
                what = (
                    "exit without a name" if edge.handle is None else f"exit {quoted(edge.handle)}"
                )
                known = ", ".join(quoted(handle) for handle in handles)
                self.flaw(where, f"Node {name} has no {what}; its exits are: {known}.")
            elif edge.handle in exits:
                detail = f"The exit {quoted(edge.handle)} of node {name} has more than one edge."
                self.flaw(where, detail)
            exits[edge.handle] = edge.target
        for handle in handles:
            if handle not in exits and "source" not in self.lost:
                self.flaw(at, f"Node {name} has no edge for its exit {quoted(handle)}.")
        return exits

    def check_reach(self, start: Node) -> None:
        ends = [node.id for node in self.nodes.values() if _NODE_TYPES[node.type].ends]
        reached = _reach([start.id], ((edge.source, edge.target) for edge in self.edges))
        finishing = _reach(ends, ((edge.target, edge.source) for edge in self.edges))
        for node in self.nodes.values():
            at, name = f"/nodes/{node.index}", quoted(node.id)
            if node.id not in reached:
                self.report(at, f"Node {name} cannot be reached from the start.")
            elif node.id not in finishing:
                self.report(at, f"From node {name} no end can be reached.")


def _reach(roots: Iterable[str], pairs: Iterable[tuple[str, str]]) -> set[str]:
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


def parse(source: object) -> Graph:
    """Return the checked graph, or raise WorkflowValidationError with everything that is wrong."""
    reading = _Parse()
    graph = reading.read(source)
    if graph is None:
        raise WorkflowValidationError(_capped(reading.problems))
    return graph


def _capped(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MAX_PROBLEMS:
        return problems
    more = len(problems) - (MAX_PROBLEMS - 1)
    last = Problem("", "invalid_graph", f"There are {more} more problems.")
    return [*problems[: MAX_PROBLEMS - 1], last]


class EntityContext(Protocol):
    """What callers and callees must agree in; ``type_cuid`` names the type in messages."""

    @property
    def key(self) -> str: ...

    @property
    def type_cuid(self) -> str: ...


def incompatible(current: EntityContext, referenced: EntityContext) -> str:
    """Return the sentence that refuses a call across entity contexts."""
    return (
        "Run Workflow: Incompatible entity name types. Current workflow has type "
        f"'{current.type_cuid}' but referenced workflow has type '{referenced.type_cuid}'."
    )


class NodesManager:
    """Judges a drawing together with the workflows that it calls."""

    @staticmethod
    def validate_nodes_data(
        nodes: object,
        *,
        edges: object,
        context: EntityContext,
        callees: Mapping[str, EntityContext],
    ) -> Graph:
        """Return the checked graph; every callee must exist and have the same entity context."""
        graph = parse({"nodes": nodes, "edges": edges})
        missing: list[Problem] = []
        foreign: list[Problem] = []
        for node in graph.calls:
            pointer, cuid = f"/nodes/{node.index}/data/workflow", node.data["workflow"]
            callee = callees.get(cuid)
            if callee is None:
                detail = f"No workflow has the cuid {quoted(cuid)}."
                missing.append(Problem(pointer, "invalid_graph", detail))
            elif callee.key != context.key:
                detail = incompatible(context, callee)
                foreign.append(Problem(pointer, "incompatible_entity_types", detail))
        if missing or foreign:
            raise WorkflowValidationError(_capped(missing + foreign))
        return graph


def calls_in(source: Any) -> Iterator[tuple[str, str]]:
    """The id and the callee's cuid of every ``run_workflow`` node, however damaged the source."""
    nodes = source.get("nodes") if isinstance(source, dict) else None
    for node in nodes if isinstance(nodes, list) else ():
        if isinstance(node, dict) and node.get("type") == RUN_WORKFLOW:
            data = node.get("data")
            yield str(node.get("id")), str(data.get("workflow") if isinstance(data, dict) else None)
