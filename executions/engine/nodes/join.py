"""The join: merges branches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from executions.engine.joins import CANCEL, NEEDED, OTHERS, WAIT
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import Problems


class Join(Behaviour):
    description = _(
        "Waits for each branch that can still arrive by an edge that no branch has used yet. It "
        "does not wait for a branch that took another path, or that can also arrive by an edge "
        "that another branch has used (the inclusive merge of BPMN 2.0). With 'needed', it "
        "continues as soon as so many branches have arrived."
    )
    name = "join"
    merges = True
    waits = False
    schema: ClassVar = {
        "properties": {
            NEEDED: {
                "title": "Branches needed",
                "description": "The number of incoming edges over which branches must arrive. By"
                " default, all branches that can still arrive.",
                "type": "integer",
                "minimum": 1,
            },
            OTHERS: {
                "title": "Other branches",
                "description": "For the branches that are not needed: 'wait' lets them go on and"
                " absorbs them at the join, 'cancel' cancels their open steps and child"
                " executions.",
                "type": "string",
                "enum": [WAIT, CANCEL],
                "default": WAIT,
            },
        },
        "examples": [{NEEDED: 1, OTHERS: CANCEL}, {NEEDED: 2}],
    }

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Require ``needed`` for ``others``."""
        if OTHERS in data and NEEDED not in data:
            yield f"/{OTHERS}", gettext("Set 'needed': otherwise the join waits for all branches.")

    def edge_problems(
        self, data: Mapping[str, Any], exits: Collection[str | None], incoming: int
    ) -> Problems:
        """Require an edge for each branch that is needed."""
        needed = data.get(NEEDED, 1)
        if needed > incoming:
            yield (
                f"/{NEEDED}",
                ngettext(
                    "{needed} branches are needed, but only {count} edge leads to the join.",
                    "{needed} branches are needed, but only {count} edges lead to the join.",
                    incoming,
                ).format(needed=needed, count=incoming),
            )

    def enter(self, visit: Visit) -> None:
        """Wait for the other branches."""
        visit.join()
