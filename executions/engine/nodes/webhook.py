"""The node that waits to be called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from executions.engine import durations, forms
from executions.engine.nodes.behaviour import Behaviour, Visit
from executions.engine.nodes.deadline import wait_until_deadline
from executions.models.secret import NAME
from workflows.jsontext import kind

WEBHOOK = "webhook"


class Webhook(Behaviour):
    """Waits for a POST that is signed with ``secret``; its JSON may be saved to a field."""

    name = WEBHOOK
    keys = frozenset({"secret", "save_to", "deadline"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the names; whether the secret exists is not known here."""
        secret = data.get("secret")
        if not isinstance(secret, str) or not re.fullmatch(NAME, secret):
            yield "/secret", f"It must name the secret that signs, not {kind(secret)}."
        if "save_to" in data and (reason := forms.name_problem(data["save_to"])):
            yield "/save_to", reason
        if "deadline" in data and (reason := durations.problem("deadline", data["deadline"])):
            yield "/deadline", reason

    def enter(self, visit: Visit) -> None:
        """Wait for the call."""
        wait_until_deadline(visit)

    def resume(self, visit: Visit, result: Any) -> None:
        """Take what was delivered: ``value``, and the ``sha256`` that it is known by."""
        if name := visit.node.data.get("save_to"):
            visit.write({name: result["value"]})
        visit.leave(output={"sha256": result["sha256"]})
