"""Form inputs for a JSON Schema, and conversion of values to and from text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import exact_float

Schema = Mapping[str, Any]
Options = Sequence[tuple[str, str]]
"""Pairs of a value and a label."""

ABSENT: Any = object()
"""The value of a missing key."""

OPERATOR_LABELS = {
    "eq": _("is"),
    "ne": _("is not"),
    "gt": _("is greater than"),
    "gte": _("is at least"),
    "lt": _("is less than"),
    "lte": _("is at most"),
    "in": _("is one of"),
    "not_in": _("is none of"),
    "contains": _("contains"),
    "not_contains": _("does not contain"),
    "starts_with": _("starts with"),
    "ends_with": _("ends with"),
    "exists": _("exists"),
    "missing": _("is missing"),
}
"""Labels of the operators of rules."""

SINGLE = {"text", "long", "choice", "scalar", "duration", "any", "flag", "json"}
"""Shapes with a single value."""
LISTS = {"rows", "map", "rule"}
"""Shapes with rows that users add and remove."""
_COMPACT = {"pair", "comparison"}
RULE_KEYS = {"all", "any", "field", "op"}
_NUMBERS = {"number", "integer"}
_SCALARS = {"string", "boolean", "null", *_NUMBERS}
_LONG = {"body", "description", "notes", "message"}


@dataclass(slots=True)
class Part:
    """A part of a form: an input, or a group of parts.

    Args:
        name: the JSON pointer of the value, starting at the data. ``#`` and a number mark the
            alternatives of a value.
        shape: the name of the template.
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
    is_open: bool = True
    offers: str = ""
    """The format of a text whose values are offered while typing."""
    unit: str = ""
    """The unit of a duration."""
    count: int = 0
    """The number of rows of a list, with the removed ones."""
    removed: list[str] = field(default_factory=list)
    """The names of the removed rows of a list."""
    blank: Part | None = None
    """The row that a list adds."""
    is_ordered: bool = False
    """True if the order of the rows of a list matters."""

    @property
    def template(self) -> str:
        """Return the path of the template."""
        return f"workflows/admin/data/{self.shape}.html"

    @property
    def is_single(self) -> bool:
        """Return True if the part has a single input."""
        return self.shape in SINGLE

    @property
    def add_label(self) -> str:
        """Return the label of the button that adds a row to a list."""
        title = self.blank.title if self.blank else ""
        return gettext("Add %(item)s") % {"item": title[:1].lower() + title[1:]}

    @property
    def is_compact(self) -> bool:
        """Return True if the part takes one line as a row of a list."""
        return self.is_single or self.shape in _COMPACT

    @property
    def has_problems(self) -> bool:
        """Return True if the part or a part inside it has problems."""
        return any(part.problems for part in self)

    @property
    def summary(self) -> str:
        """Return the first text in the part, as the title of the collapsed part."""
        for part in self:
            if part.is_single and isinstance(part.value, str) and part.value:
                return part.value
        return ""

    def __iter__(self) -> Iterator[Part]:
        yield self
        for part in self.parts:
            yield from part


def resolved(schema: Schema, defs: Schema) -> Schema:
    """Return the schema with its reference resolved; its own keys take precedence."""
    ref = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    return {**defs.get(ref, {}), **{key: schema[key] for key in schema if key != "$ref"}}


def types_of(schema: Schema, defs: Schema) -> set[str]:
    """Return the JSON types that a schema allows; an empty set allows any type."""
    schema = resolved(schema, defs)
    own = schema.get("type", [])
    found = {own} if isinstance(own, str) else set(own)
    if not found and schema.get("enum"):
        found = {"string"}
    for part in schema.get("anyOf", ()):
        found |= types_of(part, defs)
    return found


