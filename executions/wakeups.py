"""Wake-ups: messages that tell workers to look for due work.

They carry no data, because the rows in the database do. A lost, repeated or late message does no
harm: a woken worker claims any due job, and the sweep sends wake-ups for overdue ones.
"""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

SERVE = "executions.serve"
SERVE_TIMERS = "executions.serve_timers"
SWEEP = "executions.sweep"
# Seconds; long enough for clocks that differ between machines.
EXPIRES = 60
SILENCE = 30.0

_silent_until = 0.0


def on_commit(number: int) -> None:
    """Send wake-ups for ``number`` jobs at commit. Without a broker, do nothing."""
    if number and settings.CELERY_BROKER_URL:
        transaction.on_commit(lambda: _wake(number), robust=True)


def _wake(number: int) -> None:
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        send(number)
    except Exception as error:
        # Requests must not wait for an unreachable broker again and again.
        _silent_until = time.monotonic() + SILENCE
        logger.warning("No wake-up could be sent; the sweep will find the due jobs. %s", error)


def send(number: int, task: str = SERVE) -> None:
    """Send wake-ups. Raise the errors of kombu if the broker is unreachable."""
    from celery import current_app

    for _ in range(number):
        current_app.send_task(task, expires=EXPIRES, retry=False, ignore_result=True)


def count_pending(task: str = SERVE) -> int:
    """Return the number of undelivered wake-ups. Raise the errors of ``send``."""
    from celery import current_app
    from kombu.exceptions import ChannelError

    with current_app.pool.acquire(block=True) as connection:
        channel = connection.default_channel
        try:
            route = (current_app.conf.task_routes or {}).get(task, {})
            name = route.get("queue", current_app.conf.task_default_queue)
            declared = channel.queue_declare(name, passive=True)
        except ChannelError:
            # Redis deletes an empty queue.
            return 0
        return int(declared.message_count)
