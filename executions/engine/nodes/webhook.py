"""The node that waits for a signed POST."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes.behaviour import SAVE_TO, Visit
from executions.engine.nodes.deadline import (
    DEADLINE_DEFS,
    DEADLINE_PROPERTY,
    DeadlineBehaviour,
    deadline_problems,
    wait_until_deadline,
)
from executions.engine.rule_literals import ANY
from executions.models.secret import NAME
from workflows.graph import Problems
from workflows.models.candidate import DEADLINE

WEBHOOK = "webhook"


class Webhook(DeadlineBehaviour):
    description = _(
        "Waits for a POST that is signed with 'secret'. Its JSON can be saved to a field."
    )
    name = WEBHOOK
    can_be_retried = True
    schema: ClassVar = {
        "properties": {
            "secret": {
                "title": "Secret",
                "description": "The name of the signing secret: letters, digits, '_', '.' and '-',"
                " starting with a letter or '_'.",
                "type": "string",
                # In Python, $ also matches before a final line break.
                "pattern": rf"^{NAME}$(?!\n)",
                "format": "secret-name",
            },
            "save_to": SAVE_TO,
            DEADLINE: DEADLINE_PROPERTY,
        },
        "required": ["secret"],
        "$defs": DEADLINE_DEFS,
        "examples": [{"secret": "crm", "save_to": "answer", "deadline": "P7D"}],
    }
    parts: ClassVar = {DEADLINE: deadline_problems}

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the field that the JSON is saved to; its type is not known."""
        if name := data.get("save_to"):
            yield name, ANY

    def secrets(self, data: Mapping[str, Any]) -> Problems:
        """Yield the signing secret."""
        if isinstance(data.get("secret"), str):
            yield "/secret", data["secret"]

    def enter(self, visit: Visit) -> None:
        """Wait for the POST."""
        wait_until_deadline(visit)

    def resume(self, visit: Visit, result: Any) -> None:
        """Save the delivered ``value``, and continue. ``sha256`` identifies the delivery."""
        if name := visit.node.data.get("save_to"):
            visit.write_fields({name: result["value"]})
        visit.leave(output={"sha256": result["sha256"]})
