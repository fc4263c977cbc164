"""Background work: claimed, served, and left to the next one when whoever served it is gone.

A claim is a lease: when it has run out, another may claim the job. What is done is done under
the root's lock, and only by whoever claimed last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from executions import services
from executions.engine.nodes.tasks import GiveUp, TryAgain
from executions.models import (
    PERFORMED,
    BulkOperation,
    BulkState,
    Job,
    OutgoingDelivery,
    Subscription,
)
from executions.services import bulk
from executions.webhooks import incoming_starts, outgoing
from workflows.db.locks import Contention
from workflows.editing import forget_answers

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
BATCH = 20


def claim(limit: int = BATCH, lease: timedelta = LEASE) -> list[Job]:
    """Claim jobs that are due and that nobody serves, the longest due first."""
    return _claimed(_free(Job.objects.all()), limit, lease)


def claim_deliveries(limit: int = 1, lease: timedelta = LEASE) -> list[OutgoingDelivery]:
    """Claim what is to be told now and nobody tells, the longest due first."""
    return _claimed(_free(_told()), limit, lease)


def claim_bulk(limit: int = 1, lease: timedelta = LEASE) -> list[BulkOperation]:
    """Claim an operation on many executions that nobody works at."""
    return _claimed(_free(_bulk()), limit, lease)


def _claimed(free: QuerySet[Any], limit: int, lease: timedelta) -> list[Any]:
    rows = free.model._base_manager
    with transaction.atomic():
        due = free.order_by("due_at", "pk")
        if connection.vendor == "postgresql":
            due = due.select_for_update(skip_locked=True, of=("self",))
        ids = list(due.values_list("pk", flat=True)[:limit])
        if not ids:
            return []
        claimed = rows.filter(pk__in=ids)
        claimed.update(leased_until=timezone.now() + lease, fence=F("fence") + 1)
        return list(claimed.order_by("due_at", "pk"))


def _told() -> QuerySet[OutgoingDelivery]:
    return OutgoingDelivery.objects.filter(
        state=OutgoingDelivery.State.WAITING, subscription__state=Subscription.State.ACTIVE
    )


def _bulk() -> QuerySet[BulkOperation]:
    return BulkOperation.objects.filter(state=BulkState.WORKING)


def _due(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.filter(due_at__lte=timezone.now())


def _free(rows: QuerySet[Any]) -> QuerySet[Any]:
    return _due(rows).filter(Q(leased_until=None) | Q(leased_until__lt=timezone.now()))


def free() -> int:
    """How much is due now that nobody serves: jobs, deliveries, operations in bulk."""
    return sum(_free(rows).count() for rows in (Job.objects.all(), _told(), _bulk()))


def due() -> int:
    """How much is due now, served or not: jobs, deliveries, operations in bulk."""
    return sum(_due(rows).count() for rows in (Job.objects.all(), _told(), _bulk()))


def serve(job: Job) -> bool:
    """Do one job; whether it was done. What fails is put off, or becomes an incident."""
    try:
        if job.kind in PERFORMED:
            return _perform(job)
        return services.come_back(job)
    except Contention:
        # The lease runs out, and it is due again.
        logger.info("Job %s met others at the same rows.", job.pk)
    except Exception as error:
        logger.exception("Job %s failed.", job.pk)
        services.put_off(job, f"{type(error).__name__}: {error}"[:500])
    return False


def _perform(job: Job) -> bool:
    held = services.hold(job, LEASE)
    if held is None:
        return False
    kept = job.result
    if kept is None:
        try:
            kept = {"value": held.perform()}
        except GiveUp as failure:
            services.give_up(job, failure.code, failure.detail)
            return False
        except TryAgain as failure:
            services.put_off(job, failure.detail, code=failure.code, after=failure.after)
            return False
        try:
            services.keep_result(job, kept)
        except (Contention, DatabaseError):
            logger.exception("The result of job %s could not be noted.", job.pk)
    return services.come_back(job, kept["value"])


def serve_due(stop: Callable[[], bool] = lambda: False, *, batch: int = BATCH) -> int:
    """Serve what is due until nothing is, or ``stop`` says so.

    One delivery at a time, and only while no job is due: a receiver that is slow keeps no
    execution waiting for longer than that. Then a few of what is done in bulk, which takes up
    what time there is. How many jobs and executions were done, and deliveries taken.
    """
    done = 0
    while not stop():
        if jobs := claim(batch):
            for number, job in enumerate(jobs):
                if stop():
                    _let_go(jobs[number:])
                    break
                done += serve(job)
        elif deliveries := claim_deliveries():
            done += sum(map(tell, deliveries))
        elif operations := claim_bulk():
            done += sum(bulk.carry_on(row, LEASE, stop) for row in operations)
        else:
            break
    return done


def tell(delivery: OutgoingDelivery) -> bool:
    """Deliver one; whether the receiver has taken it. What fails is put off, or given up."""
    try:
        return outgoing.deliver(delivery, LEASE)
    except Contention:
        # The lease runs out, and it is due again.
        logger.info("Delivery %s met others at the same rows.", delivery.cuid)
    return False


def serve_at_once(threads: int, stop: Callable[[], bool]) -> int:
    """``serve_due`` in several threads, so that one slow call keeps no other waiting."""

    def serve_here() -> int:
        try:
            return serve_due(stop, batch=1)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        # Whoever acts here acts there too.
        served = [pool.submit(copy_context().run, serve_here) for _ in range(threads)]
    return sum(one.result() for one in served)


def work_at(operation: BulkOperation) -> None:
    """Do what somebody waits for, here and now, unless another is at it."""
    while claimed := _claimed(_free(_bulk().filter(pk=operation.pk)), 1, LEASE):
        bulk.carry_on(claimed[0], LEASE)


def _let_go(jobs: list[Job]) -> None:
    """Leave what was claimed and not begun to the next one, without its lease."""
    for job in jobs:
        Job.objects.filter(pk=job.pk, fence=job.fence).update(leased_until=None)


def forget_old() -> None:
    """Forget answers, deliveries, bulk operations and replaced secrets after their time."""
    forget_answers()
    outgoing.purge_deliveries()
    services.forget_bulk_operations()
    incoming_starts.forget_deliveries()
    services.forget_previous_values()
