"""Messages for the errors of a JSON Schema: one sentence for each place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import ValidationError

from workflows.db.json_values import below, json_type, quoted

_WORDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def describe_errors(errors: Iterable[ValidationError]) -> list[tuple[str, str]]:
    """Return a pointer and a sentence for each place with an error; the first error counts."""
    found: dict[str, str] = {}
    for error in errors:
        for pointer, sentence in _describe(error):
            found.setdefault(pointer, sentence)
    return list(found.items())


def describe_types(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """Return the JSON types that a schema allows, for use in a sentence: "text or null"."""
    return _join_or(_words(schema, defs))


def _join_or(words: list[str]) -> str:
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


def _describe(error: ValidationError) -> Iterator[tuple[str, str]]:
    at, value, schema = below("", *error.absolute_path), error.instance, error.schema
    assert isinstance(schema, Mapping)
    expected: Any = error.validator_value
    if "propertyNames" in error.schema_path:
        at = below(at, value)
    match error.validator:
        case "required":
            for key in expected:
                if key not in value:
                    yield below(at, key), f"{quoted(key)} is required{_property_end(schema, key)}"
        case "additionalProperties":
            allowed = ", ".join(schema.get("properties", {}))
            for key in value:
                if key not in schema.get("properties", {}):
                    yield below(at, key), f"Unknown key {quoted(key)}. Allowed: {allowed}."
        case "anyOf":
            yield from _describe_any_of(error, at)
        case _:
            predicate = _predicate(str(error.validator), expected, value, schema)
            yield at, f"The {_title(schema)} {predicate}."


def _describe_any_of(error: ValidationError, at: str) -> Iterator[tuple[str, str]]:
    """Describe the errors of the alternative with the value's type, or list the types allowed."""
    parts: dict[Any, list[ValidationError]] = {}
    for nested in error.context or ():
        parts.setdefault(nested.schema_path[0], []).append(nested)
    for errors in parts.values():
        if all(one.validator != "type" or one.path for one in errors):
            for one in errors:
                yield from _describe(one)
            return
    types = [_WORDS[name] for errors in parts.values() for name in _types_of(errors)]
    schema = error.schema
    assert isinstance(schema, Mapping)
    yield at, f"The {_title(schema)} must be {_join_or(types)}, not {json_type(error.instance)}."


def _types_of(errors: list[ValidationError]) -> list[str]:
    types: Any = next(one for one in errors if one.validator == "type").validator_value
    return [types] if isinstance(types, str) else types


def _predicate(keyword: str, expected: Any, value: Any, schema: Mapping[str, Any]) -> str:
    match keyword:
        case "type":
            types = [
                _WORDS[name] for name in ([expected] if isinstance(expected, str) else expected)
            ]
            return f"must be {_join_or(types)}, not {json_type(value)}"
        case "enum":
            allowed = ", ".join(str(one) for one in expected)
            return f"{quoted(value)} is unknown. Allowed: {allowed}"
        case "minLength":
            return "must not be empty"
        case "maxLength":
            return f"{quoted(value)} is longer than {expected} characters"
        case "pattern" if expected == r"\S":
            return "must not be empty"
        case "pattern":
            return f"{quoted(value)} is invalid{_description_end(schema)}"[:-1]
        case "minItems":
            return "must not be empty"
        case "maxItems":
            return f"must not have more than {expected} items"
        case "uniqueItems":
            return "must not contain duplicates"
        case "minimum":
            return f"must be at least {expected}"
        case "exclusiveMinimum":
            return f"must be more than {expected}"
        case "maximum":
            return f"must be at most {expected}"
    return f"does not satisfy {keyword} {expected}"


def _title(schema: Mapping[str, Any]) -> str:
    title = str(schema.get("title", "value"))
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def _property_end(schema: Mapping[str, Any], key: str) -> str:
    part = schema.get("properties", {}).get(key)
    return _description_end(part) if isinstance(part, Mapping) else "."


def _description_end(schema: Mapping[str, Any]) -> str:
    """Return the description of a schema as the end of a sentence."""
    text = str(schema.get("description", ""))
    return f": {text[:1].lower()}{text[1:]}" if text else "."
