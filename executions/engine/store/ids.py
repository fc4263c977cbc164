"""The ids of new executions: known before they are written, for their steps name them."""

from __future__ import annotations

import time
from collections import deque

from workflows.db import prepared
from workflows.db.prepared import ON_POSTGRESQL, Statement

DRAWN = 32
FRESH = 1.0
"""Seconds for which drawn numbers are used: lists show executions by their ids, newest first."""

_NEXT = Statement(
    "SELECT nextval(pg_get_serial_sequence('executions_execution', 'id'))"
    f" FROM generate_series(1, {DRAWN})"
)
_LAST = Statement("SELECT seq FROM sqlite_sequence WHERE name = 'executions_execution'")
_KEPT = "ids of executions"


class Ids:
    """The ids for one advance."""

    def __init__(self) -> None:
        self._taken: int | None = None

    def take(self) -> int:
        """The next one. A number that is drawn and not used is left out for ever."""
        if ON_POSTGRESQL:
            return _drawn()
        if self._taken is None:
            rows = _LAST.execute()
            self._taken = int(rows[0][0]) if rows else 0
        # SQLite has one writer, and what it has taken is not in the table yet.
        self._taken += 1
        return self._taken


def _drawn() -> int:
    # With the connection: another process, or another database, never meets these numbers.
    kept = prepared.kept()
    ids, until = kept.get(_KEPT, ((), 0.0))
    if not ids or time.monotonic() > until:
        ids = deque(row[0] for row in _NEXT.execute())
        prepared.kept()[_KEPT] = (ids, time.monotonic() + FRESH)
    taken: int = ids.popleft()
    return taken
