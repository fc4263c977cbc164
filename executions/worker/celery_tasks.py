"""Celery tasks that wake workers. They take no arguments: the rows of the queue decide."""

from __future__ import annotations

import time

from celery import shared_task
from django.conf import settings

from executions import wakeups
from executions.services import recount_votes, serve_due_starts
from executions.worker import queue
from executions.worker.rounds import run_housekeeping
from workflows.editing import apply_all_drained
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


@shared_task(name=wakeups.SWEEP)
def sweep() -> None:
    """Wake workers for the due rows; serve triggered starts and drained changes on hold.

    Messages that wait already are subtracted: a line of messages that grows while the workers
    are busy would keep them busy afterwards.
    """
    if wanted := min(queue.count_claimable(), MAX_WAKEUPS):
        wakeups.send(wanted - wakeups.count_pending())
    with run_as_command():
        recount_votes()
        serve_due_starts()
        apply_all_drained()
        run_housekeeping()
