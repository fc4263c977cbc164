"""Starting: by hand, at a later time, and again from the beginning."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from executions import guards
from executions.engine import closures
from executions.engine.advance import Advance
from executions.engine.closures import Closure
from executions.engine.store import reading
from executions.engine.store.ids import Ids
from executions.engine.store.writing import StartBasis
from executions.models import LIVE, Entity, Execution, Status
from executions.services.advancing import lock_entity, lock_execution
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks, raw_rows
from workflows.db.prepared import ON_POSTGRESQL
from workflows.guards import Gone
from workflows.guards.database_errors import translated
from workflows.models import PendingWorkflow, Reference, Version, Workflow, call_queries
from workflows.models.pending_change import draining

DB = "default"


@translated
@locks.retrying
def start(
    workflow: Workflow,
    entity: Entity,
    *,
    by: Any = None,
    scheduled_for: datetime | None = None,
) -> Execution:
    """Start a root: freeze the version, pin the closure of calls, and walk to the first wait.

    Args:
        scheduled_for: begin then. What it runs is frozen now; a time that has passed is now.

    Raises:
        workflows.guards.Draining: a change of finding type waits until they are drained.
        guards.NotStartable: a workflow of the closure is not active.
        guards.EntityTypeMismatch: the entity has another context.
        locks.Contention: an editor was at the same workflows, again and again.
    """
    try:
        return _start_as_before(workflow, entity, by, scheduled_for) or start_within(
            workflow, entity.pk, by, scheduled_for
        )
    except (IntegrityError, Version.DoesNotExist) as error:
        # The version was replaced or released between its read and the insert; the keys
        # refuse the execution, and a start that begins anew reads the new one.
        closures.forget(workflow.pk)
        raise locks.TryAgain from error


def restart(execution: Execution, *, by: Any = None, why: str = "") -> Execution:
    """Start anew from the beginning, on the latest version; what is live is cancelled first.

    Raises:
        guards.NotARoot: it was started by another execution.
        What ``start`` raises.
    """
    attempt = told(execution, Action.RESTARTED, why=why, by=by)
    with attempting(lambda: [attempt], using=DB):
        return _restart(execution, by, why)


@translated
@locks.retrying
def _restart(execution: Execution, by: Any, why: str) -> Execution:
    try:
        with transaction.atomic():
            root, current = lock_execution(execution)
            if current.pk != root.pk:
                raise guards.NotARoot(
                    f"Execution {current.cuid} was started by another: restart {root.cuid}."
                )
            before = current.status
            if before in LIVE:
                entity = lock_entity(current.entity_id)
                advance = Advance(root, entity, now=timezone.now(), by=by)
                advance.cancel(current, why or "It was restarted.")
                advance.finish()
            again = start_within(current.workflow, current.entity_id, by, None)
            made = told(
                current,
                Action.RESTARTED,
                before={"status": before},
                after={"status": current.status, "execution": again.cuid},
                why=why,
                by=by,
            )
            record([made], using=DB)
            return again
    except (IntegrityError, Version.DoesNotExist) as error:
        raise locks.TryAgain from error


def _start_as_before(
    workflow: Workflow, entity: Entity, by: Any, scheduled_for: datetime | None
) -> Execution | None:
    """Start on the closure of an earlier start; None when there is none, or it holds no more.

    On PostgreSQL nothing is locked before the one statement that writes: it takes the locks of
    a runner, and looks again at what everything was decided by. The entity is believed as the
    caller has it, and read when that is not how it is stored.
    """
    closure = closures.remembered(workflow.pk)
    if closure is None:
        return None
    begun = (closure, by, scheduled_for)
    with locks.one_writer():
        started = _begin_if_so(reading.in_hand(entity), *begun) if ON_POSTGRESQL else None
        if started is None and (ON_POSTGRESQL or closures.holds(closure)):
            started = _begin_if_so(reading.entity(entity.pk), *begun)
    if started is None:
        closures.forget(workflow.pk)
    return started


def _begin_if_so(
    entity: Entity | None, closure: Closure, by: Any, scheduled_for: datetime | None
) -> Execution | None:
    """Start on the entity; None when it is not as it was taken to be, or the closure is not."""
    if entity is None or entity.context.key != closure.context_key:
        return None
    basis = None
    if ON_POSTGRESQL:
        fields = reading.fields_text(entity)
        if fields is None:
            return None
        basis = StartBasis(entity.pk, fields, closure)
    return _begin(entity, closure, by, scheduled_for, basis)


def start_within(
    workflow: Workflow, entity_id: int, by: Any, scheduled_for: datetime | None
) -> Execution:
    """Find and judge the closure under locks, and start on it. Whoever calls it retries."""
    with transaction.atomic():
        locked = lock_entity(entity_id)
        versions = _lock_closure(workflow)
        if not versions:
            raise Gone(f"The workflow “{workflow}” has been deleted.")
        waits = [row.workflow_id for row in versions if row.waits]
        waiting = list(draining(waits)) if waits else []
        guards.refuse_start(versions[0].workflow, locked, versions, waiting)
        closure = closures.remember(workflow.pk, versions)
        started = _begin(locked, closure, by, scheduled_for, None)
        assert started is not None
        return started


def _lock_closure(workflow: Workflow) -> list[Any]:
    """Share the workflow and all that it reaches, then read their latest versions, own first."""
    ids = call_queries.walk([workflow.pk], "callees", DB)
    locks.lock_rows(Workflow._base_manager.all(), ids, locks.Strength.KEY_SHARE)
    again = call_queries.walk([workflow.pk], "callees", DB)
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
            written=closures.WRITTEN,
            waits=Exists(
                PendingWorkflow.objects.filter(workflow_id=OuterRef("workflow_id"), waiting=True)
            ),
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


def _begin(
    entity: Entity,
    closure: Closure,
    by: Any,
    scheduled_for: datetime | None,
    basis: StartBasis | None,
) -> Execution | None:
    """Walk from the start and write; None when what it was read from is no longer so."""
    version = closure.version()
    now, ids = timezone.now(), Ids()
    root = raw_rows.new(
        Execution,
        id=ids.take(),
        workflow_id=version.workflow_id,
        version_id=version.pk,
        entity_id=entity.pk,
        status=Status.SCHEDULED if scheduled_for and scheduled_for > now else Status.ACTIVE,
        context_key=closure.context_key,
        started_at=now,
        updated_at=now,
        scheduled_for=scheduled_for,
        started_by_id=None if by is None else by.pk,
    )
    raw_rows.relate(root, workflow=version.workflow, version=version, entity=entity)
    pins = closure.pins(root)
    advance = Advance(root, entity, now=now, by=by, pins=pins, basis=basis, ids=ids)
    advance.begin()
    return root if advance.finish() else None
