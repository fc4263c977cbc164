"""Deadlines: by when a person is expected to act, and whom to tell when nobody has.

Passing one marks the step, and sends the mail that the drawing names. The step stays open, and can
be done whatever became of the mail.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from executions.engine.durations import DURATION, problem
from executions.engine.nodes import mail
from executions.engine.nodes.behaviour import Visit
from executions.engine.nodes.tasks import Task
from workflows.graph import Node
from workflows.values import durations

DEADLINE = "deadline"

DEADLINE_PROPERTY: dict[str, Any] = {
    "title": "Deadline",
    "description": "How long it may take; after that the step is marked as overdue, and a mail is"
    " sent where one is named.",
    "anyOf": [
        {"$ref": "#/$defs/duration"},
        {
            "title": "Deadline",
            "type": "object",
            "properties": {
                "after": {
                    "title": "After",
                    "description": "How long it may take.",
                    "$ref": "#/$defs/duration",
                },
                "notify": {
                    "title": "Notify",
                    "description": "The mail that is sent when the deadline has passed.",
                    "type": "object",
                    "properties": mail.PROPERTIES,
                    "required": ["to"],
                    "additionalProperties": False,
                },
            },
            "required": ["after"],
            "additionalProperties": False,
        },
    ],
    "examples": ["P3D"],
}
"""The schema of ``deadline``; it refers to ``DEADLINE_DEFS``."""
DEADLINE_DEFS: dict[str, Any] = {**mail.DEFS, "duration": DURATION}


def deadline_problems(deadline: Any) -> Iterator[tuple[str, str]]:
    """Yield what ``DEADLINE_PROPERTY`` cannot say of a deadline."""
    is_object = isinstance(deadline, dict)
    length = deadline["after"] if is_object else deadline
    if reason := problem(DEADLINE, length):
        yield "/after" if is_object else "", reason
    told = deadline.get("notify", {}) if is_object else {}
    for key, problems in mail.PARTS.items():
        if key in told:
            for pointer, detail in problems(told[key]):
                yield f"/notify/{key}{pointer}", detail


def wait_until_deadline(visit: Visit) -> None:
    """Keep the step open; where the node has a deadline, come back when it has passed."""
    deadline = visit.node.data.get(DEADLINE)
    length = durations.parse(deadline["after"] if isinstance(deadline, dict) else deadline)
    due = None if length is None else length.after(visit.now)
    visit.wait(due=due)
    if due is not None:
        visit.later(DEADLINE, due)


def mail_of(node: Node) -> dict[str, Any] | None:
    """The mail that is sent when the deadline of this node has passed, or None."""
    deadline = node.data.get(DEADLINE)
    told = deadline.get("notify") if isinstance(deadline, dict) else None
    if told is None:
        return None
    return {"subject": f"Overdue: {node.label}", "body": f"“{node.label}” is overdue.", **told}


def tell(node: Node, task: Task) -> dict[str, Any]:
    """Send it. Raises ``GiveUp`` and ``TryAgain``."""
    return mail.send(mail_of(node) or {}, task)
