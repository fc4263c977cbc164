"""Deadlines of steps that wait for people or for other systems.

When a deadline passes, the step leaves by the exit ``timeout``. Without such an edge, it is marked
as overdue, the mail of the node is sent and the assignees of ``escalate`` are added. Then the step
stays open and can be done, whether or not the mail could be sent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from executions.engine.durations import DURATION, problem
from executions.engine.nodes import mail
from executions.engine.nodes.assignees import NAMED
from executions.engine.nodes.behaviour import TIMEOUT, Behaviour, Visit
from workflows.graph import Node, Problems
from workflows.models.candidate import DEADLINE, ESCALATE, GROUPS, USERS
from workflows.values import durations

REMIND = "remind"
_MORE_FOR_PEOPLE = (ESCALATE, REMIND)

_AFTER: dict[str, Any] = {
    "title": "After",
    "description": "The time allowed for the step.",
    "$ref": "#/$defs/duration",
}
_NOTIFY: dict[str, Any] = {
    "title": "Notify",
    "description": "The mail that is sent when the deadline passes.",
    "type": "object",
    "properties": mail.PROPERTIES,
    "required": ["to"],
    "additionalProperties": False,
}
_FOR_PEOPLE: dict[str, Any] = {
    ESCALATE: {
        "title": "Escalate",
        "description": "Groups and users who become assignees too when the deadline passes.",
        "type": "object",
        "properties": NAMED,
        "additionalProperties": False,
    },
    REMIND: {
        "title": "Remind",
        "description": "The times of reminders to the assignees, as durations before the deadline.",
        "type": "array",
        "maxItems": 10,
        "items": {"$ref": "#/$defs/duration"},
        "examples": [["P2D", "P1D"]],
    },
}


def _property(title: str, more: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": "Deadline",
        "description": "The time allowed for the step. After that, it leaves by the exit 'timeout'."
        " Without such an edge, it is marked as overdue, and the mail is sent if there is one.",
        "anyOf": [
            {"$ref": "#/$defs/duration"},
            {
                "title": title,
                "type": "object",
                "properties": {"after": _AFTER, "notify": _NOTIFY, **more},
                "required": ["after"],
                "additionalProperties": False,
            },
        ],
        "examples": ["P3D"],
    }


DEADLINE_PROPERTY = _property("Duration and mail", {})
"""The schema of ``deadline``; it refers to ``DEADLINE_DEFS``."""
DEADLINE_OF_PEOPLE = _property("Duration, mails and escalation", _FOR_PEOPLE)
"""The same for nodes that wait for people."""
DEADLINE_DEFS: dict[str, Any] = {**mail.DEFS, "duration": DURATION}


def deadline_problems(deadline: Any) -> Iterator[tuple[str, str]]:
    """Yield the problems of a deadline that its schema cannot express."""
    is_object = isinstance(deadline, dict)
    length = deadline["after"] if is_object else deadline
    reason = problem(DEADLINE, length)
    if reason:
        yield "/after" if is_object else "", reason
    if not is_object:
        return
    notice = deadline.get("notify", {})
    for key, problems in mail.PARTS.items():
        if key in notice:
            for pointer, detail in problems(notice[key]):
                yield f"/notify/{key}{pointer}", detail
    escalate = deadline.get(ESCALATE)
    if escalate is not None and not escalate.get(GROUPS) and not escalate.get(USERS):
        yield f"/{ESCALATE}", gettext("Choose who is added: groups, users or both.")
    for index, before in enumerate(deadline.get(REMIND, ())):
        flaw = problem("reminder", before) or (None if reason else _lateness(before, length))
        if flaw:
            yield f"/{REMIND}/{index}", flaw


def _lateness(before: Any, length: Any) -> str | None:
    """Return the problem of a reminder that would be due when the step opens, or earlier."""
    lengths = durations.parse(before), durations.parse(length)
    if lengths[0] is None or lengths[1] is None or lengths[0].about() < lengths[1].about():
        return None
    return gettext("A reminder must be shorter than the deadline.")


def assignee_problems(data: Mapping[str, Any], assignees: Any) -> Problems:
    """Yield the parts of a deadline that need assignees, for a step that has none."""
    deadline = data.get(DEADLINE)
    named = assignees if isinstance(assignees, Mapping) else {}
    if not isinstance(deadline, dict) or named.get(GROUPS) or named.get(USERS):
        return
    for key in _MORE_FOR_PEOPLE:
        if deadline.get(key):
            yield (
                f"/{DEADLINE}/{key}",
                gettext("Set assignees: without any, everybody may do the step."),
            )


class DeadlineBehaviour(Behaviour):
    """A node type whose steps may have a deadline, and leave by ``timeout`` when it passes."""

    optional_exits: tuple[str, ...] = (TIMEOUT,)

    def read_names(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields and variables of the mail of the deadline."""
        deadline = data.get(DEADLINE)
        notice = deadline.get("notify") if isinstance(deadline, Mapping) else None
        for name in sorted(mail.names_in({"to": [], **notice}) if notice else ()):
            yield f"/{DEADLINE}/notify", name

    def edge_problems(
        self, data: Mapping[str, Any], exits: Collection[str | None], incoming: int
    ) -> Problems:
        """Yield the problems of the deadline with an edge by ``timeout``."""
        if TIMEOUT not in exits:
            return
        deadline = data.get(DEADLINE)
        if deadline is None:
            yield "", gettext("An edge leaves by 'timeout'. Set a deadline, or remove the edge.")
        for key in ("notify", ESCALATE):
            if isinstance(deadline, dict) and key in deadline:
                yield (
                    f"/{DEADLINE}/{key}",
                    gettext(
                        "The step is closed when its deadline passes, because an edge leaves by"
                        " 'timeout'. Remove '{key}', or the edge."
                    ).format(key=key),
                )


def wait_until_deadline(visit: Visit) -> None:
    """Keep the step open, and schedule a job for its deadline if it has one."""
    deadline = visit.node.data.get(DEADLINE)
    if deadline is None:
        visit.wait()
    else:
        schedule_deadline(visit)


def schedule_deadline(visit: Visit) -> None:
    """Set the due time of an open step, and schedule a job, if the node has a deadline."""
    deadline = visit.node.data.get(DEADLINE)
    length = durations.parse(deadline["after"] if isinstance(deadline, dict) else deadline)
    if length is not None:
        due = length.after(visit.now)
        visit.wait(due=due)
        visit.schedule_job(DEADLINE, next_wakeup(visit.node, due, visit.now))


def next_wakeup(node: Node, due: datetime, now: datetime) -> datetime:
    """Return the time of the next reminder of a step with this deadline, or the deadline."""
    return min((moment for moment in _reminders(node, due) if moment > now), default=due)


def is_reminder(node: Node, due: datetime | None, now: datetime) -> bool:
    """Return True if a job of a deadline is due now for a reminder, and not for the deadline."""
    return due is not None and now < due and any(one <= now for one in _reminders(node, due))


def _reminders(node: Node, due: datetime) -> Sequence[datetime]:
    deadline = node.data.get(DEADLINE)
    before = deadline.get(REMIND, ()) if isinstance(deadline, dict) else ()
    lengths = [durations.parse(one) for one in before]
    return [length.before(due) for length in lengths if length is not None]


def mail_of(node: Node) -> dict[str, Any] | None:
    """Return the mail that is sent when the deadline of this node passes, or None."""
    deadline = node.data.get(DEADLINE)
    notice = deadline.get("notify") if isinstance(deadline, dict) else None
    if notice is None:
        return None
    return {"subject": f"Overdue: {node.label}", "body": f"“{node.label}” is overdue.", **notice}
