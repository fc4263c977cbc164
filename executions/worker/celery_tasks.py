"""Celery tasks that wake workers. They take no arguments: the rows of the queue decide."""

from __future__ import annotations

import time

from celery import shared_task
from django.conf import settings

from executions import wakeups
from executions.models import WorkerKind
from executions.worker import queue
from executions.worker.heartbeat import beat
from executions.worker.rounds import run_periodic
from workflows.management.command import run_as_command

# A worker that was woken serves until nothing is due: one message per job is not needed.
MAX_WAKEUPS = 200


@shared_task(name=wakeups.SERVE)
def serve() -> None:
    """Serve due rows, one job at a time, so that other woken workers take their share.

    The task ends after a few seconds, which lets a worker shut down. The sweep wakes it again.
    """
    end = time.monotonic() + settings.SWEEP_SECONDS
    with run_as_command():
        queue.serve_due(lambda: time.monotonic() > end, batch=1)


@shared_task(name=wakeups.SERVE_TIMERS)
def serve_timers() -> None:
    """Serve due timers and deadlines. A worker of this queue alone is never busy with calls."""
    end = time.monotonic() + settings.SWEEP_SECONDS
    with run_as_command():
        while time.monotonic() < end:
            if queue.serve_timers(lambda: time.monotonic() > end, batch=1) is None:
                break


@shared_task(name=wakeups.SWEEP)
def sweep() -> None:
    """Wake workers for the due rows, and perform the periodic duties.

    Messages that wait already are subtracted: a line of messages that grows while the workers
    are busy would keep them busy afterwards.
    """
    beat(WorkerKind.CELERY)
    for task, claimable in (
        (wakeups.SERVE_TIMERS, queue.count_claimable_timers()),
        (wakeups.SERVE, queue.count_claimable()),
    ):
        if wanted := min(claimable, MAX_WAKEUPS):
            wakeups.send(wanted - wakeups.count_pending(task), task)
    with run_as_command():
        run_periodic()
