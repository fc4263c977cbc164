"""What can be done to executions: each a transaction, with the locks of a runner.

The order of the locks: the root's row, the child's, the entity's, then shares on workflows
by id, then versions. A runner takes no exclusive lock on a workflow.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from executions import guards
from executions.engine.advance import Advance
from executions.engine.nodes.user_action import may_submit
from executions.models import Entity, Execution, Pin, Status, Step
from workflows import locks
from workflows.database_refusals import translated
from workflows.guards import Gone
from workflows.models import PendingWorkflow, Reference, Version, Workflow, calls
from workflows.models.audit import Action, attempting, record, told
from workflows.models.pending import draining

DB = "default"


@translated
@locks.retrying
def start(workflow: Workflow, entity: Entity, *, by: Any = None) -> Execution:
    """Start a root: freeze the version, pin the closure of calls, and walk to the first wait.

    Raises:
        guards.NotStartable: a workflow of the closure is not active.
        guards.EntityTypeMismatch: the entity has another context.
        locks.Contention: an editor was at the same workflows, again and again.
    """
    try:
        with transaction.atomic():
            locked = _lock_entity(entity.pk)
            closure = _lock_closure(workflow)
            if not closure:
                raise Gone(f"The workflow “{workflow}” has been deleted.")
            waits = [row.workflow_id for row in closure if getattr(row, "waits", False)]
            waiting = list(draining(waits)) if waits else []
            guards.refuse_start(closure[0].workflow, locked, closure, waiting)
            return _begin(locked, closure, by)
    except (IntegrityError, Version.DoesNotExist) as error:
        # The version was replaced or released between its read and the insert; the keys
        # refuse the execution, and a start that begins anew reads the new one.
        raise locks.TryAgain from error


def _lock_closure(workflow: Workflow) -> list[Version]:
    """Share the workflow and all that it reaches, then read their latest versions, own first."""
    ids = calls.walk([workflow.pk], "callees", DB)
    locks.lock_rows(Workflow._base_manager.all(), ids, locks.Strength.KEY_SHARE)
    again = calls.walk([workflow.pk], "callees", DB)
    if set(again) - set(ids):
        # It grew. A further share taken now could come before one that is held already.
        raise locks.TryAgain
    latest = Version.objects.filter(workflow_id__in=again).latest_of_each()
    ids = list(latest.values_list("pk", flat=True))
    locked = locks.lock_rows(Version._base_manager.all(), ids, locks.Strength.KEY_SHARE)
    versions = list(
        Version.objects.filter(pk__in=ids)
        .latest_of_each()
        .annotate(
            waits=Exists(
                PendingWorkflow.objects.filter(workflow_id=OuterRef("workflow_id"), waiting=True)
            )
        )
        .select_related("workflow")
        .defer("source")
    )
    called = (
        Reference._base_manager.filter(version__in=ids, version__in_force=True)
        .exclude(version__workflow__state=Workflow.State.RETIRED)
        .values_list("callee_id", flat=True)
    )
    if len(locked) != len(ids) or len(versions) != len(ids) or set(called) - set(again):
        # A graph was saved between the two reads: what it calls is not shared yet.
        raise locks.TryAgain
    return sorted(versions, key=lambda version: version.workflow_id != workflow.pk)


def _begin(entity: Entity, closure: list[Version], by: Any) -> Execution:
    version, *callees = closure
    now = timezone.now()
    root = Execution(
        workflow=version.workflow,
        version=version,
        entity=entity,
        status=Status.ACTIVE,
        context_key=version.context_key,
        started_at=now,
        started_by=by,
    )
    pins = [
        Pin(root=root, callee=callee.workflow, version=callee, context_key=callee.context_key)
        for callee in callees
    ]
    advance = Advance(root, entity, now=now, by=by, pins=pins)
    advance.begin()
    advance.run()
    advance.write()
    return root


def _lock(execution: Execution) -> tuple[Execution, Execution]:
    """Lock the root and the execution itself; both as they are now."""
    rows = Execution._base_manager.select_for_update(of=("self",)).select_related("version")
    rows = rows.defer("version__source")
    try:
        root = rows.get(pk=execution.root_or_self_id)
        current = root if execution.pk == root.pk else rows.get(pk=execution.pk)
    except Execution.DoesNotExist:
        raise Gone(f"The execution {execution.cuid} has been deleted.") from None
    return root, current


def _lock_entity(pk: int) -> Entity:
    # Two executions on one entity must not lose each other's fields.
    entity = Entity._base_manager.select_for_update(no_key=True).filter(pk=pk).first()
    if entity is None:
        raise Gone("The entity has been deleted.")
    return entity


def _advance(execution: Execution, by: Any) -> tuple[Advance, Execution]:
    root, current = _lock(execution)
    if current.status not in (Status.SCHEDULED, Status.ACTIVE, Status.WAITING):
        raise guards.Ended(
            f"Execution {current.cuid} is {current.status}: nothing can be done to it any more."
        )
    return Advance(root, _lock_entity(current.entity_id), now=timezone.now(), by=by), current


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
        advance, current = _advance(execution, by)
        run = advance.run_of(current)
        found = _open_step(current, run.open_steps, node, step)
        frozen = run.manager.node(found.node_id)
        if by is not None and not may_submit(frozen.data, by):
            raise guards.NotAssigned(f"Step “{frozen.label}” is assigned to others.")
        advance.submit(current, found, data)
        advance.run()
        advance.write()
        return current


def _open_step(execution: Execution, steps: list[Step], node: str | None, step: str | None) -> Step:
    matching = [
        row
        for row in steps
        if (step is None or row.cuid == step) and (node is None or row.node_id == node)
    ]
    if len(matching) == 1:
        return matching[0]
    is_open = ", ".join(f"“{row.node_id}” (step {row.cuid})" for row in steps) or "none"
    if matching:
        raise guards.NotOpen(f"Say which step is meant; open are: {is_open}.")
    named = f"Step “{step}”" if step is not None else f"Node “{node}”"
    raise guards.NotOpen(f"{named} is not open in execution {execution.cuid}; open are: {is_open}.")


def cancel(execution: Execution, *, by: Any = None, why: str = "") -> Execution:
    """Cancel an execution and all that it has started; the step that called it has an incident.

    Raises:
        guards.Ended: the execution has ended already.
    """
    attempt = told(execution, Action.CANCELLED, why=why, by=by)
    with attempting(lambda: [attempt], using=DB):
        return _cancel(execution, by, why)


@translated
@locks.retrying
def _cancel(execution: Execution, by: Any, why: str) -> Execution:
    with transaction.atomic():
        advance, current = _advance(execution, by)
        before = current.status
        advance.cancel(current, why)
        advance.run()
        advance.write()
        cancelled = told(
            current,
            Action.CANCELLED,
            before={"status": before},
            after={"status": current.status},
            why=why,
            by=by,
        )
        record([cancelled], using=DB)
        return current
