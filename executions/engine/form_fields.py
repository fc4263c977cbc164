"""What a form may ask for: the fields of a form as a drawing has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workflows.db.json_values import below, quoted
from workflows.graph import Schema

MAX_NAME_LENGTH = 64

FIELD_NAME: dict[str, Any] = {
    "title": "Field name",
    "description": "Letters, digits and _ only, no digit first.",
    "type": "string",
    "maxLength": MAX_NAME_LENGTH,
    # To Python, $ comes before a last line break too.
    "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
    "examples": ["severity"],
}
"""The schema of the name of an entity's field."""
_NAME = Schema(FIELD_NAME)

MAX_LENGTHS = {
    "text": 10_000,
    "long_text": 100_000,
    "email": 320,
    "url": 2_048,
    "user": 150,
}
"""How long an answer may be, by the type of its field."""
_WITH_CHOICES = ("choice", "multiple_choice")
FIELD_TYPES: tuple[str, ...] = (
    "text",
    "long_text",
    "number",
    "date",
    "datetime",
    *_WITH_CHOICES,
    "checkbox",
    "email",
    "url",
    "user",
)
"""The types that a form field may have; ``text`` where none is named."""

_CHOICE: dict[str, Any] = {
    "title": "Choice",
    "anyOf": [
        {"title": "Value", "type": "string", "minLength": 1},
        {
            "title": "Choice",
            "type": "object",
            "properties": {
                "value": {
                    "title": "Value",
                    "description": "What is stored, a text.",
                    "type": "string",
                    "minLength": 1,
                },
                "label": {
                    "title": "Label",
                    "description": "What is shown; the value where it is left out.",
                    "type": "string",
                },
            },
            "required": ["value"],
            "additionalProperties": False,
        },
    ],
}
FIELD: dict[str, Any] = {
    "title": "Form field",
    "type": "object",
    "properties": {
        "name": {
            "title": "Name",
            "description": "The field of the entity that the answer is written to.",
            "$ref": "#/$defs/field_name",
        },
        "label": {
            "title": "Label",
            "description": "What stands beside the field; its name where it is left out.",
            "type": "string",
        },
        "type": {
            "title": "Type",
            "description": "What is asked for; a user is an active one, by name.",
            "type": "string",
            "enum": list(FIELD_TYPES),
            "default": "text",
        },
        "required": {
            "title": "Required",
            "description": "Whether it has to be answered.",
            "type": "boolean",
            "default": False,
        },
        "help": {
            "title": "Help",
            "description": "What stands below the field.",
            "type": "string",
        },
        "choices": {
            "title": "Choices",
            "description": "What can be chosen, where the type is choice or multiple_choice.",
            "type": "array",
            "minItems": 1,
            "items": _CHOICE,
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}
"""The schema of one field of a form; it refers to ``field_name``."""


def name_problem(name: object) -> str | None:
    """Say why this cannot be the name of an entity's field, or None if it can."""
    return next((detail for _, detail in _NAME.problems(name)), None)


def problems(fields: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong in a list of fields that ``FIELD`` holds for, each by itself."""
    seen: set[str] = set()
    for index, field in enumerate(fields):
        name = field["name"]
        if name in seen:
            yield f"/{index}/name", f"The field name {quoted(name)} is used twice in this form."
        seen.add(name)
        for pointer, detail in _choice_problems(field):
            yield f"/{index}/choices{pointer}", detail


def _choice_problems(field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named, type_name = f"field {quoted(field['name'])}", field.get("type", "text")
    if type_name not in _WITH_CHOICES:
        if "choices" in field:
            yield "", f"The type of {named} is {quoted(type_name)}: it has no choices."
        return
    if "choices" not in field:
        yield "", f"The {named} needs 'choices': what can be chosen."
        return
    seen: set[str] = set()
    for index, choice in enumerate(field["choices"]):
        is_object = isinstance(choice, dict)
        value = choice["value"] if is_object else choice
        if value in seen:
            place = below("", index, "value") if is_object else below("", index)
            yield place, f"The choice {quoted(value)} of {named} is given twice."
        seen.add(value)


def choices_of(field: Mapping[str, Any]) -> dict[str, str]:
    """The choices of a field: what is shown, by what is stored."""
    pairs = (
        (item["value"], item.get("label") or item["value"])
        if isinstance(item, dict)
        else (item, item)
        for item in field["choices"]
    )
    return dict(pairs)
