"""The fork: an execution goes every way at once."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit


class Parallel(Behaviour):
    description = _("Takes all its ways out; each is a branch of its own.")
    name = "parallel"
    waits = False
    forks = True

    def enter(self, visit: Visit) -> None:
        """Go every way."""
        visit.fork()
