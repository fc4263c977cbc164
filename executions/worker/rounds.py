"""What is due: everything that somebody has to come back to, however the last one left it.

The database is the truth: whoever comes may be killed in the middle, and the next one finds
the same things due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from executions.services import count_votes_again, due_starts, serve_due_starts
from executions.worker import queue
from workflows import editing
from workflows.models import PendingChange


@dataclass(frozen=True, slots=True)
class Served:
    """What a round has served; what was told to webhooks, or done in bulk, is among the jobs."""

    pending_changes: list[PendingChange]
    jobs: int = 0
    starts: int = 0

    def __bool__(self) -> bool:
        return bool(self.pending_changes or self.jobs or self.starts)


def run_due(
    *, dry_run: bool = False, stop: Callable[[], bool] = lambda: False, threads: int = 1
) -> Served:
    """Serve once what is due: votes whose voters have changed, triggered starts, jobs, what is to
    be told, then changes on hold that are drained.

    Answers and deliveries that have been kept long enough are forgotten with it.
    """
    if dry_run:
        return Served(editing.drained(), queue.due(), len(due_starts()))
    queue.forget_old()
    count_votes_again()
    starts = serve_due_starts(stop)
    jobs = queue.serve_due(stop) if threads == 1 else queue.serve_at_once(threads, stop)
    return Served(editing.apply_all_drained(), jobs, starts)
