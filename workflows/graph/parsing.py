"""Parsing of a graph, ``{"nodes": [...], "edges": [...]}``, with all of its problems."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import MAX_STORAGE_PROBLEMS, below, find_unstorable, json_type, quoted
from workflows.graph.graph import RUN_WORKFLOW, START, Edge, Graph, Node, find_reachable
from workflows.graph.loops import find_endless_loops
from workflows.graph.node_types import find_data_problems, node_types
from workflows.graph.positions import find_position_problems
from workflows.refusals import Problem, Refusal

MAX_NODES = 5000
MAX_EDGES = 4 * MAX_NODES
MAX_PROBLEMS = 100
MAX_ID_LENGTH = 128

_UNKNOWN_TYPE = _("%(node)s has the unknown type %(type)s. Known types: %(known)s.")
_NO_TYPE = _("%(node)s has no type. Known types: %(known)s.")
_TOO_MANY_EDGES = _(
    "%(node)s has %(number)s next steps. Only a node with named exits may have more than one."
)
_NO_EXIT = _("%(node)s has no exit %(exit)s. Its exits: %(known)s.")
_NO_UNNAMED_EXIT = _("%(node)s has no unnamed exit. Its exits: %(known)s.")
_ENDLESS_LOOP = _(
    "%(node)s is part of a loop that never ends. Add a node that waits, or a condition that leaves "
    "the loop."
)


class WorkflowValidationError(Refusal):
    message = _("The workflow graph is not valid.")
    code = "invalid_graph"

    def __init__(self, problems: Sequence[Problem]) -> None:
        first = problems[0] if problems else None
        super().__init__(
            first.detail if first else None, code=first.code if first else None, problems=problems
        )


class _Parse:
    """One parse of one source.

    It remembers what could not be read, so that a problem is not reported again as one of its
    consequences: a missing start, an unreachable node.
    """

    def __init__(self, *, is_new: bool) -> None:
        self.is_new = is_new
        self.types = node_types()
        self.problems: list[Problem] = []
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.outgoing: dict[str, list[Edge]] = defaultdict(list)
        self.alike: Counter[tuple[str, str, str | None]] = Counter()
        self.sound = True
        self.lost: set[str] = set()
        self.unclear: set[str] = set()
        self.unsound: set[str] = set()

    def report(self, pointer: str, detail: str | Promise, **values: object) -> None:
        """Report a problem; ``detail`` has placeholders for the values, if there are any."""
        text = str(detail)
        self.problems.append(Problem(pointer, "invalid_graph", text % values if values else text))

    def flaw(self, pointer: str, detail: str | Promise, **values: object) -> None:
        """Report a problem that makes a search for unreachable nodes pointless."""
        self.sound = False
        self.report(pointer, detail, **values)

    def read(self, source: object) -> Graph | None:
        if not self.read_shape(source):
            return None
        assert isinstance(source, dict)
        for pointer, detail in find_unstorable(source, exact=self.is_new):
            self.report(pointer, detail)
        if self.is_new and not self.problems:
            for pointer, detail in find_position_problems(source):
                self.report(pointer, detail)
        for index, raw in enumerate(source["nodes"]):
            self.read_node(index, raw)
        if self.is_new:
            self.check_comparisons()
        edge_ids: set[str] = set()
        for index, raw in enumerate(source["edges"]):
            self.read_edge(index, raw, edge_ids)
        starts = self.check_terminals()
        exits = {node.id: self.check_exits(node) for node in self.nodes.values()}
        forks = {
            node.id: tuple(self.outgoing[node.id])
            for node in self.nodes.values()
            if node.type in self.types and self.types[node.type].forks
        }
        if self.sound:
            self.check_reachability(starts[0])
        if self.is_new and self.sound:
            self.check_edges(exits)
        if self.is_new and self.sound and not self.problems:
            self.check_loops()
        if self.problems:
            return None
        calls = [node for node in self.nodes.values() if node.type == RUN_WORKFLOW]
        return Graph(self.nodes, self.edges, starts[0], calls, exits, forks)

    def read_shape(self, source: object) -> bool:
        if not isinstance(source, dict):
            detail = _("A graph is an object with 'nodes' and 'edges', not %(given)s.")
            self.report("", detail, given=json_type(source))
            return False
        for key in source:
            if key not in ("nodes", "edges"):
                detail = _("Unknown key %(key)s. Allowed: nodes, edges.")
                self.report(below("", key), detail, key=quoted(key))
        readable = True
        for key, most in (("nodes", MAX_NODES), ("edges", MAX_EDGES)):
            value = source.get(key)
            if key not in source:
                self.report(f"/{key}", _("The graph has no '%(key)s'."), key=key)
            elif not isinstance(value, list):
                detail = _("The '%(key)s' of a graph must be a list, not %(given)s.")
                self.report(f"/{key}", detail, key=key, given=json_type(value))
            elif len(value) > most:
                detail = _("The graph has %(number)s %(key)s; at most %(most)s are allowed.")
                self.report(f"/{key}", detail, number=len(value), key=key, most=most)
            else:
                continue
            readable = False
        return readable

    def read_node(self, index: int, raw: object) -> None:
        at = f"/nodes/{index}"
        if not isinstance(raw, dict):
            self.lost |= {"node", "type"}
            return self.flaw(
                at, _("A node must be an object, not %(given)s."), given=json_type(raw)
            )
        node_id, type_name, data = raw.get("id"), raw.get("type"), raw.get("data", {})
        name = _NodeName(raw, index)
        node_type = self.types.get(type_name) if isinstance(type_name, str) else None
        if node_type is None:
            self.lost.add("type")
            known = ", ".join(sorted(self.types))
            detail = _UNKNOWN_TYPE if "type" in raw else _NO_TYPE
            self.flaw(f"{at}/type", detail, node=name, type=quoted(type_name), known=known)
        wrong = [
            Problem(f"{at}/data{pointer}", "invalid_graph", f"{name}: {detail}")
            for pointer, detail in islice(find_data_problems(node_type, data), MAX_STORAGE_PROBLEMS)
        ]
        self.problems.extend(wrong)
        if not isinstance(node_id, str) or not node_id:
            self.lost |= {"node", "type"}
            detail = _("%(node)s has no valid id. Set text that is not empty.")
            return self.flaw(f"{at}/id", detail, node=name)
        if node_id in self.nodes:
            self.lost.add("type")
            self.unclear.add(node_id)
            detail = _("The id %(id)s is used by an earlier node.")
            return self.flaw(f"{at}/id", detail, id=quoted(node_id))
        if len(node_id) > MAX_ID_LENGTH:
            detail = _("The id %(id)s is longer than %(most)s characters.")
            self.report(f"{at}/id", detail, id=quoted(node_id), most=MAX_ID_LENGTH)
        readable = data if isinstance(data, dict) else {}
        self.nodes[node_id] = Node(node_id, str(type_name), readable, index)
        if node_type is None or wrong:
            self.unsound.add(node_id)
        # The named exits of a node depend on its data, so they are unknown if the data are unsound.
        if node_type is None or (wrong and node_type.handles(readable) is not None):
            self.unclear.add(node_id)
        return None

    def check_comparisons(self) -> None:
        """Check that rules compare fields with values of the types that nodes write to them."""
        sound = [node for node in self.nodes.values() if node.id not in self.unsound]
        fields: dict[str, set[str]] = defaultdict(set)
        for node in sound:
            for name, type_name in self.types[node.type].field_types(node.data):
                fields[name].add(type_name)
        for node in sound:
            for pointer, detail in self.types[node.type].comparison_problems(node.data, fields):
                at = f"/nodes/{node.index}/data{pointer}"
                self.report(at, f"{_name(node)}: {detail}")

    def read_edge(self, index: int, raw: object, edge_ids: set[str]) -> None:
        at = f"/edges/{index}"
        if not isinstance(raw, dict):
            self.lost.add("source")
            return self.flaw(
                at, _("An edge must be an object, not %(given)s."), given=json_type(raw)
            )
        edge_id, handle = raw.get("id"), raw.get("sourceHandle")
        name = _EdgeName(edge_id, index)
        if "id" in raw and (not isinstance(edge_id, str) or not edge_id):
            detail = _("The id of edge %(edge)s must be text that is not empty.")
            self.report(f"{at}/id", detail, edge=name)
        elif isinstance(edge_id, str):
            if edge_id in edge_ids:
                detail = _("The id %(id)s is used by an earlier edge.")
                self.report(f"{at}/id", detail, id=name)
            edge_ids.add(edge_id)
        for end in ("source", "target"):
            value = raw.get(end)
            if not isinstance(value, str):
                detail = _("Edge %(edge)s has no %(end)s. Set the id of a node.")
                self.flaw(f"{at}/{end}", detail, edge=name, end=end)
            elif value in self.nodes:
                continue
            elif "node" not in self.lost:
                detail = _("The %(end)s %(id)s of edge %(edge)s is not a node.")
                self.flaw(f"{at}/{end}", detail, end=end, id=quoted(value), edge=name)
            self.sound = False
            if end == "source":
                self.lost.add("source")
        source, target = raw.get("source"), raw.get("target")
        if handle is not None and not isinstance(handle, str):
            detail = _("The sourceHandle of edge %(edge)s must be text or null, not %(given)s.")
            self.flaw(f"{at}/sourceHandle", detail, edge=name, given=json_type(handle))
            if isinstance(source, str):
                self.unclear.add(source)
        if isinstance(source, str) and source in self.nodes:
            exit_ = str(handle) if handle is not None else None
            ends = (source, str(target), exit_)
            self.alike[ends] += 1
            edge = Edge(*ends, index, self.alike[ends])
            self.edges.append(edge)
            self.outgoing[source].append(edge)
        if isinstance(target, str) and target in self.nodes and self.nodes[target].type == START:
            detail = _("Edge %(edge)s leads to the start node, which allows no incoming edges.")
            self.flaw(f"{at}/target", detail, edge=name)
        return None

    def check_terminals(self) -> list[Node]:
        starts = [node for node in self.nodes.values() if node.type == START]
        for node in starts[1:]:
            detail = _("%(node)s is a second start node. A graph has exactly one.")
            self.flaw(f"/nodes/{node.index}/type", detail, node=_name(node))
        if "type" not in self.lost:
            if not starts:
                self.flaw("/nodes", _("The graph has no start node."))
            if not any(self.types[node.type].ends for node in self.nodes.values()):
                self.flaw("/nodes", _("The graph has no end node and no fail node."))
        return starts

    def check_exits(self, node: Node) -> dict[str | None, Edge]:
        edges, at, name = self.outgoing[node.id], f"/nodes/{node.index}", _name(node)
        if node.id in self.unclear:
            self.sound = False
            return {}
        node_type = self.types[node.type]
        handles = node_type.handles(node.data)
        if node_type.ends:
            for edge in edges:
                where = f"/edges/{edge.index}/source"
                detail = _("%(node)s is of the type %(type)s and cannot have a next step.")
                self.flaw(where, detail, node=name, type=node.type)
            return {}
        optional = [edge for edge in edges if edge.handle in node_type.optional_exits]
        others = [edge for edge in edges if edge not in optional]
        if handles is None and not others and not self.is_new:
            # The only next step of a stored graph that is older than optional exits.
            optional, others = [], edges
        exits: dict[str | None, Edge] = {}
        if handles is None:
            if not others and "source" not in self.lost:
                self.flaw(at, _("%(node)s has no next step."), node=name)
            if len(others) > 1 and not node_type.forks:
                self.flaw(at, _TOO_MANY_EDGES, node=name, number=len(others))
            exits = {None: others[0]} if others else {}
            others = []
        known_exits = (*(handles or ()), *node_type.optional_exits)
        for edge in [*others, *optional]:
            where = f"/edges/{edge.index}/sourceHandle"
            if edge.handle not in known_exits:
                known = ", ".join(quoted(handle) for handle in known_exits)
                detail = _NO_UNNAMED_EXIT if edge.handle is None else _NO_EXIT
                self.flaw(where, detail, node=name, exit=quoted(edge.handle), known=known)
            elif edge.handle in exits:
                detail = _("The exit %(exit)s of %(node)s has more than one edge.")
                self.flaw(where, detail, exit=quoted(edge.handle), node=name)
            exits[edge.handle] = edge
        for handle in handles or ():
            if handle not in exits and "source" not in self.lost:
                detail = _("The exit %(exit)s of %(node)s has no next step.")
                self.flaw(at, detail, exit=quoted(handle), node=name)
        return exits

    def check_reachability(self, start: Node) -> None:
        ends = [node.id for node in self.nodes.values() if self.types[node.type].ends]
        reached = find_reachable([start.id], ((edge.source, edge.target) for edge in self.edges))
        finishing = find_reachable(ends, ((edge.target, edge.source) for edge in self.edges))
        for node in self.nodes.values():
            at, name = f"/nodes/{node.index}", _name(node)
            if node.id not in reached:
                self.report(at, _("%(node)s cannot be reached from the start."), node=name)
            elif node.id not in finishing:
                self.report(at, _("No end can be reached from %(node)s."), node=name)

    def check_edges(self, exits: Mapping[str, Mapping[str | None, Edge]]) -> None:
        """Check the data of nodes that depend on their edges."""
        incoming = Counter(edge.target for edge in self.edges)
        for node in self.nodes.values():
            if node.id not in self.unsound:
                of_type = self.types[node.type]
                found = of_type.edge_problems(node.data, exits[node.id], incoming[node.id])
                for pointer, detail in found:
                    self.report(f"/nodes/{node.index}/data{pointer}", f"{_name(node)}: {detail}")

    def check_loops(self) -> None:
        for node in find_endless_loops(list(self.nodes.values()), self.outgoing):
            self.report(f"/nodes/{node.index}", _ENDLESS_LOOP, node=_name(node))


def name_node(raw: Mapping[str, Any], index: int = 0) -> str:
    """Return the name of a node in messages: its label in quotes, else its title, id or place."""
    data = raw.get("data")
    texts = [data.get(key) for key in ("label", "title")] if isinstance(data, Mapping) else []
    for text in (*texts, raw.get("id")):
        if isinstance(text, str) and text.strip():
            return f"“{quoted(text)[1:-1]}”"
    return gettext("Node %(number)s") % {"number": index + 1}


@dataclass(frozen=True, slots=True)
class _NodeName:
    """The name of a node in messages; put together only when a message contains it."""

    raw: Mapping[str, Any]
    index: int

    def __str__(self) -> str:
        return name_node(self.raw, self.index)


def _name(node: Node) -> _NodeName:
    return _NodeName({"id": node.id, "data": node.data}, node.index)


@dataclass(frozen=True, slots=True)
class _EdgeName:
    """The name of an edge in messages; put together only when a message contains it."""

    edge_id: object
    index: int

    def __str__(self) -> str:
        if isinstance(self.edge_id, str) and self.edge_id:
            return quoted(self.edge_id)
        return str(self.index + 1)


def parse(source: object, *, is_new: bool = False) -> Graph:
    """Check a source and return its graph.

    Args:
        source: ``{"nodes": [...], "edges": [...]}``.
        is_new: True for a graph that is to be saved. Then numbers must be exact, rules must
            compare with values that their fields can have, and no loop may be endless. Stored
            graphs may be older than these rules and still run.

    Raises:
        WorkflowValidationError: all problems, each with its JSON pointer.
    """
    reading = _Parse(is_new=is_new)
    graph = reading.read(source)
    if graph is None:
        raise WorkflowValidationError(cap_problems(reading.problems))
    return graph


def normalize(source: dict[str, Any]) -> dict[str, Any]:
    """Return the stored form of a sound graph: moments in UTC."""
    types = node_types()
    nodes = [
        {**node, "data": types[node["type"]].normalize(node["data"])} if "data" in node else node
        for node in source["nodes"]
    ]
    return {"nodes": nodes, "edges": source["edges"]}


def cap_problems(problems: list[Problem]) -> list[Problem]:
    """Return the first problems, the last one replaced by the number of the others."""
    if len(problems) <= MAX_PROBLEMS:
        return problems
    more = len(problems) - (MAX_PROBLEMS - 1)
    detail = gettext("There are %(number)s more problems.") % {"number": more}
    last = Problem("", "invalid_graph", detail)
    return [*problems[: MAX_PROBLEMS - 1], last]
