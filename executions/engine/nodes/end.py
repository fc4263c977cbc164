"""The end of a branch."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit


class End(Behaviour):
    description = _(
        "Ends the branch. With 'terminate', it completes the execution and cancels everything "
        "that is still open."
    )
    name = "end"
    waits = False
    ends = True
    schema: ClassVar = {
        "properties": {
            "terminate": {
                "title": "Terminate",
                "description": "If true, the execution completes at once: open steps and child"
                " executions are cancelled.",
                "type": "boolean",
                "default": False,
            }
        },
        "examples": [{"terminate": True}],
    }

    def enter(self, visit: Visit) -> None:
        """End the branch, or the execution."""
        if visit.node.data.get("terminate", False):
            visit.complete()
        else:
            visit.end_branch()
