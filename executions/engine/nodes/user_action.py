"""The user action: a form that a person fills in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine import form_fields, forms
from executions.engine.nodes.assignees import NAMED, unknown_among
from executions.engine.nodes.behaviour import TITLE, Behaviour, Person, Visit
from executions.engine.nodes.deadline import (
    DEADLINE,
    DEADLINE_DEFS,
    DEADLINE_PROPERTY,
    deadline_problems,
    wait_until_deadline,
)
from workflows.db.json_values import below, quoted
from workflows.refusals import Problem
from workflows.values.missing import present


class UserAction(Behaviour):
    description = _("Waits for a person's form; the answers are written to the entity's fields.")
    name = "user_action"
    people_at: ClassVar = "assignees"
    schema: ClassVar = {
        "properties": {
            "title": TITLE,
            "button_label": {
                "title": "Button label",
                "description": "What stands on the button of the form.",
                "type": "string",
                "default": "Submit",
            },
            "fields": {
                "title": "Fields",
                "description": "What the form asks for; each answer is written to the field of"
                " the entity that has the name.",
                "type": "array",
                "items": form_fields.FIELD,
                "default": [],
            },
            "assignees": {
                "title": "Assignees",
                "description": "Who may submit it; everybody where nobody is named.",
                "type": "object",
                "properties": NAMED,
                "additionalProperties": False,
            },
            DEADLINE: DEADLINE_PROPERTY,
        },
        "$defs": DEADLINE_DEFS,
        "examples": [
            {
                "title": "Review the finding",
                "fields": [
                    {"name": "severity", "label": "Severity", "type": "number", "required": True},
                    {"name": "reviewer", "type": "user"},
                    {
                        "name": "outcome",
                        "type": "choice",
                        "choices": ["keep", {"value": "close", "label": "Close it"}],
                    },
                ],
                "assignees": {"groups": ["risk"]},
                "deadline": {
                    "after": "P3D",
                    "notify": {"to": [{"field": "owner_email"}], "subject": "{{name}} waits"},
                },
            }
        ],
    }
    parts: ClassVar = {"fields": form_fields.problems, DEADLINE: deadline_problems}

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields that the form asks for as a type of theirs; others may hold anything."""
        for field in data.get("fields", ()):
            if "type" in field:
                yield field["name"], field["type"]

    def enter(self, visit: Visit) -> None:
        """Wait for the form, until the deadline if there is one."""
        wait_until_deadline(visit)

    def submit(self, visit: Visit, data: object, user: Person | None) -> None:
        """Write the answers and go on; who may submit is asked with ``may_submit``."""
        fields = visit.node.data.get("fields", [])
        values = forms.clean(fields, data)
        _require_users(fields, values)
        visit.write(values)
        visit.leave(output=present(values))


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
