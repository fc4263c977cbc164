"""Bulk operations: created, previewed, confirmed, and performed a few executions at a time.

Each execution is changed in a transaction of its own, which also writes the result of its item. A
worker that is killed leaves no change without its result, and the next worker continues with the
remaining items.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from executions import guards, wakeups
from executions.models import (
    SLEEPING,
    BulkItem,
    BulkKind,
    BulkOperation,
    BulkState,
    Execution,
    ItemState,
    Step,
    StepState,
)
from executions.services.cancelling import cancel
from executions.services.moving_many import move_one, roots_of
from executions.services.retrying import retry
from executions.services.waking import wake
from workflows.audit.log import record_refusal
from workflows.db import clock, locks
from workflows.db.bounded_count import BoundedCount
from workflows.refusals import Refusal

logger = logging.getLogger(__name__)

MAX_EXECUTIONS = 10_000
"""The number of executions that one operation may have."""
MAX_IMMEDIATE = 50
"""The number of executions up to which the admin performs an operation in its own request."""
BATCH = 20
CONFIRMATION_PERIOD = timedelta(days=1)
RETENTION = timedelta(days=90)


def create_operation(
    kind: BulkKind, executions: QuerySet[Execution], *, by: Any = None
) -> BulkOperation:
    """Store an operation on these executions. Nothing is changed before ``confirm``.

    A move is stored with the roots of the executions, because it moves whole trees.

    Raises:
        guards.TooManySelected: there are more than ``MAX_EXECUTIONS``.
        guards.SeveralWorkflows: the roots of a move are of several workflows.
    """
    if kind == BulkKind.MOVE:
        executions = roots_of(executions)
        if executions.order_by().values("workflow").distinct().count() > 1:
            raise guards.SeveralWorkflows
    ids = list(
        executions.order_by("pk").values_list("pk", flat=True).distinct()[: MAX_EXECUTIONS + 1]
    )
    if len(ids) > MAX_EXECUTIONS:
        raise guards.TooManySelected(f"Select at most {MAX_EXECUTIONS:,} executions.")
    with transaction.atomic():
        operation = BulkOperation.objects.create(kind=kind, asked_by=by)
        items = [BulkItem(operation=operation, execution_id=pk) for pk in ids]
        BulkItem.objects.bulk_create(items, batch_size=1_000)
    return operation


@dataclass(frozen=True, slots=True)
class Preview:
    """The expected result of an operation.

    Attributes:
        total: the number of executions.
        refused: the items that would be refused, by reason.
        counts: the number of these items, by reason.
    """

    total: int
    refused: dict[str, QuerySet[BulkItem]]
    counts: dict[str, int]

    @property
    def eligible(self) -> int:
        """The number of executions that would be changed."""
        return self.total - sum(self.counts.values())


ENDED = "The execution has ended."
NO_STEP = {
    BulkKind.RETRY.value: "The execution has no incident.",
    BulkKind.WAKE.value: "The execution has no wait to skip.",
}


def preview(operation: BulkOperation) -> Preview:
    """Check the current state of all executions of an operation, and change nothing."""
    items = operation.items.all()
    refused = {ENDED: items.filter(execution__live_key__isnull=True)}
    if operation.kind in NO_STEP:
        fitting = _steps(operation.kind).filter(execution=OuterRef("execution"))
        live = items.filter(execution__live_key__isnull=False)
        refused[NO_STEP[operation.kind]] = live.exclude(Exists(fitting))
    counts = {reason: found.count() for reason, found in refused.items()}
    return Preview(items.count(), refused, counts)


def _steps(kind: str) -> QuerySet[Step]:
    if kind == BulkKind.RETRY:
        return Step.objects.incidents()
    return Step.objects.filter(state=StepState.OPEN, type__in=SLEEPING)


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an operation, in executions."""

    done: int
    refused: int
    remaining: int

    @property
    def settled(self) -> int:
        """The number of executions that have a result."""
        return self.done + self.refused

    @property
    def total(self) -> int:
        """The number of all executions."""
        return self.settled + self.remaining


def progress(operation: BulkOperation) -> Progress:
    """Count the items of an operation by state."""
    states = ItemState
    return Progress(
        **operation.items.aggregate(
            done=Count("pk", filter=Q(state=states.DONE)),
            refused=Count("pk", filter=Q(state=states.REFUSED)),
            remaining=Count("pk", filter=Q(state=states.WAITING)),
        )
    )


def annotate_size(operations: QuerySet[BulkOperation]) -> QuerySet[Any]:
    """Annotate operations with the ``number`` of their executions."""
    items = BulkItem.objects.filter(operation=OuterRef("pk"))
    return operations.annotate(number=BoundedCount(items, MAX_EXECUTIONS))


