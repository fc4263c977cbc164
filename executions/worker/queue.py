"""The queue: workers claim due rows and serve them.

A claim is a lease. When it has run out, another worker may claim the row. A worker writes to an
execution under the lock of its root, and only while its claim is the latest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import Q

from executions.engine.nodes.tasks import GiveUp, TryAgain
from executions.models import PERFORMED, BulkOperation, Job, OutgoingDelivery
from executions.models.job import CALLS, TIMERS
from executions.models.leased_row import ATTEMPTS, LeasedQuerySet
from executions.services import bulk
from executions.webhooks import outgoing
from executions.worker.jobs import (
    OutsideTask,
    fail_job,
    fail_lost_job,
    finish_job,
    prepare_task,
    retry_job_later,
    store_result,
)
from executions.worker.leases import LeaseKeeper
from workflows.db import outages
from workflows.db.faults import first_line
from workflows.db.locks import Contention

logger = logging.getLogger(__name__)

Stop = Callable[[], bool]
Lane = Callable[[Stop, int], int | None]

LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
BATCH = 20
CONTENTION_PAUSE = timedelta(seconds=2)

keeper = LeaseKeeper(LEASE)


def claim_jobs(limit: int = BATCH, lease: timedelta = LEASE, *, lane: Q | None = None) -> list[Job]:
    """Claim due jobs, the longest due first; with ``lane``, only jobs that match it."""
    return _claim(Job.objects.filter(lane or Q()), limit, lease)


def claim_deliveries(limit: int = 1, lease: timedelta = LEASE) -> list[OutgoingDelivery]:
    """Claim due webhook deliveries, the longest due first."""
    return _claim(OutgoingDelivery.objects.waiting(), limit, lease)


def claim_bulk_operations(limit: int = 1, lease: timedelta = LEASE) -> list[BulkOperation]:
    """Claim confirmed bulk operations, the longest due first."""
    return _claim(BulkOperation.objects.confirmed(), limit, lease)


def _claim(rows: LeasedQuerySet[Any], limit: int, lease: timedelta) -> list[Any]:
    # After an outage of the database, the worker that performs a job renews its lease first.
    return rows.claim(limit, lease, takes_over=not outages.was_within(LEASE.total_seconds()))


QUEUES: dict[str, Callable[[], LeasedQuerySet[Any]]] = {
    "jobs": Job.objects.all,
    "deliveries": OutgoingDelivery.objects.waiting,
    "bulk_operations": BulkOperation.objects.confirmed,
}
"""The rows that workers claim, by the name that metrics have for them."""


def count_claimable() -> int:
    """Return how many due jobs, deliveries and bulk operations no worker has claimed."""
    return sum(read().claimable().count() for read in QUEUES.values())


def count_claimable_timers() -> int:
    """Return how many due timers and deadlines no worker has claimed."""
    return Job.objects.filter(TIMERS).claimable().count()


def count_due() -> int:
    """Return how many jobs, deliveries and bulk operations are due, claimed or not."""
    return sum(read().due().count() for read in QUEUES.values())


def serve_timers(stop: Stop, batch: int = BATCH) -> int | None:
    """Serve some due timers and deadlines. Return None if none is due."""
    return _serve_jobs(TIMERS, stop, batch)


def serve_calls(stop: Stop, batch: int = 1) -> int | None:
    """Make one due call, or send one due mail. Return None if none is due."""
    return _serve_jobs(CALLS, stop, 1)


def serve_deliveries(stop: Stop, batch: int = 1) -> int | None:
    """Make one due webhook delivery. Return None if none is due."""
    deliveries = claim_deliveries()
    return sum(map(serve_delivery, deliveries)) if deliveries else None


def serve_bulk_operations(stop: Stop, batch: int = 1) -> int | None:
    """Change the next executions of a bulk operation. Return None if there is none."""
    operations = claim_bulk_operations()
    if not operations:
        return None
    with keeper.renewing(*operations):
        return sum(bulk.serve_batch(row, LEASE, stop) for row in operations)


LANES: dict[str, Lane] = {
    "timers": serve_timers,
    "calls": serve_calls,
    "deliveries": serve_deliveries,
    "bulk": serve_bulk_operations,
}
"""The kinds of work in the order in which one thread serves them.

