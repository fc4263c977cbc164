"""Which join of an execution goes on next, by BPMN 2.0's rule of the inclusive merge (13.4.3).

A branch that waits at a join remembers the edge by which it came. The branches of one join share
one open step, whose ``input`` names their edges: ``{"arrived": ["a", ["b", "yes"]]}``. An edge is
named by its source; in a list with its handle and, where a fork has several edges to the join,
its number. None stands for a branch of which nobody knows by which edge it came: an import did
not say, or it came before edges were remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from executions.models import Step, StepState
from workflows.graph import Graph, reach

JOIN = "join"
ARRIVED = "arrived"


def ready(graph: Graph, open_steps: Collection[Step]) -> Step | None:
    """Return the join that goes on next, or None.

    A join waits for a branch elsewhere that can come by an edge by which none has come yet,
    unless the branch can also come by an edge by which one has. Joins that wait only for each
    other would do so for ever: the first of them goes on, and those behind them wait.
    """
    joins = {step.node_id: step for step in open_steps if _waits(step)}
    if not joins:
        return None
    others = [step for step in open_steps if not _waits(step)]
    hopeful: set[str] = set()
    awaited: dict[str, set[str]] = {}
    for node_id, step in joins.items():
        waiting = _Waiting(graph, step)
        if not waiting.missing:
            return step
        if any(waiting.is_for(other) for other in others):
            hopeful.add(node_id)
            continue
        awaited[node_id] = {place for place in joins if waiting.is_for_branch_at(place)}
        if not awaited[node_id]:
            return step
    # Whoever waits for a join that waits for a branch on its way will go on.
    while more := {place for place in awaited.keys() - hopeful if awaited[place] & hopeful}:
        hopeful |= more
    stuck = {place: awaited[place] for place in joins if place not in hopeful}
    return next((joins[place] for place in stuck if _is_mutual(place, stuck)), None)


def _waits(step: Step) -> bool:
    return step.type == JOIN and step.state == StepState.OPEN


class _Waiting:
    """For whom a join waits; edges are the bits of ``Graph.ways_to``."""

    __slots__ = ("came", "missing", "node_id", "ways")

    def __init__(self, graph: Graph, step: Step) -> None:
        self.node_id = step.node_id
        self.ways = graph.ways_to(step.node_id)
        names = arrivals(step)
        self.came = self._bits(names)
        self.missing = ((1 << len(self.ways.bits)) - 1) & ~self.came
        if None in names and len(names) >= len(self.ways.bits):
            self.missing = 0

    def _bits(self, names: Iterable[Any]) -> int:
        found = 0
        for name in names:
            found |= self.ways.bits.get(repr(name), 0)
        return found

    def is_for_branch_at(self, node_id: str) -> bool:
        """Whether the join waits for a branch at this node."""
        bits = self.ways.from_node.get(node_id, 0)
        return bool(bits & self.missing) and not bits & self.came

    def is_for(self, step: Step) -> bool:
        """Whether the join waits for the branch at a step that is no waiting join."""
        if step.node_id != self.node_id:
            return self.is_for_branch_at(step.node_id)
        # A branch that has an incident at the join itself is still to arrive.
        names = arrivals(step)
        return None in names or bool(self._bits(names) & self.missing)


def _is_mutual(node_id: str, awaited: Mapping[str, set[str]]) -> bool:
    """Whether all joins that a join waits for, directly or not, wait for it."""
    return all(node_id in _closure(other, awaited) for other in _closure(node_id, awaited))


def _closure(node_id: str, awaited: Mapping[str, set[str]]) -> set[str]:
    return reach([node_id], ((one, other) for one, others in awaited.items() for other in others))


def arrivals(step: Step) -> list[Any]:
    """Return the names of the edges by which the branches came that wait at a join."""
    found = step.input.get(ARRIVED) if isinstance(step.input, dict) else None
    return found if isinstance(found, list) and found else [None]


def arrive(step: Step, names: list[Any]) -> None:
    """Let these branches wait at a join."""
    step.input = {ARRIVED: names}


def split(step: Step) -> tuple[list[Any], list[Any]]:
    """Return the branches that a join takes when it goes on, and those that wait on.

    It takes one of each edge. Those without an edge are taken along.
    """
    taken: list[Any] = []
    left: list[Any] = []
    known: set[str] = set()
    for name in arrivals(step):
        (left if name is not None and repr(name) in known else taken).append(name)
        known.add(repr(name))
    return taken, left
