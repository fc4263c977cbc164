"""The user action: a form that a person fills in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from django.utils.dateparse import parse_duration

from executions.engine import forms
from executions.engine.nodes.behaviour import Behaviour, Person, Visit
from workflows.jsontext import below, kind, quoted

MAX_DEADLINE = timedelta(days=36_525)


class UserAction(Behaviour):
    """Waits for a person's form; the answers are written to the entity's fields."""

    name = "user_action"
    keys = frozenset({"title", "button_label", "fields", "assignees", "deadline"})

    def problems(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Check the texts, the form, the assignees and the deadline."""
        for key in ("title", "button_label"):
            if not isinstance(data.get(key, ""), str):
                yield (below("", key), f"Its '{key}' must be text, not {kind(data[key])}.")
        for pointer, detail in forms.problems(data.get("fields", [])):
            yield f"/fields{pointer}", detail
        yield from _assignee_problems(data.get("assignees", {}))
        if "deadline" in data:
            yield from _deadline_problems(data["deadline"])

    def enter(self, visit: Visit) -> None:
        """Wait for the form, until the deadline if there is one."""
        length = _deadline(visit.node.data.get("deadline"))
        visit.wait(due=None if length is None else visit.now + length)

    def submit(self, visit: Visit, data: object, user: Person | None) -> None:
        """Write the answers and go on; who may submit is asked with ``may_submit``."""
        values = forms.clean(visit.node.data.get("fields", []), data)
        visit.write(values)
        visit.leave(output=values)


def may_submit(data: Mapping[str, Any], user: Person) -> bool:
    """Say whether this user is among the assignees; everybody is where none are named."""
    assignees = data.get("assignees", {})
    users, groups = assignees.get("users", []), assignees.get("groups", [])
    if not (users or groups) or user.is_superuser or user.get_username() in users:
        return True
    return bool(groups) and bool(user.groups.filter(name__in=groups).exists())


def _assignee_problems(assignees: object) -> Iterator[tuple[str, str]]:
    if not isinstance(assignees, dict):
        yield "/assignees", f"The assignees must be an object, not {kind(assignees)}."
        return
    for key, names in assignees.items():
        at = below("/assignees", key)
        if key not in ("groups", "users"):
            yield (at, f"{quoted(key)} means nothing here; assignees are groups and users.")
        elif not isinstance(names, list):
            yield at, f"The {key} must be a list of names, not {kind(names)}."
        else:
            for index, name in enumerate(names):
                if not isinstance(name, str) or not name:
                    yield (below(at, index), f"Each of the {key} must be a name that is not empty.")


def _deadline_problems(deadline: object) -> Iterator[tuple[str, str]]:
    length = _deadline(deadline)
    if length is None:
        what = "a duration such as 'P3D' or 'PT12H', or a number of seconds"
        yield "/deadline", f"The deadline {quoted(deadline)} must be {what}."
    elif not timedelta(0) < length <= MAX_DEADLINE:
        yield "/deadline", "The deadline must lie ahead, and no more than 100 years."


def _deadline(deadline: object) -> timedelta | None:
    try:
        if isinstance(deadline, str):
            return parse_duration(deadline) if deadline.startswith("P") else None
        if isinstance(deadline, (int, float)) and not isinstance(deadline, bool):
            return timedelta(seconds=deadline) if math.isfinite(deadline) else None
    except (OverflowError, ValueError):
        return timedelta.max
    return None
