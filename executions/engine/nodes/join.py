"""The join: branches come together again."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit


class Join(Behaviour):
    description = _(
        "Waits for every branch that can still arrive; one that took another way is not "
        "waited for. It goes on once no open step of the execution can reach it (the "
        'inclusive join, "general synchronizing merge" of van der Aalst\'s patterns).'
    )
    name = "join"

    def enter(self, visit: Visit) -> None:
        """Wait for the others."""
        visit.join()
