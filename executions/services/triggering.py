"""Triggered starts: workflows that start when an entity is created or changed, or on a schedule.

The edit queues a row for each workflow in its own transaction. The start follows right after the
commit, in another transaction; a refusal goes to the audit log. Workers serve the rows that a
killed process has left. Writes of executions trigger nothing, so that no workflow can trigger
itself without end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction

from executions.engine.trigger_types import CHANGED
from executions.guards import NotStartable
from executions.models import Entity, Execution, TriggeredStart
from executions.models.leased_row import ATTEMPTS, backoff
from executions.services.advancing import lock_entity
from executions.services.scheduled_starts import claim_occurrence
from executions.services.starting import start_under_locks
from workflows.audit import actor
from workflows.audit.log import Action, make_attempt, record, record_refusal
from workflows.db import clock, locks
from workflows.guards import RowDeleted
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Version, Workflow
from workflows.refusals import Refusal

logger = logging.getLogger(__name__)

MAX_IMMEDIATE = 20
"""The number of starts that an edit makes itself; it leaves further ones to the workers."""

Written = tuple[Entity, Mapping[str, Any] | None]
"""A written entity with its values before the write; None for a new one."""


def queue_triggered_starts(written: Iterable[Written]) -> None:
    """Queue the starts that these edits trigger, in their transaction; start after the commit."""
    edits = [(row, before) for row, before in written if _may_trigger(row, before)]
    if not edits:
        return
    by_context: dict[str, list[Workflow]] = {}
    for workflow in _triggered_workflows(edits):
        by_context.setdefault(workflow.context_key, []).append(workflow)
    user, now = actor.user(), clock.now()
    starts = [
        TriggeredStart(
            workflow=workflow,
            entity_id=entity.pk,
            trigger=workflow.trigger,
            asked_by=user,
            due_at=now,
        )
        for entity, before in edits
        for workflow in by_context.get(entity.context.key, ())
        if _is_triggered(workflow, entity, before)
    ]
    if starts:
        TriggeredStart.objects.bulk_create(starts)
        ids = [row.pk for row in starts[:MAX_IMMEDIATE]]
        transaction.on_commit(partial(_serve_all, ids), robust=True)


def _may_trigger(entity: Entity, before: Mapping[str, Any] | None) -> bool:
    # Most edits change no field: this saves them the query.
    return before is None or ("fields" in before and _fields_differ(entity, before))


def _fields_differ(entity: Entity, before: Mapping[str, Any]) -> bool:
    # Compared as text, because True equals 1 in Python.
    return repr(before["fields"]) != repr(entity.fields)


def _triggered_workflows(edits: Sequence[Written]) -> Iterable[Workflow]:
    triggers = {
        Workflow.Trigger.CREATED if before is None else Workflow.Trigger.CHANGED
        for _, before in edits
    }
    return (
        Workflow._base_manager.filter(
            context_key__in={entity.context.key for entity, _ in edits},
            trigger__in=triggers,
            state=Workflow.State.ACTIVE,
        )
        .only("context_key", "trigger", "trigger_data")
        .order_by("pk")
    )


def _is_triggered(workflow: Workflow, entity: Entity, before: Mapping[str, Any] | None) -> bool:
    if before is None:
        return workflow.trigger == Workflow.Trigger.CREATED
    if workflow.trigger != Workflow.Trigger.CHANGED:
        return False
    data = workflow.trigger_data
    if not isinstance(data, dict) or any(CHANGED.problems(data)):
        logger.error("The trigger_data of workflow %s is invalid.", workflow.pk)
        return False
    return CHANGED.fires(data, before["fields"], entity.fields)


def _serve_all(ids: Sequence[int]) -> None:
    for pk in ids:
        serve_start(pk)


def due_starts() -> list[int]:
    """Return the ids of the due starts, the longest due first."""
    due = TriggeredStart.objects.due()
    return list(due.order_by("due_at", "pk").values_list("pk", flat=True))


def serve_due_starts(stop: Callable[[], bool] = lambda: False) -> int:
    """Serve the due starts until ``stop`` returns True.

    Returns:
        The number of served starts, including refused ones.
    """
    served = 0
    for pk in due_starts():
        if stop():
            break
        served += serve_start(pk)
    return served


def serve_start(pk: int) -> bool:
    """Make one start, or record its refusal in the audit log.

    Returns:
        False when another process has served the row, or the start is retried later.
    """
    try:
        return _serve(pk)
    except locks.Contention:
        logger.info("Triggered start %s: other transactions locked its rows.", pk)
    except Exception as error:
        logger.exception("Triggered start %s failed.", pk)
        _retry_later(pk, f"{type(error).__name__}: {error}"[:500])
    return False


@translate_database_errors
@locks.retrying
def _serve(pk: int) -> bool:
    try:
        with transaction.atomic():
            row = _lock_row(pk)
            if row is None or not TriggeredStart.objects.filter(pk=pk).delete()[0]:
                return False
            try:
                with transaction.atomic():
                    execution = _start(row)
            except Refusal as refusal:
                _record_refusal(row, refusal)
            else:
                if execution is None:
                    return False
                entry = _audit_entry(row, execution.workflow, {"execution": execution.cuid})
                record([entry])
            return True
    except (IntegrityError, Version.DoesNotExist) as error:
        # As in ``start``: the next attempt reads the new version.
        raise locks.TryAgain from error


def _lock_row(pk: int) -> TriggeredStart | None:
    """Lock the entity of a start, and return the start; None when it has been served.

    The entity is locked first, as when it is deleted with its starts.
    """
    rows = TriggeredStart.objects.select_related("asked_by").filter(pk=pk)
    entity_id = rows.values_list("entity_id", flat=True).first()
    if entity_id is None:
        return None
    try:
        entity = lock_entity(entity_id)
    except RowDeleted:
        return None
    row = rows.first()
    if row is not None:
        row.entity = entity
    return row


def _start(row: TriggeredStart) -> Execution | None:
    """Start the workflow; return None if an occurrence of its schedule does not count."""
    workflow = Workflow._base_manager.filter(pk=row.workflow_id).first()
    if workflow is None:
        raise RowDeleted("The workflow was deleted before its trigger could start it.")
    if row.occurrence is not None and not claim_occurrence(row, workflow, row.occurrence):
        return None
    return start_under_locks(workflow, row.entity_id, row.asked_by, None)


def _record_refusal(row: TriggeredStart, refusal: Refusal) -> None:
    workflow = Workflow._base_manager.filter(pk=row.workflow_id).first()
    refusal.attempts = [_audit_entry(row, workflow, {})]
    record_refusal(refusal)


def _audit_entry(row: TriggeredStart, workflow: Workflow | None, more: Mapping[str, Any]) -> Any:
    after = {"trigger": row.trigger, "entity": row.entity.cuid, **more}
    if row.occurrence is not None:
        after["occurrence"] = row.occurrence.isoformat()
    return make_attempt(workflow or row.entity, Action.STARTED, after=after, by=row.asked_by)


@translate_database_errors
@locks.retrying
def _retry_later(pk: int, error: str) -> None:
    """Reschedule a failed start; after the last attempt, record the failure and delete the row."""
    with transaction.atomic():
        row = _lock_row(pk)
        if row is None:
            return
        row.attempt += 1
        if row.attempt < ATTEMPTS:
            row.due_at = clock.now() + backoff(row.attempt)
            row.save(update_fields=["attempt", "due_at"])
        else:
            TriggeredStart.objects.filter(pk=pk).delete()
            _record_refusal(
                row, NotStartable(f"It failed {row.attempt} times. The last error: {error}")
            )
