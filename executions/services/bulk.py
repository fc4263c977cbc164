"""One thing done to many executions: chosen, looked at, confirmed, and done a few at a time.

Each execution is a transaction of its own, in which it is written down too: whoever is killed
leaves nothing done that is not written, and the next one goes on with the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

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
from executions.services.interventions import retry, wake
from workflows.audit.log import record_refusal
from workflows.db import locks
from workflows.db.bounded_count import BoundedCount
from workflows.refusals import Refusal

logger = logging.getLogger(__name__)

MOST = 10_000
"""How many executions one operation takes."""
AT_ONCE = 50
"""How many are done while somebody waits; more are left to the background."""
BATCH = 20
UNCONFIRMED = timedelta(days=1)
KEPT = timedelta(days=90)


def ask(kind: BulkKind, executions: QuerySet[Execution], *, by: Any = None) -> BulkOperation:
    """Note these executions; nothing is done to them before ``begin``.

    Raises:
        guards.TooManySelected: they are more than ``MOST``.
    """
    ids = list(executions.order_by("pk").values_list("pk", flat=True).distinct()[: MOST + 1])
    if len(ids) > MOST:
        raise guards.TooManySelected(f"At most {MOST:,} executions are changed at once.")
    with transaction.atomic():
        operation = BulkOperation.objects.create(kind=kind, asked_by=by)
        items = [BulkItem(operation=operation, execution_id=pk) for pk in ids]
        BulkItem.objects.bulk_create(items, batch_size=1_000)
    return operation


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would come of an operation now: how many would be done, and which refused, by why."""

    total: int
    refused: dict[str, QuerySet[BulkItem]]
    numbers: dict[str, int]

    @property
    def fit(self) -> int:
        """How many would be done."""
        return self.total - sum(self.numbers.values())


ENDED = "It has ended already."
LACKS = {
    BulkKind.RETRY.value: "It has no incident.",
    BulkKind.WAKE.value: "No step of it sleeps.",
}


def foreseen(operation: BulkOperation) -> Foreseen:
    """Look at the executions as they are now, all at once, and change nothing."""
    items = operation.items.all()
    refused = {ENDED: items.filter(execution__live_key__isnull=True)}
    if operation.kind in LACKS:
        fitting = _steps(operation.kind).filter(execution=OuterRef("execution"))
        live = items.filter(execution__live_key__isnull=False)
        refused[LACKS[operation.kind]] = live.exclude(Exists(fitting))
    numbers = {why: found.count() for why, found in refused.items()}
    return Foreseen(items.count(), refused, numbers)


