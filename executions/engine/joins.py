"""The rule by which joins continue: the inclusive merge of BPMN 2.0 (13.4.3).

A branch that waits at a join remembers the edge by which it arrived. The branches at one join
share one open step, whose ``input`` names their edges: ``{"arrived": ["a", ["b", "yes"]]}``. An
edge is named by its source. In a list, the handle follows, and the number of the edge if a fork
has several edges to the join. None is an unknown edge: an import did not name it, or the branch
arrived before edges were recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from executions.models import Step, StepState
from workflows.graph import Graph, find_reachable

JOIN = "join"
ARRIVED = "arrived"


def find_ready(graph: Graph, open_steps: Collection[Step]) -> Step | None:
    """Return the join that continues next, or None.

    A join waits for a branch that can still arrive over an edge without an arrival, unless that
    branch can also arrive over an edge that has an arrival already. Joins that wait only for
    each other would wait forever: the first of them continues.
    """
    joins = {step.node_id: step for step in open_steps if _waits(step)}
    if not joins:
        return None
    others = [step for step in open_steps if not _waits(step)]
    reachable: set[str] = set()
    awaited: dict[str, set[str]] = {}
    for node_id, step in joins.items():
        waiting = _WaitingJoin(graph, step)
        if not waiting.missing:
            return step
        if any(waiting.waits_for(other) for other in others):
            reachable.add(node_id)
            continue
        awaited[node_id] = {place for place in joins if waiting.waits_for_branch_at(place)}
        if not awaited[node_id]:
            return step
    # A join that waits for such a join will continue too.
    while more := {place for place in awaited.keys() - reachable if awaited[place] & reachable}:
        reachable |= more
    stuck = {place: awaited[place] for place in joins if place not in reachable}
    return next((joins[place] for place in stuck if _is_mutual(place, stuck)), None)


def _waits(step: Step) -> bool:
    return step.type == JOIN and step.state == StepState.OPEN


class _WaitingJoin:
    """A waiting join: its incoming edges with an arrival, and those without, as bits."""

    __slots__ = ("incoming", "missing", "node_id", "present")

    def __init__(self, graph: Graph, step: Step) -> None:
        self.node_id = step.node_id
        self.incoming = graph.arrivals_at(step.node_id)
        names = arrivals(step)
        self.present = self._bits(names)
        self.missing = ((1 << len(self.incoming.bits)) - 1) & ~self.present
        if None in names and len(names) >= len(self.incoming.bits):
            self.missing = 0

    def _bits(self, names: Iterable[Any]) -> int:
        found = 0
        for name in names:
            found |= self.incoming.bits.get(repr(name), 0)
        return found

    def waits_for_branch_at(self, node_id: str) -> bool:
        """Return True if the join waits for a branch at this node."""
        bits = self.incoming.from_node.get(node_id, 0)
        return bool(bits & self.missing) and not bits & self.present

    def waits_for(self, step: Step) -> bool:
        """Return True if the join waits for the branch at a step, which is not a waiting join."""
        if step.node_id != self.node_id:
            return self.waits_for_branch_at(step.node_id)
        # A branch with an incident at the join itself has not arrived yet.
        names = arrivals(step)
        return None in names or bool(self._bits(names) & self.missing)


def _is_mutual(node_id: str, awaited: Mapping[str, set[str]]) -> bool:
    """Return True if all joins that a join waits for, directly or not, wait for it."""
    return all(node_id in _closure(other, awaited) for other in _closure(node_id, awaited))


def _closure(node_id: str, awaited: Mapping[str, set[str]]) -> set[str]:
    return find_reachable(
        [node_id], ((one, other) for one, others in awaited.items() for other in others)
    )


def arrivals(step: Step) -> list[Any]:
    """Return the names of the edges over which branches have arrived at a join."""
    found = step.input.get(ARRIVED) if isinstance(step.input, dict) else None
    return found if isinstance(found, list) and found else [None]


def set_arrivals(step: Step, names: list[Any]) -> None:
    """Store the names of the edges over which branches have arrived at a join."""
    step.input = {ARRIVED: names}


def split(step: Step) -> tuple[list[Any], list[Any]]:
    """Return the arrivals that a join consumes when it continues, and those that stay.

    The join consumes one arrival per edge, and every arrival without an edge.
    """
    taken: list[Any] = []
    left: list[Any] = []
    known: set[str] = set()
    for name in arrivals(step):
        (left if name is not None and repr(name) in known else taken).append(name)
        known.add(repr(name))
    return taken, left
