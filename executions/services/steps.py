"""What people do at the open steps of an execution: forms and votes."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from executions import guards
from executions.engine.advance import Advance
from executions.engine.nodes.assignees import is_among, may_submit
from executions.engine.run import NodeVisit
from executions.models import Execution, FormDraft, Vote
from executions.services.advancing import locked_advance, unlocked_advance, visit_to
from executions.services.vote_counting import count_votes
from workflows.audit.log import Action, record, told
from workflows.db import locks
from workflows.db.json_values import quoted, unstorable_in
from workflows.guards.database_errors import translated
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
    _require_assigned(visit, by)
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
        _require_assigned(visit, by)
        FormDraft.objects.update_or_create(
            step=visit.step, user=by, defaults={"data": data, "saved_at": visit.now}
        )
        # A submit that has read the tree without a lock closes the step with this draft, too.
        locks.outdate(Execution._base_manager.filter(pk=visit.advance.root.pk), "updated_at")
        return visit.run.execution


def _require_assigned(visit: NodeVisit, by: Any) -> None:
    if by is not None and not may_submit(visit.asks, by):
        raise guards.NotAssigned(f"Step “{visit.node.label}” is assigned to others.")


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
            if not is_among(visit.asks, by):
                raise guards.NotAssigned(f"Others vote on “{visit.node.label}”.")
            mine = Vote.objects.filter(step=visit.step, user=by)
            earlier = mine.values("approves", "notes").first()
            Vote.objects.update_or_create(
                step=visit.step,
                user=by,
                defaults={
                    "username": by.get_username(),
                    "approves": approves,
                    "notes": notes,
                    "at": visit.now,
                },
            )
            # A vote is news of the execution, even where it decides nothing.
            visit.advance.touch(visit.step)
        count_votes(visit)
        visit.advance.finish()
        after = {"node": visit.node.id, "approves": approves, "notes": notes}
        # A vote may be changed until it decides: the log has each.
        record(
            [told(visit.run.execution, Action.VOTED, before=earlier, after=after, by=by)], using=DB
        )
        return visit.run.execution
