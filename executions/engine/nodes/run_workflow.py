"""The node that runs another workflow on the same entity."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import RUN_WORKFLOW


class RunWorkflow(Behaviour):
    description = _("Calls a workflow, and continues when the child execution has completed.")
    name = RUN_WORKFLOW
    schema: ClassVar = {
        "properties": {
            "workflow": {
                "title": "Workflow",
                "description": "The cuid of the workflow to call. It must have the same type.",
                "type": "string",
                "minLength": 1,
                "format": "workflow-cuid",
            }
        },
        "required": ["workflow"],
        "examples": [{"workflow": "cmwsm6w2s79sqmh6s281qm3vd"}],
    }

    def enter(self, visit: Visit) -> None:
        """Call the workflow."""
        visit.start_child(visit.node.data["workflow"])
