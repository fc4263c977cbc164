"""The join: merges branches."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit


class Join(Behaviour):
    description = _(
        "Waits for each branch that can still arrive by an edge that no branch has used yet. It "
        "does not wait for a branch that took another path, or that can also arrive by an edge "
        "that another branch has used (the inclusive merge of BPMN 2.0)."
    )
    name = "join"
    merges = True
    waits = False

    def enter(self, visit: Visit) -> None:
        """Wait for the other branches."""
        visit.join()
