"""Renewal of leases while a worker performs what it has claimed.

A lease is short, so that the work of a dead worker is taken over soon. One thread per process
renews the leases of everything that the process performs. The thread runs only while there is
something to renew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import DatabaseError, InterfaceError, connection, transaction

from executions.models.leased_row import LeasedRow
from workflows.db import outages
from workflows.db.faults import first_line

logger = logging.getLogger(__name__)

MAX_SECONDS = 600.0
"""The time after which work counts as stuck: its lease is not renewed any more."""


class LeaseKeeper:
    """Renews the leases of the rows that this process performs."""

    def __init__(self, lease: timedelta) -> None:
        self.lease = lease
        self._condition = threading.Condition()
        self._rows: dict[int, tuple[LeasedRow, float]] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def renewing(self, *rows: LeasedRow) -> Iterator[None]:
        """Renew the leases of these claimed rows until the block ends."""
        end = time.monotonic() + MAX_SECONDS
        with self._condition:
            self._rows.update({id(row): (row, end) for row in rows})
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._condition:
                for row in rows:
                    del self._rows[id(row)]
                self._condition.notify_all()

    def _run(self) -> None:
        try:
            while self._wait():
                self._renew()
        finally:
            with self._condition:
                # After an error, the next block starts a new thread.
                if self._thread is threading.current_thread():
                    self._thread = None
            connection.close()

    def _wait(self) -> bool:
        """Wait for the next renewal. Return False when nothing is performed any more."""
        due = time.monotonic() + self.lease.total_seconds() / 3
        with self._condition:
            while self._rows and (left := due - time.monotonic()) > 0:
                self._condition.wait(left)
            if not self._rows:
                # The next block starts a new thread.
                self._thread = None
            return bool(self._rows)

    def _renew(self) -> None:
        with self._condition:
            rows = [row for row, end in self._rows.values() if time.monotonic() < end]
        try:
            with transaction.atomic():
                for row in rows:
                    row.keep_lease(self.lease)
        except (DatabaseError, InterfaceError) as error:
            if outages.is_outage(error):
                outages.note()
            logger.warning("Leases could not be renewed: %s", first_line(error))
            connection.close()
