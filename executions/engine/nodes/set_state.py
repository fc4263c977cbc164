"""The node that sets the stage and the progress of an execution."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import NOT_BLANK


class SetState(Behaviour):
    description = _("Sets the stage of the execution, and its progress in percent.")
    name = "set_state"
    waits = False
    schema: ClassVar = {
        "properties": {
            "state": {
                "title": "Stage",
                "description": "The stage of the execution.",
                "type": "string",
                "pattern": NOT_BLANK,
                "maxLength": 200,
            },
            "progress": {
                "title": "Progress",
                "description": "The progress in percent.",
                "type": ["number", "null"],
                "minimum": 0,
                "maximum": 100,
            },
        },
        "required": ["state"],
        "examples": [{"state": "In review", "progress": 50}],
    }

    def enter(self, visit: Visit) -> None:
        """Set both and continue."""
        state, progress = visit.node.data["state"], visit.node.data.get("progress")
        visit.set_stage(state, progress)
        visit.leave(output={"state": state, "progress": progress})
