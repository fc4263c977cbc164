"""The node that waits to be called."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import SAVE_TO, Behaviour, Visit
from executions.engine.nodes.deadline import (
    DEADLINE,
    DEADLINE_DEFS,
    DEADLINE_PROPERTY,
    deadline_problems,
    wait_until_deadline,
)
from executions.models.secret import NAME

WEBHOOK = "webhook"


class Webhook(Behaviour):
    description = _(
        "Waits for a POST that is signed with 'secret'; its JSON may be saved to a field."
    )
    name = WEBHOOK
    schema: ClassVar = {
        "properties": {
            "secret": {
                "title": "Secret",
                "description": "Names the secret that signs, in letters, digits, '_', '.' and '-',"
                " beginning with a letter or '_'.",
                "type": "string",
                # To Python, $ comes before a last line break too.
                "pattern": rf"^{NAME}$(?!\n)",
            },
            "save_to": SAVE_TO,
            DEADLINE: DEADLINE_PROPERTY,
        },
        "required": ["secret"],
        "$defs": DEADLINE_DEFS,
        "examples": [{"secret": "crm", "save_to": "answer", "deadline": "P7D"}],
    }
    parts: ClassVar = {DEADLINE: deadline_problems}

    def enter(self, visit: Visit) -> None:
        """Wait for the call."""
        wait_until_deadline(visit)

    def resume(self, visit: Visit, result: Any) -> None:
        """Take what was delivered: ``value``, and the ``sha256`` that it is known by."""
        if name := visit.node.data.get("save_to"):
            visit.write({name: result["value"]})
        visit.leave(output={"sha256": result["sha256"]})
