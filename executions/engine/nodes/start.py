"""The start of every execution."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import START


class Start(Behaviour):
    description = _("The execution starts here, and continues at once.")
    name = START
    waits = False

    def enter(self, visit: Visit) -> None:
        """Continue."""
        visit.leave()

    def wake(self, visit: Visit) -> None:
        """Start the scheduled execution."""
        visit.leave()
