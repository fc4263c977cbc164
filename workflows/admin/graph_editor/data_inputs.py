"""Which inputs a JSON Schema asks for, and how single values stand in them as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workflows.db.json_values import exact_float
from workflows.values.durations import from_words

Schema = Mapping[str, Any]
Choices = Mapping[str, Sequence[tuple[str, str]]]
"""By the ``format`` of a text, what can be chosen: value and label."""

ABSENT: Any = object()
"""The value of a key that is not there."""

SINGLE = {"text", "long", "choice", "scalar", "any", "lines", "flag", "json"}
"""The shapes that are one input."""
RULE_KEYS = {"all", "any", "field", "op"}
_NUMBERS = {"number", "integer"}
_SCALARS = {"string", "boolean", "null", *_NUMBERS}
_LONG = {"body", "description", "notes", "message"}


@dataclass(slots=True)
class Malformed:
    """What was typed where JSON is asked for, and is none."""

    text: str
    detail: str


@dataclass(slots=True)
class Part:
    """A part of a form: an input, or what holds others. ``shape`` names how it is drawn.

    ``name`` is the JSON pointer of the value, from the data on; where one value may have one of
    several forms, ``#`` and a number tell them apart.
    """

    name: str
    shape: str
    title: str
    help: str = ""
    required: bool = False
    value: Any = ""
    options: list[tuple[str, str]] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    is_new: bool = False
    is_open: bool = True
    key: Part | None = None

    @property
    def template(self) -> str:
        """The template that draws it."""
        return f"workflows/admin/data/{self.shape}.html"

    @property
    def is_single(self) -> bool:
        """Whether it is one input."""
        return self.shape in SINGLE

    @property
    def has_problems(self) -> bool:
        """Whether anything is wrong in it."""
        return any(part.problems for part in self)

    @property
    def summary(self) -> str:
        """The first text in it, which tells it from others while it is folded away."""
        for part in self:
            if part.is_single and isinstance(part.value, str) and part.value:
                return part.value
        return ""

    def __iter__(self) -> Any:
        yield self
        if self.key is not None:
            yield from self.key
        for part in self.parts:
            yield from part


def resolved(schema: Schema, defs: Schema) -> Schema:
    """The schema with what it refers to put in; its own words come first."""
    ref = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return {**defs.get(ref, {}), **{key: schema[key] for key in schema if key != "$ref"}}


def types_of(schema: Schema, defs: Schema) -> set[str]:
    """The JSON types that a schema takes; empty where it takes any."""
    schema = resolved(schema, defs)
    own = schema.get("type", [])
    found = {own} if isinstance(own, str) else set(own)
    if not found and schema.get("enum"):
        found = {"string"}
    for part in schema.get("anyOf", ()):
        found |= types_of(part, defs)
    return found


def shape_of(schema: Schema, defs: Schema, key: str = "") -> str:
    """Which inputs a resolved schema asks for."""
    types = types_of(schema, defs)
    properties = schema.get("properties", {})
    if set(properties) >= RULE_KEYS:
        return "rule"
    if schema.get("anyOf") and not types <= _SCALARS:
        return "either"
    if "object" in types:
        return "object" if properties else "map"
    if "array" in types:
        text_only = types_of(schema.get("items", {}), defs) == {"string"}
        return "lines" if text_only else "rows"
    if schema.get("enum"):
        return "choice"
    if types == {"boolean"}:
        return "flag"
    if types == {"string"}:
        return "long" if key in _LONG else "text"
    return "scalar" if types else "any"


def fits(value: Any, schema: Schema, defs: Schema) -> bool:
    """Whether a value can be shown in the inputs of its schema; what cannot is shown as JSON."""
    if value is ABSENT:
        return True
    schema = resolved(schema, defs)
    match shape_of(schema, defs):
        case "rule":
            return isinstance(value, dict) and rule_rows(value) is not None
        case "object" | "map":
            return isinstance(value, dict)
        case "rows":
            return isinstance(value, list)
        case "lines":
            return isinstance(value, list) and all(_is_line(item) for item in value)
        case "flag":
            return isinstance(value, bool)
        case "scalar":
            return value is None or (
                isinstance(value, (str, int, float)) and not isinstance(value, bool)
            )
        case "either":
            return alternative(value, schema, defs) is not None
        case "any":
            return True
    return isinstance(value, str)


def _is_line(item: Any) -> bool:
    return isinstance(item, str) and item.splitlines() == [item.strip()] and item == item.strip()


def alternative(value: Any, schema: Schema, defs: Schema) -> int | None:
    """Which alternative of a schema a value is shown as."""
    for index, part in enumerate(schema["anyOf"]):
        types = types_of(part, defs)
        if _kind(value) in types and fits(value, part, defs):
            return index
    return None


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    kinds = {str: "string", dict: "object", list: "array", type(None): "null"}
    return kinds.get(type(value), "")


def rule_rows(rule: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]] | None:
    """How a plain rule joins its comparisons, and these; None for one that is nested deeper."""
    if not rule:
        return "all", []
    if _is_comparison(rule):
        return "all", [dict(rule)]
    for how in ("all", "any"):
        rows = rule.get(how)
        if set(rule) == {how} and isinstance(rows, list) and all(map(_is_comparison, rows)):
            return how, rows
    return None


def _is_comparison(rule: Any) -> bool:
    return (
        isinstance(rule, dict)
        and bool(rule)
        and set(rule) <= {"field", "op", "value"}
        and all(isinstance(rule.get(key, ""), str) for key in ("field", "op"))
    )


def as_text(value: Any) -> str:
    """A value as it is typed: a text as it is, unless it would be read as something else."""
    if value is ABSENT or value is None:
        return "" if value is ABSENT else "null"
    if isinstance(value, str) and value and isinstance(from_text(value), str):
        return value
    return json.dumps(value, ensure_ascii=False)


def from_text(text: str) -> Any:
    """What a text stands for: JSON where it is JSON, and else itself."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=exact_float)
    except (ValueError, RecursionError):
        return text


def _refuse(name: str) -> Any:
    raise ValueError(name)


def as_scalar(value: Any, types: set[str]) -> str:
    """A text or a number as it is typed; null is an empty input."""
    if value is ABSENT or value is None:
        return ""
    if not types & _NUMBERS or not isinstance(value, str):
        return value if isinstance(value, str) else json.dumps(value)
    return value if isinstance(_number(value), str) and not value.startswith('"') else f'"{value}"'


def from_scalar(text: str, schema: Schema, types: set[str]) -> Any:
    """What was typed where a text or a number is asked for; a duration may be in words."""
    if schema.get("format") == "duration":
        text = from_words(text)
    if not types & _NUMBERS:
        return text
    if "string" in types and len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return _number(text)


def _number(text: str) -> Any:
    value = from_text(text.strip())
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else text
