"""Messages for the errors of a JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest

from workflows.graph import Schema, describe_types

TEXT = {"title": "Name", "description": "Who it is, in letters.", "type": "string"}
LIST = {"title": "Names", "type": "array", "items": TEXT}
EITHER = {
    "title": "Who",
    "anyOf": [
        TEXT | {"minLength": 2},
        {"title": "Group", "type": "object", "properties": {"name": TEXT}, "required": ["name"]},
    ],
}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (TEXT, 3, ("", "The name must be text, not a number.")),
        (
            TEXT | {"type": ["string", "null"]},
            [],
            ("", "The name must be text or null, not a list."),
        ),
        (TEXT | {"minLength": 1}, "", ("", "The name must not be empty.")),
        (TEXT | {"pattern": r"\S"}, " ", ("", "The name must not be empty.")),
        (TEXT | {"maxLength": 2}, "abc", ("", "The name 'abc' is longer than 2 characters.")),
        (
            TEXT | {"pattern": "^[a-z]*$"},
            "A",
            ("", "The name 'A' is invalid: who it is, in letters."),
        ),
        (TEXT | {"enum": ["a", "b"]}, "c", ("", "The name 'c' is unknown. Allowed: a, b.")),
        ({"title": "URL", "type": "string"}, True, ("", "The URL must be text, not true.")),
        (LIST | {"minItems": 1}, [], ("", "The names must not be empty.")),
        (LIST | {"maxItems": 1}, ["a", "b"], ("", "The names must not have more than 1 items.")),
        (
            LIST | {"uniqueItems": True},
            ["a", "a"],
            ("", "The names must not contain duplicates."),
        ),
        (LIST, ["a", 3], ("/1", "The name must be text, not a number.")),
        ({"title": "Age", "minimum": 1}, 0, ("", "The age must be at least 1.")),
        ({"title": "Age", "exclusiveMinimum": 0}, 0, ("", "The age must be more than 0.")),
        ({"title": "Age", "maximum": 9}, 10, ("", "The age must be at most 9.")),
        (
            {"properties": {"a/b": TEXT}, "required": ["a/b"]},
            {},
            ("/a~1b", "'a/b' is required: who it is, in letters."),
        ),
        (
            {"properties": {"a": TEXT}, "additionalProperties": False},
            {"b": 1},
            ("/b", "Unknown key 'b'. Allowed: a."),
        ),
        (
            {"propertyNames": TEXT | {"maxLength": 2}},
            {"abc": 1},
            ("/abc", "The name 'abc' is longer than 2 characters."),
        ),
        (EITHER, 3, ("", "The who must be text or an object, not a number.")),
        (EITHER, "", ("", "The name must not be empty.")),
        (EITHER, {"name": 3}, ("/name", "The name must be text, not a number.")),
        (EITHER, {}, ("/name", "'name' is required: who it is, in letters.")),
    ],
)
def test_each_problem_is_one_sentence_with_a_pointer(
    schema: dict[str, Any], value: Any, expected: tuple[str, str]
) -> None:
    assert Schema(schema).problems(value) == [expected]


def test_each_place_is_reported_once() -> None:
    schema = Schema(TEXT | {"minLength": 1, "pattern": "^a"})
    assert [pointer for pointer, _ in schema.problems("")] == [""]


def test_schema_may_be_recursive() -> None:
    rule = {"type": "object", "properties": {"not": {"$ref": "#/$defs/rule"}}, "title": "Rule"}
    schema = Schema({"$ref": "#/$defs/rule", "$defs": {"rule": rule}})
    assert schema.problems({"not": {"not": {}}}) == []
    assert schema.problems({"not": {"not": 3}}) == [
        ("/not/not", "The rule must be an object, not a number.")
    ]


def test_too_deeply_nested_value_is_refused() -> None:
    rule = {"type": "object", "properties": {"not": {"$ref": "#/$defs/rule"}}}
    value: Any = {}
    for _ in range(50_000):
        value = {"not": value}
    schema = Schema({"$ref": "#/$defs/rule", "$defs": {"rule": rule}})
    assert schema.problems(value) == [("", "The values are nested too deeply.")]


def test_whole_number_is_an_integer_in_every_notation() -> None:
    schema = Schema({"type": "integer", "minimum": 1})
    assert schema.problems(2.0) == schema.problems(2) == []
    assert schema.problems(2.5) and schema.problems(True) and schema.problems(0.0)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (TEXT, "text"),
        ({"type": ["string", "number", "null"]}, "text, a number or null"),
        ({"enum": ["a"]}, "text"),
        ({}, "anything"),
        (EITHER, "text or an object"),
        ({"$ref": "#/$defs/name"}, "text"),
    ],
)
def test_describe_types_lists_the_allowed_types(schema: dict[str, Any], words: str) -> None:
    assert describe_types(schema, {"name": TEXT}) == words