def confirm(
    operation: BulkOperation,
    *,
    why: str = "",
    by: Any = None,
    options: dict[str, Any] | None = None,
) -> bool:
    """Hand an operation over to the workers. Return False when it was confirmed before.

    Args:
        options: the further arguments of a move.
    """
    with transaction.atomic():
        unconfirmed = BulkOperation.objects.filter(pk=operation.pk, state=BulkState.ASKED)
        now = clock.now()
        confirmed = unconfirmed.update(
            state=BulkState.WORKING, why=why, asked_by=by, due_at=now, options=options
        )
        wakeups.on_commit(confirmed)
    return bool(confirmed)


def stop_operation(operation: BulkOperation) -> bool:
    """Leave the remaining executions unchanged. Return False when the operation is not running."""
    working = BulkOperation.objects.filter(pk=operation.pk, state=BulkState.WORKING)
    return bool(working.update(state=BulkState.STOPPED, ended_at=clock.now()))


def serve_batch(
    operation: BulkOperation, lease: timedelta, stop: Callable[[], bool] = lambda: False
) -> int:
    """Change the next executions of a claimed operation, and release its lease.

    Returns:
        The number of executions that were changed.
    """
    mine = operation.claimed(state=BulkState.WORKING)
    done = 0
    for item in operation.items.filter(state=ItemState.WAITING).order_by("pk")[:BATCH]:
        # Each item gets a full lease: the items before it may have taken long.
        if stop() or not operation.renew_lease(lease, state=BulkState.WORKING):
            break
        done += _serve_item(operation, item)
    if operation.items.filter(state=ItemState.WAITING).exists():
        mine.update(leased_until=None)
    else:
        mine.update(state=BulkState.DONE, ended_at=clock.now(), leased_until=None)
    return done


def _serve_item(operation: BulkOperation, item: BulkItem) -> bool:
    try:
        return _change_execution(operation, item)
    except Refusal as refusal:
        if isinstance(refusal, guards.ExecutionEnded) and _was_cancelled_with_caller(
            operation, item
        ):
            return _write(item, ItemState.DONE)
        record_refusal(refusal)
        _write(item, ItemState.REFUSED, refusal.code or "", str(refusal.message))
    except locks.Contention as contention:
        _write(item, ItemState.REFUSED, locks.Contention.code, str(contention))
    except Exception:
        logger.exception("Execution %s could not be changed.", item.execution_id)
        detail = "An error occurred on the server."
        _write(item, ItemState.REFUSED, "server_error", detail)
    return False


def _write(item: BulkItem, state: ItemState, code: str = "", detail: str = "") -> bool:
    waiting = BulkItem.objects.filter(pk=item.pk, state=ItemState.WAITING)
    return bool(waiting.update(state=state, code=code, detail=detail))


@locks.retrying
def _change_execution(operation: BulkOperation, item: BulkItem) -> bool:
    with transaction.atomic():
        # If two workers serve the operation, this update lets only the first one go on.
        waiting = BulkItem.objects.filter(
            pk=item.pk, state=ItemState.WAITING, operation__state=BulkState.WORKING
        )
        if not waiting.update(state=ItemState.DONE):
            return False
        execution = Execution.objects.filter(pk=item.execution_id).first()
        if execution is None:
            return False
        decision: dict[str, Any] = {"by": operation.asked_by, "why": operation.why}
        if operation.kind == BulkKind.CANCEL:
            cancel(execution, **decision)
            return True
        if operation.kind == BulkKind.MOVE:
            move_one(execution, operation.options or {}, **decision)
            return True
        act = retry if operation.kind == BulkKind.RETRY else wake
        for step in _find_steps(operation.kind, execution):
            act(execution, step=step, **decision)
        return True


def _find_steps(kind: str, execution: Execution) -> list[str]:
    """Return the cuids of the steps to change.

    Raises:
        guards.ExecutionEnded: the execution has ended.
        guards.NoIncident: it has no such step.
    """
    if not execution.live:
        raise guards.ExecutionEnded(f"Execution {execution.cuid} is {execution.status}.")
    cuids = list(_steps(kind).filter(execution=execution).values_list("cuid", flat=True))
    if not cuids:
        raise guards.NoIncident(NO_STEP[kind])
    return cuids


def _was_cancelled_with_caller(operation: BulkOperation, item: BulkItem) -> bool:
    """Return True when this operation has cancelled the execution with its root or parent."""
    if operation.kind != BulkKind.CANCEL:
        return False
    row = Execution.objects.filter(pk=item.execution_id).values("root_id", "parent_id").first()
    ancestors = [pk for pk in (row or {}).values() if pk is not None]
    return operation.items.filter(execution_id__in=ancestors, state=ItemState.DONE).exists()


def purge_bulk_operations() -> int:
    """Delete operations unconfirmed for a day, and those that ended 90 days ago.

    Returns:
        The number of deleted operations, at most 100.
    """
    now = clock.now()
    old = BulkOperation.objects.filter(
        Q(state=BulkState.ASKED, asked_at__lt=now - CONFIRMATION_PERIOD)
        | Q(ended_at__lt=now - RETENTION)
    )
    ids = list(old.values_list("pk", flat=True)[:100])
    if ids:
        BulkOperation.objects.filter(pk__in=ids).delete()
    return len(ids)
