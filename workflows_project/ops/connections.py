"""Database connections of an ASGI server."""

from __future__ import annotations

from typing import Any


def close_after_each_request(databases: Any) -> None:
    """Keep no connection between requests. ASGI servers call this.

    Under ASGI, each request runs in a context of its own, whose connection no later request finds.
    Persistent connections would stay open until PostgreSQL has no more.

    Args:
        databases: ``django.db.connections``.
    """
    for alias in databases:
        databases.settings[alias]["CONN_MAX_AGE"] = 0
