"""What people do at the open steps of an execution: forms, votes, and what an operator decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction

from executions import guards
from executions.engine.advance import Advance
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import is_among, may_submit, voters
from executions.engine.run import NodeVisit
from executions.models import Execution, Step, StepState, Vote
from executions.services.advancing import locked_advance, open_step
from workflows import locks
from workflows.database_refusals import translated
from workflows.jsontext import quoted, unstorable_in
from workflows.models.audit import Action, attempting, record, told
from workflows.refusals import Problem

DB = "default"


@translated
@locks.retrying
def submit(
    execution: Execution,
    *,
    data: object,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
) -> Execution:
    """Submit the form of an open step, named by its node or, where that is not enough, its cuid.

    The execution goes on as far as it can, its callees and its callers with it.

    Raises:
        guards.Ended: the execution has ended.
        guards.NotOpen: no such step is open.
        guards.NotAssigned: the step is assigned to others than ``by``.
        forms.FormInvalid: what was submitted does not fit the form.
    """
    with transaction.atomic():
        advance, current = locked_advance(execution, by)
        run = advance.run_of(current)
        found = open_step(current, run.open_steps, node, step)
        frozen = run.manager.node(found.node_id)
        if by is not None and not may_submit(frozen.data, by):
            raise guards.NotAssigned(f"Step “{frozen.label}” is assigned to others.")
        advance.submit(current, found, data)
        advance.run()
        advance.write()
        return current


@translated
@locks.retrying
def save_draft(
    execution: Execution,
    *,
    data: object,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
) -> Execution:
    """Keep what has been filled in so far; the form judges it when it is submitted.

    Raises:
        guards.NotOpen, guards.NotAssigned, guards.Ended: as ``submit``.
        guards.InvalidDraft: it is no object, or holds what no database keeps.
    """
    problems = [Problem(f"/data{at}", "invalid", detail) for at, detail in unstorable_in(data)]
    if not isinstance(data, dict) or problems:
        raise guards.InvalidDraft(problems=problems or [Problem("/data", "invalid", "No object.")])
    with transaction.atomic():
        advance, current = locked_advance(execution, by)
        run = advance.run_of(current)
        found = open_step(current, run.open_steps, node, step)
        frozen = run.manager.node(found.node_id)
        if frozen.type != "user_action":
            raise guards.NotOpen(f"Node {quoted(frozen.id)} takes no form.")
        if by is not None and not may_submit(frozen.data, by):
            raise guards.NotAssigned(f"Step “{frozen.label}” is assigned to others.")
        Step._base_manager.filter(pk=found.pk).update(draft=data)
        return current


@translated
@locks.retrying
def vote(
    execution: Execution,
    *,
    approves: bool,
    by: Any,
    node: str | None = None,
    step: str | None = None,
    notes: str = "",
) -> Execution:
    """Approve or reject; who has voted already changes their mind. It may decide the step.

    Raises:
        guards.NotOpen, guards.Ended: as ``submit``.
        guards.NotAssigned: ``by`` is not among those who may vote.
        behaviour.NotAwaited: the step is no approval.
    """
    with transaction.atomic():
        advance, current = locked_advance(execution, by)
        run = advance.run_of(current)
        found = open_step(current, run.open_steps, node, step)
        frozen = run.manager.node(found.node_id)
        visit = NodeVisit(advance, run, frozen, found)
        behaviour = run.manager.behaviour(frozen)
        if frozen.type == "approval":
            if not is_among(frozen.data, by):
                raise guards.NotAssigned(f"Others vote on “{frozen.label}”.")
            Vote.objects.update_or_create(
                step=found,
                username=by.get_username(),
                defaults={"user": by, "approves": approves, "notes": notes, "at": advance.now},
            )
        may_vote = voters(frozen.data)
        votes = list(Vote.objects.filter(step=found, username__in=may_vote))
        behaviour.decide(visit, votes, len(may_vote))
        advance.run()
        advance.write()
        return current


def wake(
    execution: Execution,
    *,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    why: str = "",
) -> Execution:
    """Let a step that sleeps go on before its time.

    Raises:
        guards.NotOpen, guards.Ended: as ``submit``.
        behaviour.NotAwaited: the step does not sleep.
    """

    def go_on(advance: Advance, visit: NodeVisit) -> None:
        _require(visit.step, StepState.OPEN)
        visit.run.manager.behaviour(visit.node).wake(visit)

    return _decided(execution, Action.WOKEN, go_on, node, step, by, why)


def retry(
    execution: Execution,
    *,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    why: str = "",
) -> Execution:
    """Let a step that has an incident try again: a new child, another look at the field.

    Raises:
        guards.NotOpen, guards.Ended: as ``submit``.
        guards.NoIncident: the step has none.
    """

    def go_on(advance: Advance, visit: NodeVisit) -> None:
        _require(visit.step, StepState.INCIDENT)
        visit.reopen()
        visit.run.manager.behaviour(visit.node).enter(visit)

    return _decided(execution, Action.RETRIED, go_on, node, step, by, why)


def skip(
    execution: Execution,
    *,
    handle: str | None = None,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    why: str = "",
) -> Execution:
    """Leave a step that has an incident by the exit that the operator names.

    So too an approval for which too few are left who may vote: nobody else could end it.

    Raises:
        guards.NotOpen, guards.Ended: as ``submit``.
        guards.NoIncident: the step has none.
        guards.NoSuchHandle: the node has no such exit, or has several and none was named.
    """

    def go_on(advance: Advance, visit: NodeVisit) -> None:
        behaviour = visit.run.manager.behaviour(visit.node)
        if not isinstance(behaviour, Approval) or behaviour.can_be_approved(
            visit.node.data, len(voters(visit.node.data))
        ):
            _require(visit.step, StepState.INCIDENT)
        handles = behaviour.handles(visit.node.data)
        if handles is not None and handle not in handles:
            known = ", ".join(quoted(name) for name in handles)
            raise guards.NoSuchHandle(
                f"Name the exit to leave by: {known}.",
                problems=[Problem("/handle", guards.NoSuchHandle.code, f"One of: {known}.")],
            )
        if handles is None and handle is not None:
            raise guards.NoSuchHandle(f"Node {quoted(visit.node.id)} has no named exits.")
        if behaviour.ends:
            visit.finish()
        elif behaviour.forks:
            visit.fork()
        else:
            visit.leave(handle, output={"skipped": True})

    return _decided(execution, Action.SKIPPED, go_on, node, step, by, why)


def _require(step: Step, state: StepState) -> None:
    if step.state == state:
        return
    if state == StepState.INCIDENT:
        raise guards.NoIncident(f"Step “{step.label}” has no incident.")
    raise guards.NoIncident(f"Step “{step.label}” has an incident: retry it or skip it.")


def _decided(
    execution: Execution,
    action: Action,
    go_on: Callable[[Advance, NodeVisit], None],
    node: str | None,
    step: str | None,
    by: Any,
    why: str,
) -> Execution:
    attempt = told(execution, action, after={"node": node or step}, why=why, by=by)
    with attempting(lambda: [attempt], using=DB):
        return _decide(execution, action, go_on, node, step, by, why)


@translated
@locks.retrying
def _decide(
    execution: Execution,
    action: Action,
    go_on: Callable[[Advance, NodeVisit], None],
    node: str | None,
    step: str | None,
    by: Any,
    why: str,
) -> Execution:
    with transaction.atomic():
        advance, current = locked_advance(execution, by)
        before = current.status
        run = advance.run_of(current)
        found = open_step(current, run.open_steps, node, step)
        incident = found.incident
        go_on(advance, NodeVisit(advance, run, run.manager.node(found.node_id), found))
        advance.run()
        advance.write()
        done = told(
            current,
            action,
            before={"status": before, "incident": incident},
            after={"status": current.status, "node": found.node_id},
            why=why,
            by=by,
        )
        record([done], using=DB)
        return current
