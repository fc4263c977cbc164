"""The fork: starts one branch per edge."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit


class Parallel(Behaviour):
    description = _("Takes all its edges at once. Each starts a branch.")
    name = "parallel"
    waits = False
    forks = True

    def enter(self, visit: Visit) -> None:
        """Start the branches."""
        visit.fork()
