"""The node that fails the execution."""

from __future__ import annotations

from typing import ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.db.json_values import quoted


class Fail(Behaviour):
    description = _("Fails the execution at once.")
    name = "fail"
    waits = False
    ends = True
    schema: ClassVar = {
        "properties": {
            "message": {
                "title": "Message",
                "description": "The reason that the execution shows.",
                "type": "string",
                "maxLength": 500,
            }
        },
        "examples": [{"message": "The exception was not granted."}],
    }

    def enter(self, visit: Visit) -> None:
        """Fail with the message of the node, or a default that names the node."""
        message = visit.node.data.get("message", "").strip()
        visit.fail(message or f"The workflow failed at {quoted(visit.node.label)}.")
