"""The join: branches come together again."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit


class Join(Behaviour):
    description = _(
        "Waits for the branches that can still arrive by an edge by which none has come yet. "
        "A branch that took another way is not waited for, nor one that can also come by an edge "
        "by which another has come (the inclusive merge of BPMN 2.0)."
    )
    name = "join"
    merges = True
    waits = False

    def enter(self, visit: Visit) -> None:
        """Wait for the others."""
        visit.join()
