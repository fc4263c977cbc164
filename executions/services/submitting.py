"""Forms of open steps: submitting one, and saving a draft of it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from executions import guards
from executions.engine.claims import refuse_claimed
from executions.engine.form_fields import file_fields
from executions.engine.node_visit import NodeVisit
from executions.engine.nodes.assignees import may_submit
from executions.models import USER_ACTION, Execution, FormDraft
from executions.services.advancing import (
    StoresAnswer,
    keep_result,
    lock_tree,
    read_tree,
    refuse_to_store,
    store_answer,
    visit_open_step,
)
from workflows.audit.log import Action, make_attempt, record
from workflows.db import locks
from workflows.db.json_values import find_unstorable, quoted
from workflows.guards.database_errors import translate_database_errors
from workflows.refusals import Problem


@translate_database_errors
@locks.retrying
def submit(
    execution: Execution,
    *,
    data: object,
    node: str | None = None,
    step: str | None = None,
    by: Any = None,
    action: str | None = None,
    stores: StoresAnswer | None = None,
) -> Execution:
    """Submit the form of an open step, and advance the execution as far as it can go.

    Child executions and callers are advanced with it.

    Args:
        data: the values of the form by field name.
        node: the id of the node where the step is open.
        step: the cuid of the open step; needed where a node has several.
        by: the account that submits; None is not checked against the assignees.
        action: the handle of the action, if the form has actions. It is recorded in the audit log.
        stores: returns the row of an answer that the same statement stores.

    Raises:
        idempotency.NeedsTransaction: ``stores`` is given, and one statement is not enough.
        guards.ExecutionEnded: the execution has ended.
        guards.NotOpen: no such step is open.
        guards.NotAssigned: the step is assigned to others than ``by``.
        guards.Claimed: somebody else has claimed it.
        forms.FormInvalid: the data does not fit the form, or the form has no such action.
    """
    if action is not None:
        refuse_to_store(stores)
        return _submit_action(execution, action, data, node, step, by)
    with locks.single_writer():
        runner = read_tree(execution, by)
        visit = visit_open_step(runner, node, step)
        store_answer(runner[1], runner[0], stores)
        # The rows of files are written before the tree, in the same transaction.
        if not file_fields(visit.node.data) and _submit(visit, data, by):
            return keep_result(runner[1], runner[0])
    # Another transaction has changed the tree or the entity since the read, or the form has files:
    # wait for the locks.
    refuse_to_store(stores)
    with transaction.atomic():
        runner = lock_tree(execution, by)
        _submit(visit_open_step(runner, node, step), data, by)
        return runner[1]


def _submit_action(
    execution: Execution, action: str, data: object, node: str | None, step: str | None, by: Any
) -> Execution:
    with transaction.atomic():
        visit = visit_open_step(lock_tree(execution, by), node, step)
        _submit(visit, data, by, action)
        current = visit.run.execution
        after = {"node": visit.node.id, "step": visit.step.cuid, "action": action}
        record([make_attempt(current, Action.SUBMITTED, after=after, by=by)])
        return current


def _submit(visit: NodeVisit, data: object, by: Any, action: str | None = None) -> bool:
    require_assigned(visit, by)
    refuse_claimed(visit.step, visit.node, visit.candidates_key, by)
    visit.submit(data, action)
    return visit.advance.finish()


@translate_database_errors
@locks.retrying
def save_draft(
    execution: Execution,
    *,
    data: object,
    by: Any,
    node: str | None = None,
    step: str | None = None,
) -> Execution:
    """Save the values that ``by`` has entered so far. They are validated when submitted.

    Each user has one draft per step, which nobody else can read. It is deleted when the step is
    closed.

    Raises:
        guards.NotOpen, guards.NotAssigned, guards.ExecutionEnded: as ``submit``.
        guards.InvalidDraft: the data is no object, or contains what no database can store.
    """
    problems = [Problem(f"/data{at}", "invalid", detail) for at, detail in find_unstorable(data)]
    if not isinstance(data, dict):
        problems = problems or [Problem("/data", "invalid", "Send an object.")]
    if problems:
        raise guards.InvalidDraft(problems=problems)
    with transaction.atomic():
        visit = visit_open_step(lock_tree(execution, by), node, step)
        if visit.node.type != USER_ACTION:
            raise guards.NotOpen(f"Node {quoted(visit.node.id)} has no form.")
        require_assigned(visit, by)
        FormDraft.objects.update_or_create(
            step=visit.step, user=by, defaults={"data": data, "saved_at": visit.now}
        )
        # A submit may have read the tree without a lock: it has to read again, so that it
        # deletes this draft with the step.
        locks.outdate(Execution._base_manager.filter(pk=visit.advance.root.pk), "updated_at")
        return visit.run.execution


def require_assigned(visit: NodeVisit, by: Any) -> None:
    """Raise ``guards.NotAssigned`` if others have to do the form; ``None`` may do every form."""
    if by is not None and not may_submit(visit.candidates_key, by):
        raise guards.NotAssigned(f"Step “{visit.node.label}” is assigned to others.")
