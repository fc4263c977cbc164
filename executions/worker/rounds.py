"""Rounds: everything that is due, served once; and the periodic housekeeping."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.db import DatabaseError, InterfaceError

from executions.models import WorkerKind
from executions.services import (
    count_scheduled_starts,
    due_starts,
    purge_bulk_operations,
    purge_files,
    purge_previous_values,
    purge_scheduled_starts,
    recount_votes,
    serve_due_starts,
    serve_schedules,
)
from executions.webhooks.incoming_starts import purge_incoming_deliveries
from executions.webhooks.outgoing import purge_outgoing_deliveries
from executions.worker import queue
from executions.worker.heartbeat import beat, purge_heartbeats
from workflows import editing
from workflows.db.faults import find_fault, is_unmigrated
from workflows.models import PendingChange

logger = logging.getLogger(__name__)

R = TypeVar("R")

HOUSEKEEPING: tuple[Callable[[], object], ...] = (
    editing.purge_answers,
    purge_outgoing_deliveries,
    purge_bulk_operations,
    purge_incoming_deliveries,
    purge_previous_values,
    purge_scheduled_starts,
    purge_heartbeats,
    purge_files,
)
"""The periodic duties: each deletes rows that have been kept long enough."""


@dataclass(frozen=True, slots=True)
class Served:
    """The result of a round; ``jobs`` includes webhook deliveries and bulk operations."""

    pending_changes: list[PendingChange]
    jobs: int = 0
    starts: int = 0

    def __bool__(self) -> bool:
        return bool(self.pending_changes or self.jobs or self.starts)


def run_housekeeping() -> None:
    """Perform each duty of ``HOUSEKEEPING`` once; one that fails does not prevent the others."""
    for duty in HOUSEKEEPING:
        _isolated(duty)


def _isolated(duty: Callable[[], R]) -> R | None:
    """Perform a duty. Log its error and return None, unless the database is unavailable."""
    try:
        return duty()
    except (DatabaseError, InterfaceError) as error:
        if find_fault(error) is not None or is_unmigrated(error):
            raise
        logger.exception("A periodic duty failed. It is tried again in the next round.")
    except Exception:
        logger.exception("A periodic duty failed. It is tried again in the next round.")
    return None


def run_periodic(stop: Callable[[], bool] = lambda: False) -> Served:
    """Perform the duties that are not in the queue.

    They are: housekeeping, votes whose voters have changed, triggered starts, schedules, drained
    changes on hold.
    """
    run_housekeeping()
    _isolated(recount_votes)
    starts = _isolated(lambda: serve_due_starts(stop)) or 0
    starts += _isolated(lambda: serve_schedules(stop)) or 0
    return Served(_isolated(editing.apply_all_drained) or [], starts=starts)


def run_due(
    *,
    dry_run: bool = False,
    stop: Callable[[], bool] = lambda: False,
    kind: WorkerKind = WorkerKind.RUN_DUE,
) -> Served:
    """Serve once everything that is due, in one thread.

    The order is: housekeeping, votes whose voters have changed, triggered starts, schedules, jobs
    with deliveries and bulk operations, drained changes on hold. The rows are the only record of
    due work, so that a round that was killed is made up by the next one.

    Args:
        dry_run: count the due rows and change nothing.
        stop: called between two rows; True ends the round.
        kind: the program whose heartbeat is stored.
    """
    if dry_run:
        starts = len(due_starts()) + count_scheduled_starts()
        return Served(editing.find_drained_changes(), queue.count_due(), starts)
    beat(kind)
    first = run_periodic(stop)
    jobs = queue.serve_due(stop)
    # The jobs may have ended the last executions that block a change.
    drained = _isolated(editing.apply_all_drained) or []
    return Served([*first.pending_changes, *drained], jobs, first.starts)
