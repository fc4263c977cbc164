"""The node that tells how far an execution has come."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import NOT_BLANK


class SetState(Behaviour):
    description = _("Sets what the operator sees as the stage, and the progress in percent.")
    name = "set_state"
    waits = False
    schema: ClassVar = {
        "properties": {
            "state": {
                "title": "State",
                "description": "What the operator sees as the stage.",
                "type": "string",
                "pattern": NOT_BLANK,
                "maxLength": 200,
            },
            "progress": {
                "title": "Progress",
                "description": "How far it has come, in percent.",
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 100,
            },
        },
        "required": ["state"],
        "examples": [{"state": "In review", "progress": 50}],
    }

    def enter(self, visit: Visit) -> None:
        """Tell, and go on."""
        state, progress = visit.node.data["state"], visit.node.data.get("progress")
        visit.stage(state, progress)
        visit.leave(output={"state": state, "progress": progress})
