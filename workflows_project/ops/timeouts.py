"""Bounds of the time that a request waits for the database."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created


def limit_requests() -> None:
    """Give each later connection of this process a statement timeout and a lock timeout.

    Servers call this; commands do not: a check of a large database may take minutes.
    """
    connection_created.connect(_set_timeouts, dispatch_uid="holdfast_timeouts")


def _set_timeouts(connection: Any, **kwargs: Any) -> None:
    if connection.vendor != "postgresql":
        return
    timeouts = {
        "statement_timeout": settings.STATEMENT_TIMEOUT_SECONDS,
        "lock_timeout": settings.LOCK_TIMEOUT_SECONDS,
    }
    chosen = ", ".join(
        f"set_config('{name}', '{seconds}s', false)"
        for name, seconds in timeouts.items()
        if seconds
    )
    if chosen:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {chosen}")
