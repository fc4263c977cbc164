"""The fail node: where an execution ends badly because the workflow says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.jsontext import kind, quoted

MAX_MESSAGE_LENGTH = 500


class Fail(Behaviour):
    """Fails the execution at once."""

    name = "fail"
    ends = True
    keys = frozenset({"message"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the message, which may be missing."""
        message = data.get("message", "")
        if not isinstance(message, str):
            yield "/message", f"The message must be text, not {kind(message)}."
        elif len(message) > MAX_MESSAGE_LENGTH:
            yield ("/message", f"The message has more than {MAX_MESSAGE_LENGTH} characters.")

    def enter(self, visit: Visit) -> None:
        """Fail with the message of the node, or one that names the node."""
        message = visit.node.data.get("message", "").strip()
        visit.fail(message or f"The workflow failed at {quoted(visit.node.label)}.")
