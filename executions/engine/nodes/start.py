"""The start: where every execution begins."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import START


class Start(Behaviour):
    description = _("Goes on at once.")
    name = START
    waits = False

    def enter(self, visit: Visit) -> None:
        """Leave by the only exit."""
        visit.leave()

    def wake(self, visit: Visit) -> None:
        """Begin what was scheduled."""
        visit.leave()
