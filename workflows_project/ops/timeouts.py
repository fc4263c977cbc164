"""Timeouts of the database statements of requests."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.backends.signals import connection_created


def limit_requests() -> None:
    """Set a statement timeout and a lock timeout on each new connection of this process.

    Servers call this. Commands do not, because they may need minutes.
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
