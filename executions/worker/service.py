"""A worker process: a thread for each lane of the queue, periodic duties, and a heartbeat.

Slow calls keep only the threads of their lane busy. When the worker is stopped, each thread
finishes what it performs and claims nothing more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django.db import DatabaseError, InterfaceError, close_old_connections, connection

from executions.models import WorkerKind
from executions.worker import queue
from executions.worker.heartbeat import BEAT_SECONDS, beat, stop_beating
from executions.worker.leases import MAX_SECONDS
from executions.worker.rounds import Served, run_periodic
from workflows.db import clock, locks, outages
from workflows.db.faults import find_fault, first_line

logger = logging.getLogger(__name__)


def count_threads(threads: int) -> dict[str, int]:
    """Return the number of threads of each lane.

    Args:
        threads: the number of calls that are made at the same time.
    """
    half = max(1, threads // 2)
    return {"timers": half, "calls": threads, "deliveries": half, "bulk": 1}


@dataclass
class Worker:
    """A worker process.

    Attributes:
        threads: the number of calls that are made at the same time.
        interval: the number of seconds between two looks into the queue when nothing is due.
        health_file: a file that is touched while every thread makes progress.
        report: called with the result of each round of periodic duties.
    """

    threads: int
    interval: float
    health_file: Path | None
    report: Callable[[Served], None]
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._done = 0
        self._busy_since: dict[str, float] = {}
        self._drained = threading.Event()

    def run(self) -> None:
        """Work until ``stopped`` is set, and finish what is performed then."""
        lanes = [
            threading.Thread(
                # The context names the actor for the audit log.
                target=copy_context().run,
                args=(self._run_lane, name, number),
                name=f"{name}-{number}",
            )
            for name, threads in count_threads(self.threads).items()
            for number in range(threads)
        ]
        heart = threading.Thread(target=self._run_heartbeat, name="heartbeat", daemon=True)
        for thread in (heart, *lanes):
            thread.start()
        try:
            while not self.stopped.is_set():
                self._guarded(self._run_round)
                self.stopped.wait(self.interval)
        finally:
            self.stopped.set()
            for thread in lanes:
                thread.join()
            self._drained.set()
            heart.join()
            self._guarded(self._report_round)

    def is_healthy(self) -> bool:
        """Return True if no thread has performed the same work for ``MAX_SECONDS``."""
        with self._lock:
            oldest = min(self._busy_since.values(), default=None)
        if oldest is None or outages.was_within(MAX_SECONDS):
            return True
        return time.monotonic() - oldest < MAX_SECONDS

    def _run_round(self) -> None:
        self._report_round(run_periodic(self.stopped.is_set))

    def _report_round(self, served: Served | None = None) -> None:
        with self._lock:
            jobs, self._done = self._done, 0
        served = served or Served([])
        self.report(Served(served.pending_changes, jobs, served.starts))

    def _run_lane(self, name: str, number: int) -> None:
        thread = f"{name}-{number}"
        try:
            while not self.stopped.is_set():
                with self._lock:
                    self._busy_since[thread] = time.monotonic()
                served = self._guarded(lambda: queue.LANES[name](self.stopped.is_set, 1))
                with self._lock:
                    del self._busy_since[thread]
                    self._done += served or 0
                if served is None:
                    self.stopped.wait(self.interval)
        finally:
            connection.close()

    def _run_heartbeat(self) -> None:
        started_at: datetime | None = None

        def store() -> None:
            nonlocal started_at
            started_at = started_at or clock.now()
            beat(WorkerKind.WORK, started_at=started_at)

        try:
            while True:
                if self.is_healthy():
                    if self.health_file is not None:
                        self._touch(self.health_file)
                    self._guarded(store)
                if self._drained.wait(BEAT_SECONDS):
                    break
            self._guarded(stop_beating)
            if self.health_file is not None:
                self.health_file.unlink(missing_ok=True)
        finally:
            connection.close()

    def _touch(self, file: Path) -> None:
        try:
            file.touch()
        except OSError as error:
            logger.error("The health file cannot be written: %s", error)

    def _guarded(self, act: Callable[[], int | None]) -> int | None:
        """Call a function; log its error in one line if the database is unavailable."""
        try:
            return act()
        except (DatabaseError, InterfaceError, locks.Contention) as error:
            fault = find_fault(error)
            if outages.is_outage(error):
                outages.note()
            if fault is not None:
                logger.error("Background work failed: %s: %s", fault.code, first_line(error))
            elif isinstance(error, DatabaseError) and not locks.is_transient(error):
                logger.exception("Background work failed. It is tried again.")
        except Exception:
            logger.exception("Background work failed. It is tried again.")
        finally:
            close_old_connections()
        return None
