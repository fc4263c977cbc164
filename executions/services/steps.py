"""What people do at the open steps of an execution: forms, votes, and what an operator decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from executions import guards
from executions.engine.advance import Advance
from executions.engine.nodes.approval import Approval
from executions.engine.nodes.assignees import is_among, may_submit, voters
from executions.engine.run import NodeVisit
from executions.models import Execution, FormDraft, Step, StepState, Vote
from executions.services.advancing import locked_advance, unlocked_advance, visit_to
from workflows import locks
from workflows.database_refusals import translated
from workflows.graph import Node
from workflows.jsontext import quoted, unstorable_in
from workflows.models.audit import Action, attempting, record, told
from workflows.refusals import Attempt, Problem

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
    with locks.one_writer():
        begun = unlocked_advance(execution, by)
        if _submit(begun, data, node, step, by):
            return begun[1]
    # Others were at the same tree or entity: they are waited for.
    with transaction.atomic():
        begun = locked_advance(execution, by)
        _submit(begun, data, node, step, by)
        return begun[1]


def _submit(
    begun: tuple[Advance, Execution], data: object, node: str | None, step: str | None, by: Any
) -> bool:
    visit = visit_to(begun, node, step)
    _require_assigned(visit.node, by)
    visit.advance.submit(visit, data)
    return visit.advance.finish()


@translated
@locks.retrying
def save_draft(
    execution: Execution,
    *,
    data: object,
    by: Any,
    node: str | None = None,
    step: str | None = None,
) -> Execution:
    """Keep what ``by`` has filled in so far, for them alone; it is judged when it is submitted.

    Each user has one draft at a step. It is deleted when the step is closed.

    Raises:
        guards.NotOpen, guards.NotAssigned, guards.Ended: as ``submit``.
        guards.InvalidDraft: it is no object, or holds what no database keeps.
    """
    problems = [Problem(f"/data{at}", "invalid", detail) for at, detail in unstorable_in(data)]
    if not isinstance(data, dict) or problems:
        raise guards.InvalidDraft(problems=problems or [Problem("/data", "invalid", "No object.")])
    with transaction.atomic():
        visit = visit_to(locked_advance(execution, by), node, step)
        if visit.node.type != "user_action":
            raise guards.NotOpen(f"Node {quoted(visit.node.id)} takes no form.")
        _require_assigned(visit.node, by)
        FormDraft.objects.update_or_create(
            step=visit.step, user=by, defaults={"data": data, "saved_at": visit.now}
        )
        # A submit that has read the tree without a lock closes the step with this draft, too.
        locks.outdate(Execution._base_manager.filter(pk=visit.advance.root.pk), "updated_at")
        return visit.run.execution


def _require_assigned(node: Node, by: Any) -> None:
    if by is not None and not may_submit(node.data, by):
        raise guards.NotAssigned(f"Step “{node.label}” is assigned to others.")


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
        visit = visit_to(locked_advance(execution, by), node, step)
        if visit.node.type == "approval":
            if not is_among(visit.node.data, by):
                raise guards.NotAssigned(f"Others vote on “{visit.node.label}”.")
            mine = Vote.objects.filter(step=visit.step, username=by.get_username())
            earlier = mine.values("approves", "notes").first()
            Vote.objects.update_or_create(
                step=visit.step,
                username=by.get_username(),
                defaults={"user": by, "approves": approves, "notes": notes, "at": visit.now},
            )
            # A vote is news of the execution, even where it decides nothing.
            visit.advance.touch(visit.step)
        may_vote = voters(visit.node.data)
        votes = list(Vote.objects.filter(step=visit.step, username__in=may_vote))
        visit.behaviour.decide(visit, votes, len(may_vote))
        visit.advance.finish()
        after = {"node": visit.node.id, "approves": approves, "notes": notes}
        # A vote may be changed until it decides: the log has each.
        record(
            [told(visit.run.execution, Action.VOTED, before=earlier, after=after, by=by)], using=DB
        )
        return visit.run.execution


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

    def go_on(visit: NodeVisit) -> None:
        _require(visit.step, StepState.OPEN)
        visit.behaviour.wake(visit)

    return _Decision(execution, Action.WOKEN, node, step, by, why).make(go_on)


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

    def go_on(visit: NodeVisit) -> None:
        _require(visit.step, StepState.INCIDENT)
        visit.reopen()
        visit.behaviour.enter(visit)

    return _Decision(execution, Action.RETRIED, node, step, by, why).make(go_on)


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

    def go_on(visit: NodeVisit) -> None:
        behaviour = visit.behaviour
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

    return _Decision(execution, Action.SKIPPED, node, step, by, why).make(go_on)


def _require(step: Step, state: StepState) -> None:
    if step.state == state:
        return
    if state == StepState.INCIDENT:
        raise guards.NoIncident(f"Step “{step.label}” has no incident.")
    raise guards.NoIncident(f"Step “{step.label}” has an incident: retry it or skip it.")


@dataclass(frozen=True, slots=True)
class _Decision:
    """What an operator decides at an open step: in the log, whether it is refused or made."""

    execution: Execution
    action: Action
    node: str | None
    step: str | None
    by: Any
    why: str

    def make(self, go_on: Callable[[NodeVisit], None]) -> Execution:
        attempt = self._told(self.execution, after={"node": self.node or self.step})
        with attempting(lambda: [attempt], using=DB):
            return self._made(go_on)

    @translated
    @locks.retrying
    def _made(self, go_on: Callable[[NodeVisit], None]) -> Execution:
        with transaction.atomic():
            visit = visit_to(locked_advance(self.execution, self.by), self.node, self.step)
            current = visit.run.execution
            before = {"status": current.status, "incident": visit.step.incident}
            go_on(visit)
            visit.advance.finish()
            after = {"status": current.status, "node": visit.node.id}
            record([self._told(current, before=before, after=after)], using=DB)
            return current

    def _told(self, execution: Execution, **values: Any) -> Attempt:
        return told(execution, self.action, why=self.why, by=self.by, **values)
