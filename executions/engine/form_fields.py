"""The fields of a form: their schema and their problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from workflows.db.json_values import below, quoted
from workflows.graph import Schema

MAX_NAME_LENGTH = 64

FIELD_NAME: dict[str, Any] = {
    "title": "Field name",
    "description": "Letters, digits and _. The first character is not a digit.",
    "type": "string",
    "maxLength": MAX_NAME_LENGTH,
    # In Python, $ also matches before a final line break.
    "pattern": r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
    "examples": ["severity"],
}
"""The schema of a field name of an entity, and of the name of a variable."""
VALUE_NAME: dict[str, Any] = {
    "title": "Field or variable",
    "description": "The name of a field, or $ and the name of a variable of the execution.",
    "type": "string",
    "maxLength": MAX_NAME_LENGTH + 1,
    "pattern": r"^\$?[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
    "format": "value-name",
    "examples": ["severity", "$amount"],
}
"""The schema of a name where fields and variables are named alike."""
_NAME = Schema(FIELD_NAME)
EXECUTION = "execution"
SCOPES = ("entity", EXECUTION)

MAX_LENGTHS = {
    "text": 10_000,
    "long_text": 100_000,
    "email": 320,
    "url": 2_048,
    "user": 150,
}
"""The maximum length of an answer by the type of its field."""
_WITH_CHOICES = ("choice", "multiple_choice")
FILE = "file"
MAX_FILES = 50
"""The maximum number of files in one field."""
_OF_FILES = ("multiple", "accept", "max_size")
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
    FILE,
)
"""The types of form fields. The default is ``text``."""

_CHOICE: dict[str, Any] = {
    "title": "Choice",
    "anyOf": [
        {"title": "Value", "type": "string", "minLength": 1},
        {
            "title": "Value and label",
            "type": "object",
            "properties": {
                "value": {
                    "title": "Value",
                    "description": "The text to store.",
                    "type": "string",
                    "minLength": 1,
                },
                "label": {
                    "title": "Label",
                    "description": "The text to show. By default, the value.",
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
            "description": "The field to write the answer to, or the variable (scope).",
            "$ref": "#/$defs/field_name",
            "format": "field-name",
        },
        "label": {
            "title": "Label",
            "description": "The label of the field. By default, its name.",
            "type": "string",
        },
        "type": {
            "title": "Type",
            "description": "The type of the answer. 'user' is the username of an active user,"
            " 'file' the id of an uploaded file.",
            "type": "string",
            "enum": list(FIELD_TYPES),
            "default": "text",
        },
        "required": {
            "title": "Required",
            "description": "If true, an answer is required.",
            "type": "boolean",
            "default": False,
        },
        "scope": {
            "title": "Scope",
            "description": "'entity' writes the answer to a field of the entity, 'execution' to a"
            " variable of the execution.",
            "type": "string",
            "enum": list(SCOPES),
            "default": SCOPES[0],
        },
        "help": {
            "title": "Help",
            "description": "The help text below the field.",
            "type": "string",
        },
        "choices": {
            "title": "Choices",
            "description": "The choices, if the type is choice or multiple_choice.",
            "type": "array",
            "minItems": 1,
            "items": _CHOICE,
        },
        "multiple": {
            "title": "Several files",
            "description": f"If true, the field takes up to {MAX_FILES} files, and its value is a"
            " list. Only for the type file.",
            "type": "boolean",
            "default": False,
        },
        "accept": {
            "title": "File types",
            "description": "The accepted endings of file names, such as .pdf. By default, all. Only"
            " for the type file.",
            "type": "array",
            "minItems": 1,
            "items": {
                "title": "Ending",
                "type": "string",
                "maxLength": 32,
                "pattern": r"^(\.[A-Za-z0-9_-]+)+$(?!\n)",
            },
        },
        "max_size": {
            "title": "Maximum size",
            "description": "The maximum size of a file in bytes. The setting FILE_MAX_BYTES limits"
            " it too. Only for the type file.",
            "type": "integer",
            "minimum": 1,
        },
    },
    "required": ["name"],
    "additionalProperties": False,
}
"""The schema of a form field. It refers to ``field_name``."""


def name_problem(name: object) -> str | None:
    """Return why this is not a valid field name, or None if it is."""
    return next((detail for _, detail in _NAME.problems(name)), None)


def target_of(field: Mapping[str, Any]) -> str:
    """Return the field, or the variable with ``$``, that the answer is written to."""
    name: str = field["name"]
    return f"${name}" if field.get("scope") == EXECUTION else name


def file_fields(data: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the fields for files in the data of a form, by their names."""
    return {field["name"]: field for field in data.get("fields", ()) if field.get("type") == FILE}


def problems(fields: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the problems of a list of fields that match ``FIELD``."""
    seen: set[str] = set()
    for index, field in enumerate(fields):
        name = field["name"]
        if name in seen:
            yield (
                f"/{index}/name",
                gettext("The form has two fields named {name}.").format(name=quoted(name)),
            )
        seen.add(name)
        for pointer, detail in _choice_problems(field):
            yield f"/{index}/choices{pointer}", detail
        for option in _OF_FILES if field.get("type") != FILE else ():
            if option in field:
                detail = gettext("The field {name} is no file: '{option}' has no effect.")
                yield f"/{index}/{option}", detail.format(name=quoted(name), option=option)


def _choice_problems(field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name, type_name = quoted(field["name"]), field.get("type", "text")
    if type_name not in _WITH_CHOICES:
        if "choices" in field:
            yield (
                "",
                gettext("The field {name} has the type {type_name}, which has no choices.").format(
                    name=name, type_name=quoted(type_name)
                ),
            )
        return
    if "choices" not in field:
        yield "", gettext("The field {name} needs 'choices'.").format(name=name)
        return
    seen: set[str] = set()
    for index, choice in enumerate(field["choices"]):
        is_object = isinstance(choice, dict)
        value = choice["value"] if is_object else choice
        if value in seen:
            place = below("", index, "value") if is_object else below("", index)
            yield (
                place,
                gettext("The field {name} has the choice {value} twice.").format(
                    name=name, value=quoted(value)
                ),
            )
        seen.add(value)


def choices_of(field: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a field's choices by their stored values."""
    pairs = (
        (item["value"], item.get("label") or item["value"])
        if isinstance(item, dict)
        else (item, item)
        for item in field["choices"]
    )
    return dict(pairs)
