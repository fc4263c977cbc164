"""JSON Schemas (2020-12) that values are checked against, compiled once.

A schema is a dict that a program can also draw a form from. What it refuses is told as pointers
and sentences.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from jsonschema import Draft202012Validator

from workflows.graph.sentences import told

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NOT_BLANK = r"\S"
"""The pattern of a text that holds more than white space."""

_KINDS: dict[str, frozenset[type]] = {
    "string": frozenset({str}),
    "number": frozenset({int, float}),
    "integer": frozenset({int}),
    "boolean": frozenset({bool}),
    "array": frozenset({list}),
    "object": frozenset({dict}),
    "null": frozenset({type(None)}),
}
_SAYS_NOTHING = frozenset(
    {"$schema", "$defs", "title", "description", "default", "examples", "format"}
)
_Accepts = Callable[[Any], bool]


class Schema:
    """One schema, compiled.

    ``problems`` is jsonschema's judgement. It takes a third of a millisecond for the data of one
    node, and nearly all data are sound: these are accepted by closures made of the same schema,
    which leave to jsonschema whatever they do not accept.
    """

    def __init__(self, text: Mapping[str, Any]) -> None:
        self.text = text
        self._validator = Draft202012Validator(text)
        self._accepts = _Compiler(text.get("$defs", {})).accepts(text)

    def accepts(self, value: object) -> bool:
        """Whether a first look accepts the value; False decides nothing."""
        return self._accepts(value)

    def problems(self, value: object) -> list[tuple[str, str]]:
        """Return a pointer and a sentence for everything that the schema refuses in a value."""
        try:
            return [] if self._accepts(value) else told(self._validator.iter_errors(value))
        except RecursionError:
            return [("", "The values are nested too deeply.")]


class _Compiler:
    """Makes one function of each part of a schema. What it does not know, it does not accept."""

    def __init__(self, defs: Mapping[str, Any]) -> None:
        self._defs = defs
        self._made: dict[str, _Accepts] = {}

    def accepts(self, schema: Mapping[str, Any] | bool) -> _Accepts:
        if isinstance(schema, bool):
            return _anything if schema else _nothing
        rest = {key: part for key, part in schema.items() if key not in _SAYS_NOTHING}
        types = rest.pop("type", None)
        checks = [self._ref(rest.pop("$ref"))] if "$ref" in rest else []
        if "anyOf" in rest:
            checks.append(self._any([self.accepts(part) for part in rest.pop("anyOf")]))
        if "enum" in rest:
            checks.append(_among(rest.pop("enum")))
        by_kind = {
            str: _text(rest),
            int: (number := _number(rest)),
            float: number,
            list: self._list(rest),
            dict: self._object(rest),
        }
        if rest:
            return _nothing
        kinds: frozenset[type] | None = None
        if types is not None:
            names = [types] if isinstance(types, str) else types
            kinds = frozenset().union(*(_KINDS[name] for name in names))
        found = {kind: check for kind, check in by_kind.items() if check is not None}

        def accepts(value: Any) -> bool:
            kind = type(value)
            if kinds is not None and kind not in kinds:
                return False
            check = found.get(kind)
            if check is not None and not check(value):
                return False
            return all(check(value) for check in checks) if checks else True

        return accepts

    def _ref(self, ref: str) -> _Accepts:
        name = ref.removeprefix("#/$defs/")
        if name not in self._made:
            # A rule holds rules: the name is known before its function is made.
            self._made[name] = _nothing
            self._made[name] = self.accepts(self._defs[name])
        return lambda value: self._made[name](value)

    def _any(self, parts: list[_Accepts]) -> _Accepts:
        return lambda value: any(part(value) for part in parts)

    def _list(self, rest: dict[str, Any]) -> _Accepts | None:
        least, most = rest.pop("minItems", 0), rest.pop("maxItems", None)
        unique = rest.pop("uniqueItems", False)
        item = self.accepts(rest.pop("items")) if "items" in rest else None
        if item is None and not least and most is None and not unique:
            return None

        def accepts(value: list[Any]) -> bool:
            if len(value) < least or (most is not None and len(value) > most):
                return False
            if item is not None and not all(item(part) for part in value):
                return False
            texts_only = not unique or all(type(part) is str for part in value)
            return texts_only and (not unique or len(set(value)) == len(value))

        return accepts

    def _object(self, rest: dict[str, Any]) -> _Accepts | None:
        parts = {key: self.accepts(part) for key, part in rest.pop("properties", {}).items()}
        required: tuple[str, ...] = tuple(rest.pop("required", ()))
        others = self.accepts(rest.pop("additionalProperties", True))
        least = rest.pop("minProperties", 0)
        name = self.accepts(rest.pop("propertyNames")) if "propertyNames" in rest else None

        def accepts(value: dict[Any, Any]) -> bool:
            if len(value) < least:
                return False
            for key, item in value.items():
                if not parts.get(key, others)(item) or (name is not None and not name(key)):
                    return False
            return all(key in value for key in required)

        return accepts


def _anything(value: Any) -> bool:
    return True


def _nothing(value: Any) -> bool:
    return False


def _among(values: list[Any]) -> _Accepts:
    texts = frozenset(value for value in values if isinstance(value, str))
    return lambda value: type(value) is str and value in texts


def _text(rest: dict[str, Any]) -> _Accepts | None:
    least, most = rest.pop("minLength", 0), rest.pop("maxLength", None)
    pattern = re.compile(rest.pop("pattern")) if "pattern" in rest else None
    if not least and most is None and pattern is None:
        return None

    def accepts(value: str) -> bool:
        if len(value) < least or (most is not None and len(value) > most):
            return False
        return pattern is None or pattern.search(value) is not None

    return accepts


def _number(rest: dict[str, Any]) -> _Accepts | None:
    least, above, most = (
        rest.pop(name, None) for name in ("minimum", "exclusiveMinimum", "maximum")
    )
    if least is None and above is None and most is None:
        return None

    def accepts(value: float) -> bool:
        if least is not None and value < least:
            return False
        if above is not None and value <= above:
            return False
        return most is None or value <= most

    return accepts
