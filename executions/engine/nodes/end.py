"""The end: where a branch of an execution finishes."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit


class End(Behaviour):
    description = _("Ends its branch.")
    name = "end"
    waits = False
    ends = True

    def enter(self, visit: Visit) -> None:
        """Finish the branch."""
        visit.finish()
