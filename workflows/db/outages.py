"""Outages of the database: work that was done outside of it waits until it can be stored."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection, transaction

from workflows.db.faults import BUSY, FULL, READ_ONLY, UNAVAILABLE, find_fault, first_line

logger = logging.getLogger(__name__)

R = TypeVar("R")

_PASSING = (UNAVAILABLE, BUSY, READ_ONLY, FULL)
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0

_last: float | None = None


def is_outage(error: BaseException) -> bool:
    """Return True if the same statement succeeds as soon as the database is available again."""
    return find_fault(error) in _PASSING


def note() -> None:
    """Record that the database was not available just now."""
    global _last
    _last = time.monotonic()


def was_within(seconds: float) -> bool:
    """Return True if this process has met an outage in the last ``seconds``."""
    return _last is not None and time.monotonic() - _last < seconds


def outlast(function: Callable[[], R]) -> R:
    """Call a function until no outage of the database prevents it.

    The function is called again from its beginning, so its transaction must be inside. Other
    errors propagate, and so does an outage inside a transaction that the caller has opened.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            return function()
        except (DatabaseError, InterfaceError) as error:
            if not is_outage(error) or transaction.get_connection().in_atomic_block:
                raise
            note()
            if pause == _FIRST_PAUSE:
                logger.error("A result waits for the database: %s", first_line(error))
        # A new connection: the server may have closed this one.
        connection.close()
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