A worker with a thread for each lane serves timers while calls are slow.
"""


def serve_due(stop: Stop = lambda: False, *, batch: int = BATCH) -> int:
    """Serve due rows until there are none, or ``stop`` returns True.

    After each call, delivery or part of a bulk operation, due timers come first again.

    Args:
        batch: the number of timers to claim at once.

    Returns:
        The number of finished jobs, accepted deliveries and changed executions.
    """
    done = 0
    while not stop():
        served = next(
            (number for lane in LANES.values() if (number := lane(stop, batch)) is not None), None
        )
        if served is None:
            break
        done += served
    return done


def _serve_jobs(lane: Q, stop: Stop, batch: int) -> int | None:
    jobs = claim_jobs(batch, lane=lane)
    if not jobs:
        return None
    done = 0
    with keeper.renewing(*jobs):
        for number, job in enumerate(jobs):
            if stop():
                for unserved in jobs[number:]:
                    unserved.release_lease()
                break
            done += serve_job(job)
    return done


def serve_job(job: Job) -> bool:
    """Serve one claimed job; after an error, reschedule it or open an incident.

    An error of one job never ends the worker: if not even the error can be stored, the job is
    due again when its lease has run out.

    Returns:
        True when the job was finished.
    """
    try:
        return _serve_or_reschedule(job)
    except Contention:
        logger.info("Job %s: other transactions locked its rows.", job.pk)
        _attempt_quietly(lambda: job.postpone(CONTENTION_PAUSE))
    except (DatabaseError, InterfaceError) as error:
        # The worker notes the outage, and waits for its end.
        if outages.is_outage(error):
            raise
        logger.exception("Job %s could not be rescheduled.", job.pk)
    except Exception:
        logger.exception("Job %s could not be rescheduled.", job.pk)
    return False


def _attempt_quietly(function: Callable[[], object]) -> None:
    try:
        function()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("A lease runs out instead: %s", first_line(error))


def _serve_or_reschedule(job: Job) -> bool:
    if job.attempt >= ATTEMPTS and job.result is None:
        fail_lost_job(job)
        return False
    try:
        if job.kind in PERFORMED:
            return _perform_job(job)
        return finish_job(job)
    except Contention:
        raise
    except Exception as error:
        if outages.is_outage(error):
            raise
        logger.exception("Job %s failed.", job.pk)
        retry_job_later(job, f"{type(error).__name__}: {error}"[:500])
    return False


def _perform_job(job: Job) -> bool:
    task = prepare_task(job, LEASE)
    if task is None:
        return False
    # An earlier attempt may have stored the result before it failed.
    result = job.result
    if result is None:
        result = _perform(job, task)
        if result is None:
            return False
    return finish_job(job, result["value"])


def _perform(job: Job, task: OutsideTask) -> dict[str, Any] | None:
    """Perform a task and store its result, however long the database is away.

    Returns:
        None when the task has failed.
    """
    try:
        result = {"value": task.perform()}
    except GiveUp as failure:
        code, detail = failure.code, failure.detail
        outages.outlast(lambda: fail_job(job, code, detail))
        return None
    except TryAgain as failure:
        again = partial(
            retry_job_later, job, failure.detail, code=failure.code, after=failure.after
        )
        outages.outlast(again)
        return None
    try:
        outages.outlast(lambda: store_result(job, result))
    except (Contention, DatabaseError):
        logger.exception("The result of job %s could not be stored.", job.pk)
    return result


def serve_delivery(delivery: OutgoingDelivery) -> bool:
    """Make one claimed delivery; after a failure, reschedule it or give it up.

    Returns:
        True when the receiver accepted it.
    """
    try:
        with keeper.renewing(delivery):
            return outgoing.deliver(delivery, LEASE)
    except Contention:
        logger.info("Delivery %s: other transactions locked its rows.", delivery.cuid)
        _attempt_quietly(lambda: delivery.postpone(CONTENTION_PAUSE))
    except Exception as error:
        if outages.is_outage(error):
            raise
        # The delivery is due again when its lease has run out.
        logger.exception("Delivery %s could not be rescheduled.", delivery.cuid)
    return False


def serve_bulk_after_commit(operation: BulkOperation) -> None:
    """Serve a small bulk operation when the open transaction has confirmed it.

    Inside that transaction, all its executions would stay locked until the last one is changed.
    """
    transaction.on_commit(partial(serve_bulk_operation, operation), robust=True)


def serve_bulk_operation(operation: BulkOperation) -> None:
    """Serve one bulk operation to its end, unless a worker has claimed it."""
    rows = BulkOperation.objects.confirmed().filter(pk=operation.pk)
    while claimed := rows.claim(1, LEASE):
        with keeper.renewing(*claimed):
            bulk.serve_batch(claimed[0], LEASE)
