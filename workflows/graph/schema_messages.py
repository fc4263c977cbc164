"""What a JSON Schema refuses, as sentences: one for each place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import ValidationError

from workflows.db.json_values import below, kind, quoted

_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def told(errors: Iterable[ValidationError]) -> list[tuple[str, str]]:
    """Return pointer and sentence of what jsonschema has found, the first for each place."""
    found: dict[str, str] = {}
    for error in errors:
        for pointer, sentence in _told(error):
            found.setdefault(pointer, sentence)
    return list(found.items())


def type_words(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """Return which sort of JSON value a schema takes, as a sentence says it."""
    return _either(_words(schema, defs))


def _either(words: list[str]) -> str:
    *others, last = words or ["anything"]
    return f"{', '.join(others)} or {last}" if others else last


def _words(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> list[str]:
    if "$ref" in schema:
        return _words(defs[schema["$ref"].removeprefix("#/$defs/")], defs)
    types = schema.get("type", [])
    words = [_WORDS[name] for name in ([types] if isinstance(types, str) else types)]
    for part in schema.get("anyOf", ()):
        words += [word for word in _words(part, defs) if word not in words]
    if not types and all(isinstance(value, str) for value in schema.get("enum", (0,))):
        words.append(_WORDS["string"])
    return words


def _told(error: ValidationError) -> Iterator[tuple[str, str]]:
    at, value, schema = below("", *error.absolute_path), error.instance, error.schema
    assert isinstance(schema, Mapping)
    said: Any = error.validator_value
    if "propertyNames" in error.schema_path:
        at = below(at, value)
    match error.validator:
        case "required":
            for key in said:
                if key not in value:
                    yield below(at, key), f"It needs {quoted(key)}{_what(schema, key)}"
        case "additionalProperties":
            known = ", ".join(schema.get("properties", {}))
            for key in value:
                if key not in schema.get("properties", {}):
                    yield below(at, key), f"{quoted(key)} means nothing here; known are: {known}."
        case "anyOf":
            yield from _of_any(error, at)
        case _:
            yield at, f"The {_title(schema)} {_judged(str(error.validator), said, value, schema)}."


def _of_any(error: ValidationError, at: str) -> Iterator[tuple[str, str]]:
    """What the alternative refuses that is of the value's type, or which types there are."""
    parts: dict[Any, list[ValidationError]] = {}
    for below_it in error.context or ():
        parts.setdefault(below_it.schema_path[0], []).append(below_it)
    for errors in parts.values():
        if all(one.validator != "type" or one.path for one in errors):
            for one in errors:
                yield from _told(one)
            return
    types = [_WORDS[name] for errors in parts.values() for name in _wanted(errors)]
    schema = error.schema
    assert isinstance(schema, Mapping)
    yield at, f"The {_title(schema)} must be {_either(types)}, not {kind(error.instance)}."


def _wanted(errors: list[ValidationError]) -> list[str]:
    types: Any = next(one for one in errors if one.validator == "type").validator_value
    return [types] if isinstance(types, str) else types


def _judged(keyword: str, said: Any, value: Any, schema: Mapping[str, Any]) -> str:
    match keyword:
        case "type":
            types = [_WORDS[name] for name in ([said] if isinstance(said, str) else said)]
            return f"must be {_either(types)}, not {kind(value)}"
        case "enum":
            known = ", ".join(str(one) for one in said)
            return f"{quoted(value)} is unknown; known are: {known}"
        case "minLength":
            return "must be text that is not empty"
        case "maxLength":
            return f"{quoted(value)} has more than {said} characters"
        case "pattern" if said == r"\S":
            return "must be text that is not empty"
        case "pattern":
            return f"{quoted(value)} does not fit{_said(schema)}"[:-1]
        case "minItems":
            return "must be a list that is not empty"
        case "maxItems":
            return f"must be a list of no more than {said}"
        case "uniqueItems":
            return "must be a list that names each but once"
        case "minimum":
            return f"must be at least {said}"
        case "exclusiveMinimum":
            return f"must be more than {said}"
        case "maximum":
            return f"must be at most {said}"
    return f"must keep to its {keyword}, {said}"


def _title(schema: Mapping[str, Any]) -> str:
    title = str(schema.get("title", "value"))
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def _what(schema: Mapping[str, Any], key: str) -> str:
    part = schema.get("properties", {}).get(key)
    return _said(part) if isinstance(part, Mapping) else "."


def _said(schema: Mapping[str, Any]) -> str:
    """What a schema says of itself, as the end of a sentence."""
    text = str(schema.get("description", ""))
    return f": {text[:1].lower()}{text[1:]}" if text else "."
