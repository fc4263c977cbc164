"""The node that sends e-mail."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes import mail
from executions.engine.nodes.behaviour import Behaviour, Visit
from executions.engine.nodes.tasks import Task

MAIL = "mail"


class Notify(Behaviour):
    description = _(
        "Sends an e-mail in the background, with retries, and goes on when it was sent. A "
        "process that ends between the sending and its commit sends again: the Message-ID "
        "is that of the step, so that a mail server can tell."
    )
    name = "notify"
    can_begin_again = True
    schema: ClassVar = {
        "properties": mail.PROPERTIES,
        "required": ["to", "subject"],
        "$defs": mail.DEFS,
        "examples": [
            {
                "to": ["risk@example.com", {"field": "owner_email"}],
                "subject": "“{{name}}” was rejected",
                "body": "It was rejected because {{reason}}.",
            }
        ],
    }
    parts: ClassVar = mail.PARTS

    def enter(self, visit: Visit) -> None:
        """Leave the sending to the background."""
        visit.perform(MAIL, mail.names_in(visit.node.data))

    def perform(self, task: Task) -> Any:
        """Send the mail."""
        return mail.send(task.data, task)

    def resume(self, visit: Visit, result: Any) -> None:
        """Go on: the mail was sent."""
        visit.leave(output=result)
