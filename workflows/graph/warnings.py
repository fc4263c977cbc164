"""Warnings about a sound graph: it can run, but maybe not as its designer expects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from django.utils.translation import gettext

from workflows.db.json_values import below, quoted
from workflows.graph.graph import Edge, Graph, Node
from workflows.graph.node_types import node_types
from workflows.graph.parsing import name_node
from workflows.refusals import Problem

UNWRITTEN_FIELD = "unwritten_field"
INCOMPLETE_JOIN = "incomplete_join"


def find_written(graph: Graph) -> set[str]:
    """Return the names of the fields, and of the variables with ``$``, that a graph writes."""
    types = node_types()
    return {
        name for node in graph.nodes.values() for name in types[node.type].written_names(node.data)
    }


def find_read(graph: Graph) -> dict[str, list[tuple[Node, str]]]:
    """Return where a graph reads each field: by name, the nodes with pointers into their data.

    Variables are left out: a start or a call may pass any of them.
    """
    types = node_types()
    found: dict[str, list[tuple[Node, str]]] = defaultdict(list)
    for node in graph.nodes.values():
        for pointer, name in types[node.type].read_names(node.data):
            places = found[name]
            if not name.startswith("$") and (node, pointer) not in places:
                places.append((node, pointer))
    return {name: places for name, places in found.items() if places}


def warn_of_field(name: str, node: Node, pointer: str, entities: int) -> Problem:
    """Return the warning that a node reads a field which nothing writes.

    Args:
        entities: the number of entities that were searched at most.
    """
    detail = gettext(
        "Nothing writes the field {name}: no node of a workflow of this type, and none of the"
        " newest {number} entities of the type has it. Check its name."
    ).format(name=quoted(name), number=entities)
    return _warn(node, f"/data{pointer}", UNWRITTEN_FIELD, detail)


def find_incomplete_joins(graph: Graph) -> Iterator[Problem]:
    """Yield a warning for each join at which too few branches can ever arrive.

    Two branches exist at once only if a fork has started both. So two incoming edges can hold
    branches at the same time only if different edges of a fork lead to them.
    """
    types = node_types()
    for node in graph.nodes.values():
        incoming = len(graph.incoming(node.id))
        needed = node.data.get("needed")
        if not types[node.type].merges or incoming < 2 or needed == 1:
            continue
        most = _most_at_once(graph, node.id)
        if needed is None and most == 1:
            detail = gettext(
                "It never waits: only one of its {incoming} branches can ever arrive. Add a"
                " parallel node before it, or connect the branches to its next step."
            ).format(incoming=incoming)
            yield _warn(node, "", INCOMPLETE_JOIN, detail)
        elif needed is not None and needed > most:
            detail = gettext(
                "{needed} branches are needed, but at most {most} of its {incoming} branches can"
                " ever arrive."
            ).format(needed=needed, most=most, incoming=incoming)
            yield _warn(node, "/data/needed", INCOMPLETE_JOIN, detail)


def _most_at_once(graph: Graph, join: str) -> int:
    """Return an upper limit of the incoming edges that can hold branches at the same time."""
    arrivals = graph.arrivals_at(join)
    together: dict[int, int] = defaultdict(int)

    def reached_by(edge: Edge) -> int:
        if edge.target == join:
            return arrivals.bits[repr(edge.name)]
        return arrivals.from_node.get(edge.target, 0)

    for edges in graph.forks.values():
        reached = [reached_by(edge) for edge in edges]
        once = twice = 0
        for bits in reached:
            once, twice = once | bits, twice | (once & bits)
        for bits in reached:
            # Edges that another edge of the fork reaches.
            others = once & ~(bits & ~twice)
            for place in _places(bits):
                together[place] |= others & ~(1 << place)
    # Of k edges that can all hold branches, each is together with k - 1 others.
    numbers = sorted((bits.bit_count() + 1 for bits in together.values()), reverse=True)
    return max((min(rank, number) for rank, number in enumerate(numbers, 1)), default=1)


def _places(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _warn(node: Node, pointer: str, code: str, detail: str) -> Problem:
    name = name_node({"id": node.id, "data": node.data}, node.index)
    return Problem(f"{below('/nodes', node.index)}{pointer}", code, f"{name}: {detail}")
