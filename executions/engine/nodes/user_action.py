"""The user action: a form that a person submits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import form_fields, forms
from executions.engine.nodes.assignees import NAMED, find_unknown_users
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
from workflows.values.missing import drop_missing


class UserAction(Behaviour):
    description = _("Waits for a form. The answers are written to fields or variables.")
    name = "user_action"
    people_at: ClassVar = "assignees"
    schema: ClassVar = {
        "properties": {
            "title": TITLE,
            "button_label": {
                "title": "Button label",
                "description": "The label of the submit button.",
                "type": "string",
                "default": "Submit",
            },
            "fields": {
                "title": "Fields",
                "description": "The fields of the form. Each answer is written to the field of the"
                " entity, or to the variable, with the same name.",
                "type": "array",
                "items": form_fields.FIELD,
                "default": [],
            },
            "assignees": {
                "title": "Assignees",
                "description": "The users and groups who may submit the form. By default, everybody"
                " may.",
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
        """Yield the fields of the form that have a type, with their types."""
        for field in data.get("fields", ()):
            if "type" in field:
                yield form_fields.target_of(field), field["type"]

    def enter(self, visit: Visit) -> None:
        """Wait for the form."""
        wait_until_deadline(visit)

    def submit(self, visit: Visit, data: object, user: Person | None) -> None:
        """Write the answers and continue. The caller checks ``may_submit``."""
        fields = visit.node.data.get("fields", [])
        values = forms.clean(fields, data)
        _require_users(fields, values)
        targets = {field["name"]: form_fields.target_of(field) for field in fields}
        visit.write_fields({targets[name]: value for name, value in values.items()})
        visit.leave(output=drop_missing(values))


def _require_users(fields: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> None:
    named = {
        field["name"]: values[field["name"]]
        for field in fields
        if field.get("type") == "user" and values.get(field["name"])
    }
    unknown = find_unknown_users(named.values()) if named else set()
    problems = [
        Problem(
            below("/data", field),
            "unknown_user",
            gettext("There is no active user {name}.").format(name=quoted(name)),
        )
        for field, name in named.items()
        if name in unknown
    ]
    if problems:
        raise forms.FormInvalid(problems)
