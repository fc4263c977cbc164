"""The end: where a branch of an execution finishes."""

from __future__ import annotations

from executions.engine.nodes.behaviour import Behaviour, Visit


class End(Behaviour):
    """Ends its branch."""

    name = "end"
    waits = False
    ends = True

    def enter(self, visit: Visit) -> None:
        """Finish the branch."""
        visit.finish()