def shape_of(schema: Schema, defs: Schema, key: str = "") -> str:
    """Return the shape of the inputs for a resolved schema."""
    types = types_of(schema, defs)
    properties = schema.get("properties", {})
    if set(properties) >= RULE_KEYS:
        return "rule"
    if schema.get("anyOf") and not types <= _SCALARS:
        return "either"
    if "object" in types:
        return "object" if properties else "map"
    if "array" in types:
        return "rows"
    if schema.get("format") == "duration":
        return "duration"
    if schema.get("enum"):
        return "choice"
    if types == {"boolean"}:
        return "flag"
    if types == {"string"}:
        return "long" if key in _LONG else "text"
    return "scalar" if types else "any"


def fits(value: Any, schema: Schema, defs: Schema) -> bool:
    """Return True if the inputs of a schema can hold the value. Other values are shown as JSON."""
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
        case "flag":
            return isinstance(value, bool)
        case "scalar" | "duration":
            return value is None or (
                isinstance(value, (str, int, float)) and not isinstance(value, bool)
            )
        case "either":
            return alternative(value, schema, defs) is not None
        case "any":
            return True
    return isinstance(value, str)


def alternative(value: Any, schema: Schema, defs: Schema) -> int | None:
    """Return the index of the alternative of a schema that a value matches, or None."""
    for index, part in enumerate(schema["anyOf"]):
        types = types_of(part, defs)
        if _json_type(value) in types and fits(value, part, defs):
            return index
    return None


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    names = {str: "string", dict: "object", list: "array", type(None): "null"}
    return names.get(type(value), "")


def rule_rows(rule: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]] | None:
    """Return how a rule combines its comparisons (``all`` or ``any``), and the comparisons.

    Returns:
        None for a nested rule.
    """
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
    """Return a value as input text: strings unchanged unless they would be parsed as JSON."""
    if value is ABSENT or value is None:
        return "" if value is ABSENT else "null"
    if isinstance(value, str) and value and isinstance(from_text(value), str):
        return value
    return json.dumps(value, ensure_ascii=False)


def from_text(text: str) -> Any:
    """Return the value of an input text: parsed if it is JSON, else the text."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=exact_float)
    except (ValueError, RecursionError):
        return text


def _refuse(name: str) -> Any:
    raise ValueError(name)


def as_scalar(value: Any, types: set[str]) -> str:
    """Return a string or number as input text; null is an empty input."""
    if value is ABSENT or value is None:
        return ""
    if not types & _NUMBERS or not isinstance(value, str):
        return value if isinstance(value, str) else json.dumps(value)
    return value if isinstance(_number(value), str) and not value.startswith('"') else f'"{value}"'


def from_scalar(text: str, types: set[str]) -> Any:
    """Return the value of an input for a string or number."""
    if not types & _NUMBERS:
        return text
    if "string" in types and len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return _number(text)


def _number(text: str) -> Any:
    value = from_text(text.strip())
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else text


def value_schema(schema: Schema) -> Schema:
    """Return the schema of the values of a map."""
    inner = schema.get("additionalProperties")
    return inner if isinstance(inner, Mapping) else {}


def help_text(schema: Schema) -> str:
    """Return the help text of an input: its description, default and examples."""
    text = str(schema.get("description", ""))
    if "default" in schema and schema["default"] not in ("", [], {}, False):
        text = f"{text} {gettext('Default:')} {schema['default']}."
    examples = [one for one in schema.get("examples", ()) if isinstance(one, (str, int, float))]
    if examples and schema.get("type") != "object" and "anyOf" not in schema:
        text = f"{text} {gettext('Example:')} {', '.join(str(one) for one in examples)}."
    return text.strip()


def plain_name(name: str) -> str:
    """Return the name of a part without the marks of alternatives."""
    return "/".join(one.split("#")[0] for one in name.split("/"))


def find_part(root: Part, pointer: str) -> Part:
    """Return the part of the value that a pointer points at, or the closest part around it.

    A row of several inputs in one line has no room of its own for a problem: its first input has.
    """
    best, length = root, -1
    for part in root:
        name = plain_name(part.name)
        contains = pointer == name or pointer.startswith(f"{name}/")
        if contains and (len(name) > length or (len(name) == length and part.shape == "json")):
            best, length = part, len(name)
    return best.parts[0] if best.shape in _COMPACT else best
