"""The rule by which joins continue: the inclusive merge of BPMN 2.0 (13.4.3).

A branch that waits at a join remembers the edge by which it arrived. The branches at one join
share one open step, whose ``input`` names their edges: ``{"arrived": ["a", ["b", "yes"]]}``. An
edge is named by its source. In a list, the handle follows, and the number of the edge if a fork
has several edges to the join. None is an unknown edge: an import did not name it, or the branch
arrived before edges were recorded.

A join that needs only some branches continues without the others. Then it cancels them, or keeps a
step open that absorbs them: ``continued`` names the edges that it has used, ``absorbs`` those over
which branches may still arrive, and ``arrived`` the branches of the next round.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from executions.models import Step, StepState
from workflows.graph import Graph, find_reachable

JOIN = "join"
NEEDED, OTHERS, CANCEL, WAIT = "needed", "others", "cancel", "wait"
ARRIVED, CONTINUED, ABSORBS = "arrived", "continued", "absorbs"
NOT_NEEDED = "Other branches have arrived first."


def find_ready(graph: Graph, open_steps: Collection[Step]) -> Step | None:
    """Return the join that continues next, or that has absorbed the last branch; else None.

    A join that needs some branches continues when these have arrived. Otherwise, a join waits for
    a branch that can still arrive over an edge without an arrival, unless that branch can also
    arrive over an edge that has an arrival already. Joins that wait only for each other would wait
    forever: the first of them continues.
    """
    joins = {step.node_id: step for step in open_steps if _waits(step)}
    if not joins:
        return None
    others = [step for step in open_steps if not _waits(step)]
    # The branches at a join that only absorbs have ended.
    moving = {node_id for node_id, step in joins.items() if arrivals(step)}
    reachable: set[str] = set()
    awaited: dict[str, set[str]] = {}
    for node_id, step in joins.items():
        waiting = _WaitingJoin(graph, step)
        if not waiting.missing or waiting.has_enough:
            return step
        if any(waiting.waits_for(other) for other in others):
            reachable.add(node_id)
            continue
        awaited[node_id] = {place for place in moving if waiting.waits_for_branch_at(place)}
        if not awaited[node_id]:
            return step
    # A join that waits for such a join will continue too.
    while more := {place for place in awaited.keys() - reachable if awaited[place] & reachable}:
        reachable |= more
    stuck = {place: awaited[place] for place in joins if place not in reachable}
    return next((joins[place] for place in stuck if _is_mutual(place, stuck)), None)


def find_late_edges(graph: Graph, open_steps: Collection[Step], step: Step) -> list[Any]:
    """Return the names of the edges without an arrival that branches can still arrive over."""
    waiting = _WaitingJoin(graph, step)
    late = 0
    for other in open_steps:
        # The branches at a join that only absorbs have ended.
        if other is not step and arrivals(other):
            late |= waiting.incoming.from_node.get(other.node_id, 0)
    late &= waiting.missing
    names = (edge.name for edge in graph.incoming(step.node_id))
    return [name for name in names if late & waiting.incoming.bits[repr(name)]]


def find_late_steps(graph: Graph, open_steps: Collection[Step], step: Step) -> list[Step]:
    """Return the open steps of the same fork whose branches could still arrive at a join."""
    branches = graph.branches_to(step.node_id)
    return [other for other in open_steps if other is not step and other.node_id in branches]


def _waits(step: Step) -> bool:
    return step.type == JOIN and step.state == StepState.OPEN


class _WaitingJoin:
    """A waiting join: its incoming edges with an arrival, and those without, as bits."""

    __slots__ = ("has_enough", "incoming", "missing", "node_id", "present")

    def __init__(self, graph: Graph, step: Step) -> None:
        self.node_id = step.node_id
        self.incoming = graph.arrivals_at(step.node_id)
        self.has_enough = False
        if has_continued(step):
            self.present = self._bits(stored_edges(step, CONTINUED))
            self.missing = self._bits(stored_edges(step, ABSORBS))
            return
        names = arrivals(step)
        self.present = self._bits(names)
        self.missing = ((1 << len(self.incoming.bits)) - 1) & ~self.present
        if None in names and len(names) >= len(self.incoming.bits):
            self.missing = 0
        # The step of a damaged execution may be at a node that is no join.
        node = graph.nodes.get(step.node_id)
        needed = node.data.get(NEEDED) if node is not None and node.type == JOIN else None
        if needed is not None:
            self.has_enough = self.present.bit_count() + names.count(None) >= needed

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
    found = stored_edges(step, ARRIVED)
    return found if found or has_continued(step) else [None]


def has_continued(step: Step) -> bool:
    """Return True if a join has continued, and only absorbs the branches that come later."""
    return step.type == JOIN and bool(stored_edges(step, CONTINUED))


def stored_edges(step: Step, key: str) -> list[Any]:
    """Return the names of edges that a join stores under a key; none if the row is damaged."""
    found = step.input.get(key) if isinstance(step.input, dict) else None
    return found if isinstance(found, list) else []


def set_arrivals(step: Step, names: list[Any]) -> None:
    """Store the names of the edges over which branches have arrived at a join."""
    step.input = {ARRIVED: names}


def absorb_later(step: Step, arrived: list[Any], continued: list[Any], absorbs: list[Any]) -> None:
    """Let the step of a join absorb the branches that arrive over the edges of ``absorbs``."""
    step.input = {ARRIVED: arrived, CONTINUED: continued, ABSORBS: absorbs}


def add_arrivals(step: Step, names: list[Any]) -> None:
    """Add branches to those at a join, or absorb them."""
    if not has_continued(step):
        set_arrivals(step, [*arrivals(step), *names])
        return
    arrived, absorbs = list(arrivals(step)), list(stored_edges(step, ABSORBS))
    continued = list(stored_edges(step, CONTINUED))
    for name in names:
        if name in absorbs:
            absorbs.remove(name)
            continued.append(name)
        else:
            arrived.append(name)
    absorb_later(step, arrived, continued, absorbs)


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
