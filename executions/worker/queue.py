"""The queue: workers claim due rows and serve them.

A claim is a lease. When it has run out, another worker may claim the row. A worker writes to an
execution under the lock of its root, and only while its claim is the latest.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection

from executions.engine.nodes.tasks import GiveUp, TryAgain
from executions.models import PERFORMED, BulkOperation, Job, OutgoingDelivery
from executions.models.leased_row import LeasedQuerySet
from executions.services import bulk
from executions.webhooks import outgoing
from executions.worker.jobs import (
    fail_job,
    finish_job,
    prepare_task,
    retry_job_later,
    store_result,
)
from workflows.db.locks import Contention

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=settings.JOB_LEASE_SECONDS)
BATCH = 20


def claim_jobs(limit: int = BATCH, lease: timedelta = LEASE) -> list[Job]:
    """Claim due jobs, the longest due first."""
    return Job.objects.all().claim(limit, lease)


def claim_deliveries(limit: int = 1, lease: timedelta = LEASE) -> list[OutgoingDelivery]:
    """Claim due webhook deliveries, the longest due first."""
    return OutgoingDelivery.objects.waiting().claim(limit, lease)


def claim_bulk_operations(limit: int = 1, lease: timedelta = LEASE) -> list[BulkOperation]:
    """Claim confirmed bulk operations, the longest due first."""
    return BulkOperation.objects.confirmed().claim(limit, lease)


def _queues() -> tuple[LeasedQuerySet[Any], ...]:
    return Job.objects.all(), OutgoingDelivery.objects.waiting(), BulkOperation.objects.confirmed()


def count_claimable() -> int:
    """Return how many due jobs, deliveries and bulk operations no worker has claimed."""
    return sum(rows.claimable().count() for rows in _queues())


def count_due() -> int:
    """Return how many jobs, deliveries and bulk operations are due, claimed or not."""
    return sum(rows.due().count() for rows in _queues())


def serve_due(stop: Callable[[], bool] = lambda: False, *, batch: int = BATCH) -> int:
    """Serve due rows until there are none, or ``stop`` returns True.

    Jobs come first. While none is due, one delivery is made at a time, so that a slow receiver
    delays no execution for longer than one request. While no delivery is due either, a few
    executions of a bulk operation are changed.

    Args:
        batch: the number of jobs to claim at once.

    Returns:
        The number of finished jobs, accepted deliveries and changed executions.
    """
    done = 0
    while not stop():
        if jobs := claim_jobs(batch):
            for number, job in enumerate(jobs):
                if stop():
                    for unserved in jobs[number:]:
                        unserved.release_lease()
                    break
                done += serve_job(job)
        elif deliveries := claim_deliveries():
            done += sum(map(serve_delivery, deliveries))
        elif operations := claim_bulk_operations():
            done += sum(bulk.serve_batch(row, LEASE, stop) for row in operations)
        else:
            break
    return done


def serve_job(job: Job) -> bool:
    """Serve one claimed job; after an error, reschedule it or open an incident.

    Returns:
        True when the job was finished.
    """
    try:
        if job.kind in PERFORMED:
            return _perform_job(job)
        return finish_job(job)
    except Contention:
        # The job is due again when its lease has run out.
        logger.info("Job %s: other transactions locked its rows.", job.pk)
    except Exception as error:
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
        try:
            result = {"value": task.perform()}
        except GiveUp as failure:
            fail_job(job, failure.code, failure.detail)
            return False
        except TryAgain as failure:
            retry_job_later(job, failure.detail, code=failure.code, after=failure.after)
            return False
        try:
            store_result(job, result)
        except (Contention, DatabaseError):
            logger.exception("The result of job %s could not be stored.", job.pk)
    return finish_job(job, result["value"])


def serve_delivery(delivery: OutgoingDelivery) -> bool:
    """Make one claimed delivery; after a failure, reschedule it or give it up.

    Returns:
        True when the receiver accepted it.
    """
    try:
        return outgoing.deliver(delivery, LEASE)
    except Contention:
        # The delivery is due again when its lease has run out.
        logger.info("Delivery %s: other transactions locked its rows.", delivery.cuid)
    return False


def serve_due_in_threads(threads: int, stop: Callable[[], bool]) -> int:
    """Run ``serve_due`` in several threads, so that a slow call delays no other job."""

    def serve_in_thread() -> int:
        try:
            return serve_due(stop, batch=1)
        finally:
            connection.close()

    with ThreadPoolExecutor(threads) as pool:
        # The context names the actor for the audit log.
        served = [pool.submit(copy_context().run, serve_in_thread) for _ in range(threads)]
    return sum(future.result() for future in served)


def serve_bulk_operation(operation: BulkOperation) -> None:
    """Serve one bulk operation to its end, unless a worker has claimed it."""
    rows = BulkOperation.objects.confirmed().filter(pk=operation.pk)
    while claimed := rows.claim(1, LEASE):
        bulk.serve_batch(claimed[0], LEASE)
