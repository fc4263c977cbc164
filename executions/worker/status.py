"""The state of background work: the workers, and how long due work has waited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min
from django.utils.translation import gettext

from executions.models import Schedule, TriggeredStart, WorkerHeartbeat
from executions.models.leased_row import DueQuerySet
from executions.worker import queue
from executions.worker.heartbeat import (
    MISSING_SECONDS,
    is_worker_missing,
    seconds_since_last_beat,
)
from workflows.db import clock
from workflows.values import moments

QUEUES: Mapping[str, Callable[[], DueQuerySet[Any]]] = {
    **queue.QUEUES,
    "triggered_starts": TriggeredStart.objects.all,
    "schedules": Schedule.objects.all,
}
"""All rows that become due, by the name that metrics have for them."""


@dataclass(frozen=True, slots=True)
class WorkStatus:
    """The state of background work.

    Attributes:
        last_beat_seconds: the age of the last heartbeat; None if no worker has ever run.
        lag_seconds: how long the oldest due row has waited.
        read_at: the time of this state. Pages show a state for some seconds.
    """

    last_beat_seconds: float | None
    lag_seconds: float
    read_at: datetime = field(default_factory=clock.now)

    @property
    def is_worker_missing(self) -> bool:
        """True if no worker has been seen in the last minute."""
        return is_worker_missing(self.last_beat_seconds)

    @property
    def missing_text(self) -> str:
        """A sentence that says since when no worker has been seen."""
        if self.last_beat_seconds is None:
            return gettext("No worker has ever been seen. Start one: manage.py work")
        since = moments.format_moment(self.read_at - timedelta(seconds=self.last_beat_seconds))
        text = gettext("No worker has been seen since %(moment)s. Start one: manage.py work")
        return text % {"moment": since}

    @property
    def is_late(self) -> bool:
        """True if due work has waited for more than a minute."""
        return self.lag_seconds > MISSING_SECONDS


def oldest_due() -> datetime | None:
    """Return the time since which the oldest due row waits; None if none is due."""
    oldest = [read().due().aggregate(oldest=Min("due_at"))["oldest"] for read in QUEUES.values()]
    return min((moment for moment in oldest if moment is not None), default=None)


def read_status() -> WorkStatus:
    """Read the state of background work, in a bounded number of statements."""
    oldest = oldest_due()
    lag = 0.0 if oldest is None else max(0.0, (clock.now() - oldest).total_seconds())
    return WorkStatus(seconds_since_last_beat(), lag)


def running_workers() -> list[WorkerHeartbeat]:
    """Return the workers that were seen in the last minute and have not been stopped."""
    since = clock.now() - timedelta(seconds=MISSING_SECONDS)
    return list(WorkerHeartbeat.objects.filter(stopped_at=None, last_beat__gte=since))
