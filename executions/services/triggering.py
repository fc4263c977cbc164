"""Starting what an edit of an entity sets off.

The edit writes a row for each workflow, in its own transaction; the start is made right after
the commit, in one of its own, and whatever refuses it is told to the audit log. What a process
left undone when it was killed, ``run_due`` and ``work`` come back to. What executions write to
an entity sets nothing off: no workflow can chase itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from executions.engine.trigger_types import CHANGED
from executions.guards import NotStartable
from executions.models import Entity, Execution, TriggeredStart
from executions.services.advancing import lock_entity
from executions.services.jobs import ATTEMPTS, backoff
from executions.services.starting import start_within
from workflows.audit import actor
from workflows.audit.log import Action, record, record_refusal, told
from workflows.db import locks
from workflows.guards import Gone
from workflows.guards.database_errors import translated
from workflows.models import Version, Workflow
from workflows.refusals import Refusal

logger = logging.getLogger(__name__)

DB = "default"
AT_ONCE = 20
"""How many starts an edit waits for; the rest of what a bulk statement sets off is left."""

Written = tuple[Entity, Mapping[str, Any] | None]
"""An entity that was written, and the values that it had before; None where it is new."""


def set_off(written: Iterable[Written], using: str) -> None:
    """Write down what these edits set off, in their transaction, and start it after the commit."""
    edits = [(row, before) for row, before in written if _may_set_off(row, before)]
    if not edits or using != DB:
        return
    by_context: dict[str, list[Workflow]] = {}
    for workflow in _waiting_for(edits):
        by_context.setdefault(workflow.context_key, []).append(workflow)
    asked_by, now = actor.user(), timezone.now()
    starts = [
        TriggeredStart(
            workflow=workflow,
            entity_id=entity.pk,
            trigger=workflow.trigger,
            asked_by=asked_by,
            due_at=now,
        )
        for entity, before in edits
        for workflow in by_context.get(entity.context.key, ())
        if _is_set_off(workflow, entity, before)
    ]
    if starts:
        TriggeredStart.objects.bulk_create(starts)
        ids = [row.pk for row in starts[:AT_ONCE]]
        transaction.on_commit(partial(_serve_all, ids), robust=True)


def _may_set_off(entity: Entity, before: Mapping[str, Any] | None) -> bool:
    # Most edits change no field: they are not worth a query.
    return before is None or ("fields" in before and _fields_differ(entity, before))


def _fields_differ(entity: Entity, before: Mapping[str, Any]) -> bool:
    # As text: to Python, true equals 1.
    return repr(before["fields"]) != repr(entity.fields)


def _waiting_for(edits: Sequence[Written]) -> Iterable[Workflow]:
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


def _is_set_off(workflow: Workflow, entity: Entity, before: Mapping[str, Any] | None) -> bool:
    if before is None:
        return workflow.trigger == Workflow.Trigger.CREATED
    if workflow.trigger != Workflow.Trigger.CHANGED:
        return False
    data = workflow.trigger_data
    if not isinstance(data, dict) or any(CHANGED.problems(data)):
        logger.error("The trigger of workflow %s has no meaning.", workflow.pk)
        return False
    return CHANGED.is_set_off(data, before["fields"], entity.fields)


def _serve_all(ids: Sequence[int]) -> None:
    for pk in ids:
        serve_start(pk)


def due_starts() -> list[int]:
    """The starts that are due, the longest due first."""
    due = TriggeredStart.objects.filter(due_at__lte=timezone.now())
    return list(due.order_by("due_at", "pk").values_list("pk", flat=True))


def serve_due_starts(stop: Callable[[], bool] = lambda: False) -> int:
    """Make what is due until ``stop`` says so; how many were served, the refused ones too."""
    served = 0
    for pk in due_starts():
        if stop():
            break
        served += serve_start(pk)
    return served


def serve_start(pk: int) -> bool:
    """Make one start, or tell what refuses it; False when another has, or it is left for later."""
    try:
        return _serve(pk)
    except locks.Contention:
        logger.info("The triggered start %s met others at the same rows.", pk)
    except Exception as error:
        logger.exception("The triggered start %s failed.", pk)
        _put_off(pk, f"{type(error).__name__}: {error}"[:500])
    return False


@translated
@locks.retrying
def _serve(pk: int) -> bool:
    try:
        with transaction.atomic():
            row = _locked(pk)
            if row is None or not TriggeredStart.objects.filter(pk=pk).delete()[0]:
                return False
            try:
                with transaction.atomic():
                    execution = _start(row)
            except Refusal as refusal:
                _tell(row, refusal)
            else:
                made = _told(row, execution.workflow, {"execution": execution.cuid})
                record([made], using=DB)
            return True
    except (IntegrityError, Version.DoesNotExist) as error:
        # As for every start: one that begins anew reads the version that is there now.
        raise locks.TryAgain from error


def _locked(pk: int) -> TriggeredStart | None:
    """The row under the lock of its entity; None when another has served it.

    The entity comes first, as for whoever deletes it and with it the row.
    """
    rows = TriggeredStart.objects.select_related("asked_by").filter(pk=pk)
    entity_id = rows.values_list("entity_id", flat=True).first()
    if entity_id is None:
        return None
    try:
        entity = lock_entity(entity_id)
    except Gone:
        return None
    row = rows.first()
    if row is not None:
        row.entity = entity
    return row


def _start(row: TriggeredStart) -> Execution:
    workflow = Workflow._base_manager.filter(pk=row.workflow_id).first()
    if workflow is None:
        raise Gone("The workflow has been deleted before its trigger could start it.")
    return start_within(workflow, row.entity_id, row.asked_by, None)


def _tell(row: TriggeredStart, refusal: Refusal) -> None:
    workflow = Workflow._base_manager.filter(pk=row.workflow_id).first()
    refusal.attempts = [_told(row, workflow, {})]
    record_refusal(refusal, using=DB)


def _told(row: TriggeredStart, workflow: Workflow | None, more: Mapping[str, Any]) -> Any:
    after = {"trigger": row.trigger, "entity": row.entity.cuid, **more}
    return told(workflow or row.entity, Action.STARTED, after=after, by=row.asked_by)


@translated
@locks.retrying
def _put_off(pk: int, error: str) -> None:
    """Try a start that failed again later; after the last attempt that is told, and no more."""
    with transaction.atomic():
        row = _locked(pk)
        if row is None:
            return
        row.attempt += 1
        if row.attempt < ATTEMPTS:
            row.due_at = timezone.now() + backoff(row.attempt)
            row.save(update_fields=["attempt", "due_at"])
        else:
            TriggeredStart.objects.filter(pk=pk).delete()
            _tell(row, NotStartable(f"It failed {row.attempt} times, at last with: {error}"))
