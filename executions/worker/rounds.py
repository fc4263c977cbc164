"""Rounds: everything that is due, served once; and the periodic housekeeping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from executions.services import (
    due_starts,
    purge_bulk_operations,
    purge_previous_values,
    recount_votes,
    serve_due_starts,
)
from executions.webhooks.incoming_starts import purge_incoming_deliveries
from executions.webhooks.outgoing import purge_outgoing_deliveries
from executions.worker import queue
from workflows import editing
from workflows.models import PendingChange

HOUSEKEEPING: tuple[Callable[[], object], ...] = (
    editing.purge_answers,
    purge_outgoing_deliveries,
    purge_bulk_operations,
    purge_incoming_deliveries,
    purge_previous_values,
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
    """Perform each duty of ``HOUSEKEEPING`` once."""
    for duty in HOUSEKEEPING:
        duty()


def run_due(
    *, dry_run: bool = False, stop: Callable[[], bool] = lambda: False, threads: int = 1
) -> Served:
    """Serve once everything that is due.

    The order is: housekeeping, votes whose voters have changed, triggered starts, jobs with
    deliveries and bulk operations, drained changes on hold. The rows are the only record of what
    is due, so that a round that was killed is made up by the next one.

    Args:
        dry_run: count the due rows and change nothing.
        stop: called between two rows; True ends the round.
        threads: the number of threads that serve jobs.
    """
    if dry_run:
        return Served(editing.find_drained_changes(), queue.count_due(), len(due_starts()))
    run_housekeeping()
    recount_votes()
    starts = serve_due_starts(stop)
    jobs = queue.serve_due(stop) if threads == 1 else queue.serve_due_in_threads(threads, stop)
    return Served(editing.apply_all_drained(), jobs, starts)
