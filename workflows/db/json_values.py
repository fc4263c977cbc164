"""JSON values: how they are pointed at and named, what a database can store, their checksum."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any

MAX_DEPTH = 64
MOST_PROBLEMS = 20
_EXACT = 2**53
_MORE_DIGITS = "has more digits than can be kept exactly; send it as text"


def below(pointer: str, *keys: object) -> str:
    """Return the JSON pointer (RFC 6901) of what lies under ``pointer`` by these keys."""
    for key in keys:
        text = str(key).encode("utf-8", "backslashreplace").decode()
        pointer += "/" + text.replace("~", "~0").replace("/", "~1")
    return pointer


def quoted(value: object) -> str:
    """Return ``value`` as a sentence may name it: short, printable, in quotes if it is text."""
    if not isinstance(value, str):
        return kind(value)
    text = value if len(value) <= 80 else value[:79] + "…"
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
        )
    return f"'{text}'"


def kind(value: object) -> str:
    """Return what sort of JSON value this is, as a sentence says it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    words = ((str, "text"), ((int, float), "a number"), (list, "a list"), (dict, "an object"))
    return next((word for types, word in words if isinstance(value, types)), "no JSON value")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text in which no name of an object is given twice.

    Raises:
        InexactNumber: a number cannot be kept as it is; a ``ValueError``.
        ValueError: the text is not JSON, holds NaN or Infinity, or repeats a name.
        RecursionError: the values are nested too deeply.
    """
    try:
        return json.loads(
            text,
            parse_constant=_refuse_constant,
            parse_float=exact_float,
            object_pairs_hook=_without_repeats,
        )
    except ValueError as error:
        # Python's own words name a setting of Python.
        if "int_max_str_digits" in str(error):
            raise InexactNumber(f"A number {_MORE_DIGITS}") from None
        raise


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; the last of several values would win, and the others be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"{quoted(name)} is given twice in one object")
            seen.add(name)
    return found


def unstorable(value: object) -> str | None:
    """Say why a single value (no list, no object) cannot be stored as JSON, or None if it can."""
    if isinstance(value, str):
        if "\0" in value:
            return "contains a NUL character, which databases cannot store"
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            return "contains half a character (a lone surrogate), which databases cannot store"
        return None
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        try:
            return None if math.isfinite(value) else "is not a finite number"
        except OverflowError:
            return "is too large a number"
    return "is no JSON value"


class InexactNumber(ValueError):
    """A number cannot be kept as it is."""


def inexact(value: object) -> str | None:
    """Say why a number cannot be kept as it is by every program that reads JSON, or None.

    Most read numbers as 64-bit floats: a whole number of more digits would come back as another.
    """
    if not isinstance(value, int) or isinstance(value, bool) or -_EXACT <= value <= _EXACT:
        return None
    try:
        is_exact = Decimal(repr(float(value))) == value
    except OverflowError:
        is_exact = False
    return None if is_exact else _MORE_DIGITS


def exact_float(text: str) -> float:
    """Return the number that a text with a point or an exponent spells.

    For ``parse_float`` of ``json.loads``.

    Raises:
        InexactNumber: a 64-bit float would round it.
    """
    number = float(text)
    # What is not finite is for ``unstorable`` to refuse, which knows where it stands.
    if math.isfinite(number) and Decimal(repr(number)) != Decimal(text):
        shown = text if len(text) <= 40 else f"{text[:39]}…"
        raise InexactNumber(f"{shown} {_MORE_DIGITS}")
    return number


class StrictDecoder(json.JSONDecoder):
    """Reads JSON as ``parse_json`` does."""

    def decode(self, s: str, *args: Any) -> Any:
        """Return the value of a text. Raises what ``parse_json`` raises."""
        return parse_json(s)


def unstorable_in(source: object, *, exact: bool = True) -> Iterator[tuple[str, str]]:
    """Yield pointer and sentence of values inside ``source`` that cannot be stored as JSON.

    The first ``MOST_PROBLEMS`` of them: each pointer repeats all keys above its value, so that
    all pointers together can be as long as the square of the source. ``exact``: numbers that not
    every program keeps exactly are among them.
    """
    return islice(_each_unstorable(source, exact), MOST_PROBLEMS)


def _each_unstorable(source: object, exact: bool) -> Iterator[tuple[str, str]]:
    stack: list[tuple[object, tuple[object, ...]]] = [(source, ())]
    while stack:
        value, path = stack.pop()
        if not isinstance(value, (dict, list)):
            if reason := unstorable(value) or (inexact(value) if exact else None):
                place = below("", *path)
                yield place, f"The value at {place or 'the top'} {reason}."
        elif len(path) >= MAX_DEPTH:
            yield (below("", *path), f"The values are nested more than {MAX_DEPTH} levels deep.")
        elif isinstance(value, list):
            stack.extend((item, (*path, index)) for index, item in reversed([*enumerate(value)]))
        else:
            for key in value:
                reason = unstorable(key) if isinstance(key, str) else "is no text"
                if reason:
                    yield below("", *path, key), f"The key {quoted(key)} {reason}."
            stack.extend((item, (*path, key)) for key, item in reversed([*value.items()]))


def storable(value: object, depth: int = 0) -> object:
    """Return ``value`` with whatever no database can store replaced by what tells of it."""
    if isinstance(value, (dict, list, tuple)) and depth >= MAX_DEPTH:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {str(storable(str(key))): storable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(item, depth + 1) for item in value]
    reason = unstorable(value)
    if reason is None:
        return value
    if isinstance(value, str):
        return value.replace("\0", "�").encode("utf-8", "replace").decode()
    return f"({reason})"


def _as_jsonb(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        # PostgreSQL keeps the decimal digits: 1e23 comes back as 10**23, which int(1e23) is not.
        return int(Decimal(repr(value)))
    if isinstance(value, dict):
        return {key: _as_jsonb(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_jsonb(item) for item in value]
    return value


def canonical(source: object) -> str:
    """Return the one JSON text of a value; it survives a round trip through the database."""
    return json.dumps(
        _as_jsonb(source),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def checksum(*parts: object) -> str:
    """Return the SHA-256, in hex, over the canonical JSON of these parts."""
    return hashlib.sha256(canonical(parts).encode("utf-8", "surrogatepass")).hexdigest()
