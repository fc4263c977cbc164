"""The time of the database, which all processes share.

The clock of a machine may be wrong by minutes. Due times and leases are therefore written and
compared by the clock of the database: by ``DATABASE.statement_time`` inside statements, and by
``now`` where Python needs the time.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, connections

from workflows.db.vendor import DATABASE

# An interval between two readings of the database's clock. It bounds the error after the clock of
# the database was set, or after another server took over.
_VALID_SECONDS = 10.0

_readings: dict[str, tuple[datetime, float]] = {}


def now(using: str = DEFAULT_DB_ALIAS) -> datetime:
    """Return the time of the database.

    A process reads the clock of the database every few seconds, and adds the time that has passed
    since. SQLite has no clock of its own.
    """
    if not DATABASE.has_own_clock:
        return DATABASE.read_clock(connections[using])
    reading = _readings.get(using)
    if reading is None or time.monotonic() - reading[1] > _VALID_SECONDS:
        # The monotonic clock is read last, so that the result is never ahead of the database: a
        # row that is due now is claimable at once.
        reading = _readings[using] = (DATABASE.read_clock(connections[using]), time.monotonic())
    moment, at = reading
    return moment + timedelta(seconds=time.monotonic() - at)
