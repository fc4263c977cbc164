"""Deadlines of steps that wait for people or calls.

When a deadline passes, the step is marked as overdue and the mail of the node is sent. The step
stays open and can be done, whether or not the mail could be sent.
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
    "description": "How long the step may take. After that, it is marked as overdue, and the mail"
    " is sent if there is one.",
    "anyOf": [
        {"$ref": "#/$defs/duration"},
        {
            "title": "Duration and mail",
            "type": "object",
            "properties": {
                "after": {
                    "title": "After",
                    "description": "How long the step may take.",
                    "$ref": "#/$defs/duration",
                },
                "notify": {
                    "title": "Notify",
                    "description": "The mail that is sent when the deadline passes.",
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
    """Yield the problems of a deadline that ``DEADLINE_PROPERTY`` cannot express."""
    is_object = isinstance(deadline, dict)
    length = deadline["after"] if is_object else deadline
    if reason := problem(DEADLINE, length):
        yield "/after" if is_object else "", reason
    notice = deadline.get("notify", {}) if is_object else {}
    for key, problems in mail.PARTS.items():
        if key in notice:
            for pointer, detail in problems(notice[key]):
                yield f"/notify/{key}{pointer}", detail


def wait_until_deadline(visit: Visit) -> None:
    """Keep the step open, and schedule a job for its deadline if it has one."""
    deadline = visit.node.data.get(DEADLINE)
    if deadline is None:
        visit.wait()
        return
    length = durations.parse(deadline["after"] if isinstance(deadline, dict) else deadline)
    due = None if length is None else length.after(visit.now)
    visit.wait(due=due)
    if due is not None:
        visit.schedule_job(DEADLINE, due)


def mail_of(node: Node) -> dict[str, Any] | None:
    """Return the mail that is sent when the deadline of this node passes, or None."""
    deadline = node.data.get(DEADLINE)
    notice = deadline.get("notify") if isinstance(deadline, dict) else None
    if notice is None:
        return None
    return {"subject": f"Overdue: {node.label}", "body": f"“{node.label}” is overdue.", **notice}


def send_mail(node: Node, task: Task) -> dict[str, Any]:
    """Send the mail of a passed deadline. Raise ``GiveUp`` or ``TryAgain``."""
    return mail.send(mail_of(node) or {}, task)
