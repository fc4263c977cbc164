"""Skipping an open step."""

from __future__ import annotations

from typing import Unpack

from django.utils.translation import gettext_lazy as _

from executions import guards
from executions.engine import joins
from executions.engine.node_visit import NodeVisit
from executions.engine.nodes.join import Join
from executions.models import Execution, StepState
from executions.services.decisions import StepDecision, decide
from workflows.audit.log import Action
from workflows.db.json_values import quoted
from workflows.graph import Graph, Node
from workflows.refusals import Problem, Refusal, Remedy


class NotSkippable(Refusal):
    message = _("The step cannot be skipped.")
    code = "not_skippable"


def skip(
    execution: Execution, *, handle: str | None = None, **decision: Unpack[StepDecision]
) -> Execution:
    """Close an open step that nobody has done, and leave it by one of its exits.

    A child execution of the step is cancelled. The votes of an approval stay in the history.

    Args:
        handle: the exit; needed where the node has more than one.

    Raises:
        guards.NotOpen, guards.ExecutionEnded, ReasonRequired: as ``decide``.
        guards.NoSuchHandle: the node has no such exit, or has several and none was named.
        NotSkippable: a join, which waits only for steps that can be skipped.
    """

    def act(visit: NodeVisit) -> None:
        behaviour = visit.behaviour
        if isinstance(behaviour, Join) and visit.step.state == StepState.OPEN:
            raise _join_refusal(visit)
        chosen = _choose_exit(visit, handle)
        if joins.has_continued(visit.step):
            visit.advance.end_absorbing(visit.run, visit.node, visit.step)
        elif behaviour.ends:
            visit.end_branch()
        elif behaviour.forks:
            visit.fork()
        else:
            visit.leave(chosen, output={"skipped": True})
        visit.advance.cancel_child(visit.step, "The step that called it was skipped.")

    return decide(execution, Action.SKIPPED, act, requires_reason=True, **decision)


def _choose_exit(visit: NodeVisit, handle: str | None) -> str | None:
    """Return the exit to leave by. Raise ``guards.NoSuchHandle``."""
    exits = skip_exits(visit.run.manager.graph, visit.node)
    if handle in exits:
        return handle
    if handle is None and (not exits or len(exits) == 1):
        return next(iter(exits), None)
    named = [name for name in exits if name is not None]
    if not named:
        detail = f"Node {quoted(visit.node.id)} has no named exits."
        problems = [Problem("/handle", guards.NoSuchHandle.code, detail)]
        raise guards.NoSuchHandle(detail, problems=problems)
    known = ", ".join(quoted(name) for name in named)
    raise guards.NoSuchHandle(
        f"Name the exit to leave by: {known}.",
        problems=[Problem("/handle", guards.NoSuchHandle.code, f"One of: {known}.")],
    )


def skip_exits(graph: Graph, node: Node) -> tuple[str | None, ...]:
    """Return the exits by which a step can be left; None is the exit without a name."""
    if node.id in graph.forks:
        return ()
    return tuple(graph.exits.get(node.id, ()))


def _join_refusal(visit: NodeVisit) -> NotSkippable:
    others = [row for row in visit.run.open_steps if row.pk != visit.step.pk]
    names = ", ".join(f"“{row.label or row.node_id}”" for row in others)
    return NotSkippable(
        f"Step “{visit.step.label}” waits for other branches. Skip their open steps instead: "
        f"{names}.",
        remedies=[Remedy("skip_branches", f"Skip or finish these steps: {names}.")],
    )
