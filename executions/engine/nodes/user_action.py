"""The user action: a form that a person fills in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from executions.engine import durations, forms
from executions.engine.nodes.assignees import assignee_problems, unknown_among
from executions.engine.nodes.behaviour import Behaviour, Person, Visit
from executions.engine.nodes.deadline import wait_until_deadline
from workflows.jsontext import below, kind, quoted
from workflows.refusals import Problem


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
        for pointer, detail in assignee_problems(data.get("assignees", {})):
            yield f"/assignees{pointer}", detail
        if "deadline" in data and (reason := durations.problem("deadline", data["deadline"])):
            yield "/deadline", reason

    def enter(self, visit: Visit) -> None:
        """Wait for the form, until the deadline if there is one."""
        wait_until_deadline(visit)

    def submit(self, visit: Visit, data: object, user: Person | None) -> None:
        """Write the answers and go on; who may submit is asked with ``may_submit``."""
        fields = visit.node.data.get("fields", [])
        values = forms.clean(fields, data)
        _require_users(fields, values)
        visit.write(values)
        visit.leave(output=values)


def _require_users(fields: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> None:
    named = {
        field["name"]: values[field["name"]]
        for field in fields
        if field.get("type") == "user" and values.get(field["name"])
    }
    unknown = unknown_among(named.values()) if named else set()
    problems = [
        Problem(below("/data", name), "unknown_user", f"No active user is called {quoted(who)}.")
        for name, who in named.items()
        if who in unknown
    ]
    if problems:
        raise forms.FormInvalid(problems)
