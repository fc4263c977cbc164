"""The user action: a form that a person submits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import form_actions, form_fields, forms
from executions.engine.form_actions import ACTIONS, ACTIONS_PROPERTY
from executions.engine.nodes.assignees import NAMED, find_unknown_users
from executions.engine.nodes.behaviour import TITLE, Person, Visit
from executions.engine.nodes.deadline import (
    DEADLINE_DEFS,
    DEADLINE_OF_PEOPLE,
    DeadlineBehaviour,
    assignee_problems,
    deadline_problems,
    wait_until_deadline,
)
from workflows.db.json_values import below, quoted
from workflows.graph import Problems
from workflows.models.candidate import DEADLINE
from workflows.refusals import Problem
from workflows.values.missing import drop_missing


class UserAction(DeadlineBehaviour):
    description = _(
        "Waits for a form. The answers are written to fields or variables. With 'actions', each "
        "button is an exit of its own."
    )
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
            ACTIONS: ACTIONS_PROPERTY,
            "assignees": {
                "title": "Assignees",
                "description": "The users and groups who may submit the form. By default, everybody"
                " may.",
                "type": "object",
                "properties": NAMED,
                "additionalProperties": False,
            },
            DEADLINE: DEADLINE_OF_PEOPLE,
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
                    "remind": ["P2D", "P1D"],
                    "escalate": {"groups": ["risk leads"]},
                },
            },
            {
                "fields": [{"name": "comment", "type": "long_text", "required": True}],
                "actions": [
                    {"handle": "approve", "label": "Approve"},
                    {"handle": "rework", "label": "Return for rework", "style": "secondary"},
                    {
                        "handle": "reject",
                        "label": "Reject",
                        "style": "danger",
                        "validates": False,
                    },
                ],
            },
        ],
    }
    parts: ClassVar = {
        "fields": form_fields.problems,
        ACTIONS: form_actions.action_problems,
        DEADLINE: deadline_problems,
    }

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Require assignees for reminders and escalation, and other names than ``timeout``."""
        yield from assignee_problems(data, data.get("assignees"))
        for index, handle in enumerate(form_actions.action_labels(data)):
            if handle in self.optional_exits:
                detail = gettext("{exit} is reserved for the deadline.")
                yield f"/{ACTIONS}/{index}/handle", detail.format(exit=quoted(handle))

    def handles(self, data: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Return the handle of each action, or None without actions."""
        return tuple(form_actions.action_labels(data)) or None

    def exit_labels(self, data: Mapping[str, Any]) -> Mapping[str, str]:
        """Return the labels of the actions."""
        return form_actions.action_labels(data)

    def field_types(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the fields of the form that have a type, with their types."""
        for field in data.get("fields", ()):
            if "type" in field:
                yield form_fields.target_of(field), field["type"]

    def written_names(self, data: Mapping[str, Any]) -> Iterator[str]:
        """Yield the fields of the form, also those without a type."""
        return (form_fields.target_of(field) for field in data.get("fields", ()))

    def enter(self, visit: Visit) -> None:
        """Wait for the form."""
        wait_until_deadline(visit)

    def submit(
        self, visit: Visit, data: object, user: Person | None, action: str | None = None
    ) -> None:
        """Write the answers and leave by the action. The caller checks ``may_submit``."""
        chosen = form_actions.choose_action(visit.node.data, action)
        is_partial = chosen is not None and not chosen["validates"]
        fields = visit.node.data.get("fields", [])
        values = forms.clean(fields, data, is_partial=is_partial)
        files, unusable = _find_files(visit, values)
        if unknown := _find_unknown_users(fields, values) | unusable:
            if not is_partial:
                raise forms.FormInvalid(list(unknown.values()))
            values = {name: value for name, value in values.items() if name not in unknown}
        if files:
            values |= visit.attach_files(files)
        targets = {field["name"]: form_fields.target_of(field) for field in fields}
        visit.write_fields({targets[name]: value for name, value in values.items()})
        visit.leave(action, output=drop_missing(values))


def _find_files(
    visit: Visit, values: Mapping[str, Any]
) -> tuple[dict[str, list[str]], dict[str, Problem]]:
    """Return the ids of the files in each field, and a problem for each field with a wrong one."""
    names = form_fields.file_fields(visit.node.data).keys() & drop_missing(values).keys()
    ids = {
        name: [values[name]] if isinstance(values[name], str) else values[name] for name in names
    }
    known = visit.find_files([one for row in ids.values() for one in row]) if ids else {}
    wrong = {name: [one for one in row if known.get(one) != name] for name, row in ids.items()}
    problems = {
        name: Problem(
            below("/data", name),
            "unknown_file",
            gettext("No file with the id {id} was uploaded for the field {field}.").format(
                id=quoted(row[0]), field=quoted(name)
            ),
        )
        for name, row in wrong.items()
        if row
    }
    return {name: row for name, row in ids.items() if name not in problems}, problems


def _find_unknown_users(
    fields: Sequence[Mapping[str, Any]], values: Mapping[str, Any]
) -> dict[str, Problem]:
    """Return a problem for each field whose answer is no active user."""
    named = {
        field["name"]: values[field["name"]]
        for field in fields
        if field.get("type") == "user" and values.get(field["name"])
    }
    unknown = find_unknown_users(named.values()) if named else set()
    return {
        field: Problem(
            below("/data", field),
            "unknown_user",
            gettext("There is no active user {name}.").format(name=quoted(name)),
        )
        for field, name in named.items()
        if name in unknown
    }
