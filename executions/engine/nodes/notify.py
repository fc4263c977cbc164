"""The node that sends a mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.nodes import mail
from executions.engine.nodes.behaviour import Behaviour, Visit
from executions.engine.nodes.tasks import Task

MAIL = "mail"


class Notify(Behaviour):
    description = _(
        "Sends a mail in the background, with retries, and continues when it was sent. If a "
        "worker stops between sending and its commit, the mail is sent again with the same "
        "Message-ID, so that a mail server can detect the duplicate."
    )
    name = "notify"
    can_be_retried = True
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

    def read_names(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields and variables of the mail."""
        return (("", name) for name in sorted(mail.names_in(data)))

    def enter(self, visit: Visit) -> None:
        """Let the background send the mail."""
        visit.perform(MAIL, mail.names_in(visit.node.data))

    def perform(self, task: Task) -> Any:
        """Send the mail."""
        return mail.send(task.data, task)

    def resume(self, visit: Visit, result: Any) -> None:
        """Continue after the mail was sent."""
        visit.leave(output=result)