def _steps(kind: str) -> QuerySet[Step]:
    if kind == BulkKind.RETRY:
        return Step.objects.incidents()
    return Step.objects.filter(state=StepState.OPEN, type__in=SLEEPING)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an operation has come."""

    done: int
    refused: int
    remaining: int

    @property
    def settled(self) -> int:
        """Those that something has come of."""
        return self.done + self.refused

    @property
    def total(self) -> int:
        """All of them."""
        return self.settled + self.remaining


def progress(operation: BulkOperation) -> Progress:
    """Count what has come of it so far."""
    states = ItemState
    return Progress(
        **operation.items.aggregate(
            done=Count("pk", filter=Q(state=states.DONE)),
            refused=Count("pk", filter=Q(state=states.REFUSED)),
            remaining=Count("pk", filter=Q(state=states.WAITING)),
        )
    )


def with_numbers(operations: QuerySet[BulkOperation]) -> QuerySet[Any]:
    """Operations with the ``number`` of their executions."""
    items = BulkItem.objects.filter(operation=OuterRef("pk"))
    return operations.annotate(number=BoundedCount(items, MOST))


def begin(operation: BulkOperation, *, why: str = "", by: Any = None) -> bool:
    """Confirm it, once; the background does it from now on. False when somebody has before."""
    with transaction.atomic():
        asked = BulkOperation.objects.filter(pk=operation.pk, state=BulkState.ASKED)
        now = timezone.now()
        begun = asked.update(state=BulkState.WORKING, why=why, asked_by=by, due_at=now)
        wakeups.on_commit(begun)
    return bool(begun)


def stop(operation: BulkOperation) -> bool:
    """Leave what remains as it is. False when it is not at work."""
    working = BulkOperation.objects.filter(pk=operation.pk, state=BulkState.WORKING)
    return bool(working.update(state=BulkState.STOPPED, ended_at=timezone.now()))


def carry_on(
    operation: BulkOperation, lease: timedelta, stop: Callable[[], bool] = lambda: False
) -> int:
    """Do the next few of an operation that was claimed, and let go of it; how many were done."""
    mine = BulkOperation.objects.filter(
        pk=operation.pk, fence=operation.fence, state=BulkState.WORKING
    )
    done = 0
    for item in operation.items.filter(state=ItemState.WAITING).order_by("pk")[:BATCH]:
        # The lease begins anew: the ones before may have taken their time.
        if stop() or not mine.update(leased_until=timezone.now() + lease):
            break
        done += _settle(operation, item)
    if operation.items.filter(state=ItemState.WAITING).exists():
        mine.update(leased_until=None)
    else:
        mine.update(state=BulkState.DONE, ended_at=timezone.now(), leased_until=None)
    return done


def _settle(operation: BulkOperation, item: BulkItem) -> bool:
    try:
        return _done(operation, item)
    except Refusal as refusal:
        if isinstance(refusal, guards.Ended) and _ended_with_another(operation, item):
            return _write(item, ItemState.DONE)
        record_refusal(refusal)
        _write(item, ItemState.REFUSED, refusal.code or "", str(refusal.message))
    except locks.Contention as contention:
        _write(item, ItemState.REFUSED, locks.Contention.code, str(contention))
    except Exception:
        logger.exception("Execution %s could not be changed.", item.execution_id)
        detail = "Something went wrong on the server."
        _write(item, ItemState.REFUSED, "server_error", detail)
    return False


def _write(item: BulkItem, state: ItemState, code: str = "", detail: str = "") -> bool:
    waiting = BulkItem.objects.filter(pk=item.pk, state=ItemState.WAITING)
    return bool(waiting.update(state=state, code=code, detail=detail))


@locks.retrying
def _done(operation: BulkOperation, item: BulkItem) -> bool:
    with transaction.atomic():
        # Two who hold it by accident meet at this row, and the second finds it settled.
        waiting = BulkItem.objects.filter(
            pk=item.pk, state=ItemState.WAITING, operation__state=BulkState.WORKING
        )
        if not waiting.update(state=ItemState.DONE):
            return False
        execution = Execution.objects.filter(pk=item.execution_id).first()
        if execution is None:
            return False
        told: dict[str, Any] = {"by": operation.asked_by, "why": operation.why}
        if operation.kind == BulkKind.CANCEL:
            cancel(execution, **told)
            return True
        for step in _found(operation.kind, execution):
            (retry if operation.kind == BulkKind.RETRY else wake)(execution, step=step, **told)
        return True


def _found(kind: str, execution: Execution) -> Iterator[str]:
    """The steps that are meant. Raises ``guards.Ended`` and ``guards.NoIncident``."""
    if not execution.live:
        raise guards.Ended(f"Execution {execution.cuid} is {execution.status}: {ENDED}")
    cuids = list(_steps(kind).filter(execution=execution).values_list("cuid", flat=True))
    if not cuids:
        raise guards.NoIncident(LACKS[kind])
    yield from cuids


def _ended_with_another(operation: BulkOperation, item: BulkItem) -> bool:
    """Whether this operation has cancelled it along with what had called it."""
    if operation.kind != BulkKind.CANCEL:
        return False
    row = Execution.objects.filter(pk=item.execution_id).values("root_id", "parent_id").first()
    above = [pk for pk in (row or {}).values() if pk is not None]
    return operation.items.filter(execution_id__in=above, state=ItemState.DONE).exists()


def forget_bulk_operations() -> int:
    """Delete what nobody has confirmed for a day, and what ended long ago; how many."""
    now = timezone.now()
    old = BulkOperation.objects.filter(
        Q(state=BulkState.ASKED, asked_at__lt=now - UNCONFIRMED) | Q(ended_at__lt=now - KEPT)
    )
    ids = list(old.values_list("pk", flat=True)[:100])
    if ids:
        BulkOperation.objects.filter(pk__in=ids).delete()
    return len(ids)
