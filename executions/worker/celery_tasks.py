"""What Celery's workers are woken for. They take no arguments: the rows say what is to be done."""

from __future__ import annotations

import time

from celery import shared_task
from django.conf import settings

from executions import wakeups
from executions.services import count_votes_again, serve_due_starts
from executions.worker import queue
from workflows.editing import apply_all_drained
from workflows.management.command import as_command

# Those who are woken go on until nothing is due: there is no need for one message a job.
MOST_WOKEN = 200


@shared_task(name=wakeups.SERVE)
def serve() -> None:
    """Serve what is due, one job at a time, so that others who are woken share in it.

    After a few seconds it lets a worker that was told to end do so; the sweep wakes again.
    """
    end = time.monotonic() + settings.SWEEP_SECONDS
    with as_command():
        queue.serve_due(lambda: time.monotonic() > end, batch=1)


@shared_task(name=wakeups.SWEEP)
def sweep() -> None:
    """Wake workers for what is due; make triggered starts and the changes on hold that are drained.

    Where many are about to be woken already, no more are sent: a row of messages that grows while
    the workers are busy would keep them busy afterwards.
    """
    if wanted := min(queue.free(), MOST_WOKEN):
        wakeups.send(wanted - wakeups.waiting())
    with as_command():
        count_votes_again()
        serve_due_starts()
        apply_all_drained()
        queue.forget_old()
