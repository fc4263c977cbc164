"""The banner on the admin's pages when background work is not done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.cache import cache
from django.utils.timesince import timesince
from django.utils.translation import gettext

from executions.models import OPERATE
from executions.worker.status import WorkStatus, read_status
from workflows.db import clock

CACHE_KEY = "work-status"
CACHE_SECONDS = 10
"""The time for which a process shows the same status, so that few pages take statements for it."""


def current_status() -> WorkStatus:
    """Return the state of background work, at most ten seconds old."""
    status: WorkStatus = cache.get_or_set(CACHE_KEY, read_status, CACHE_SECONDS)  # type: ignore[assignment]
    return status


def work_warnings(user: Any) -> list[str]:
    """Return what is wrong with background work, for users who may operate executions."""
    if not user.has_perm(OPERATE):
        return []
    status = current_status()
    if status.is_worker_missing:
        # Work is late because nobody does it.
        return [status.missing_text]
    if not status.is_late:
        return []
    text = gettext(
        "Background work is late: the oldest has been due for %(length)s. "
        "Start more workers: manage.py work"
    )
    now = clock.now()
    since = now - timedelta(seconds=status.lag_seconds)
    return [text % {"length": timesince(since, now)}]
