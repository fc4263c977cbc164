"""Heartbeats of workers, by which others see that background work is done."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from django.db.models import Max

from executions.models import WorkerHeartbeat, WorkerKind
from workflows.db import clock
from workflows.db.vendor import DATABASE

BEAT_SECONDS = 5.0
"""The interval between two heartbeats of a process."""
MISSING_SECONDS = 60.0
"""The age of the last heartbeat after which workers count as missing."""
RETENTION = timedelta(days=1)


def process_name() -> str:
    """Return the name of this process: its host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def beat(kind: WorkerKind, *, started_at: datetime | None = None) -> None:
    """Store that this process is running now.

    Args:
        kind: the program.
        started_at: the time when the program started; without it, the time of its first beat.
    """
    now = DATABASE.statement_time()
    row = WorkerHeartbeat(
        name=process_name(),
        kind=kind,
        host=socket.gethostname(),
        process=os.getpid(),
        started_at=started_at or clock.now(),
        last_beat=now,
    )
    changed = ["kind", "last_beat", "stopped_at"]
    if started_at is not None:
        # A process of an earlier boot may have had the same id.
        changed.append("started_at")
    WorkerHeartbeat.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["name"], update_fields=changed
    )


def stop_beating() -> None:
    """Store that this process has stopped in an orderly way."""
    rows = WorkerHeartbeat.objects.filter(name=process_name())
    rows.update(stopped_at=DATABASE.statement_time())


def seconds_since_last_beat() -> float | None:
    """Return the age of the last heartbeat of any worker; None if there has never been one."""
    last = WorkerHeartbeat.objects.aggregate(last=Max("last_beat"))["last"]
    return None if last is None else max(0.0, (clock.now() - last).total_seconds())


def is_worker_missing(age: float | None) -> bool:
    """Return True if the last heartbeat, of this age in seconds, is too old; also for None."""
    return age is None or age > MISSING_SECONDS


def purge_heartbeats() -> int:
    """Delete the heartbeats of processes that were last seen a day ago.

    Returns:
        The number of deleted rows.
    """
    old = DATABASE.statement_time(-RETENTION)
    return WorkerHeartbeat.objects.filter(last_beat__lt=old).delete()[0]
