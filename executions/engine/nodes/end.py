"""The end of a branch."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit


class End(Behaviour):
    description = _("Ends the branch.")
    name = "end"
    waits = False
    ends = True

    def enter(self, visit: Visit) -> None:
        """End the branch."""
        visit.end_branch()
