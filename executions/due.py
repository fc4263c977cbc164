"""What is due: everything that somebody has to come back to, however the last one left it.

The database is the truth: whoever comes may be killed in the middle, and the next one finds
the same things due.
"""

from __future__ import annotations

from dataclasses import dataclass

from workflows import services
from workflows.models import PendingChange


@dataclass(frozen=True, slots=True)
class Served:
    """What a round has served."""

    pending_changes: list[PendingChange]

    def __bool__(self) -> bool:
        return bool(self.pending_changes)


def run_due(*, dry_run: bool = False) -> Served:
    """Serve once what is due: the changes on hold whose workflows are drained."""
    if dry_run:
        return Served(services.drained())
    return Served(services.apply_all_drained())
