"""Wake-ups: messages which say that something is due, and nothing more.

The rows are the truth. A message that is lost, doubled or late changes nothing: whoever is woken
claims what is due, and the sweep wakes again for what nobody has come for.
"""

from __future__ import annotations

import logging
import time

from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

SERVE = "executions.serve"
SWEEP = "executions.sweep"
# Long enough for clocks that disagree; no shorter, however often the sweep comes.
EXPIRES = 60
SILENCE = 30.0

_silent_until = 0.0


def on_commit(number: int) -> None:
    """Wake workers for so many jobs when the transaction commits; without a broker, nobody."""
    if number and settings.CELERY_BROKER_URL:
        transaction.on_commit(lambda: _wake(number), robust=True)


def _wake(number: int) -> None:
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        send(number)
    except Exception as error:
        # Nobody is kept waiting for a broker that is away more than once in a while.
        _silent_until = time.monotonic() + SILENCE
        logger.warning("No wake-up could be sent; the sweep finds what is due. %s", error)


def send(number: int) -> None:
    """Send so many wake-ups. Raises what kombu raises when the broker is away."""
    from celery import current_app

    for _ in range(number):
        current_app.send_task(SERVE, expires=EXPIRES, retry=False, ignore_result=True)


def waiting() -> int:
    """How many wake-ups nobody has taken yet. Raises what ``send`` raises."""
    from celery import current_app
    from kombu.exceptions import ChannelError

    with current_app.pool.acquire(block=True) as connection:
        channel = connection.default_channel
        try:
            declared = channel.queue_declare(current_app.conf.task_default_queue, passive=True)
        except ChannelError:
            # To Redis, what is empty is not there.
            return 0
        return int(declared.message_count)
