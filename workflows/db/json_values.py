"""JSON values: pointers, strict parsing, limits of what a database can store, checksums."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, TypeGuard

MAX_DEPTH = 64
MAX_STORAGE_PROBLEMS = 20
_EXACT = 2**53
_EXPONENT = 1e16
_MORE_DIGITS = "has more digits than can be stored exactly; send it as text"


def below(pointer: str, *keys: object) -> str:
    """Return the JSON pointer (RFC 6901) that appends these keys to ``pointer``."""
    for key in keys:
        text = str(key).encode("utf-8", "backslashreplace").decode()
        pointer += "/" + text.replace("~", "~0").replace("/", "~1")
    return pointer


def quoted(value: object) -> str:
    """Return ``value`` for use in a sentence: short, printable, in quotes if it is text."""
    if not isinstance(value, str):
        return json_type(value)
    text = value if len(value) <= 80 else value[:79] + "…"
    if not text.isprintable():
        text = "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
        )
    return f"'{text}'"


def json_type(value: object) -> str:
    """Return the JSON type of a value for use in a sentence: "text", "a list", "null"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    words = ((str, "text"), ((int, float), "a number"), (list, "a list"), (dict, "an object"))
    return next((word for types, word in words if isinstance(value, types)), "not a JSON value")


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text; no object may contain a name twice.

    Raises:
        InexactNumber: a number cannot be stored exactly; a ``ValueError``.
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
        # Python's own message names a setting of Python.
        if "int_max_str_digits" in str(error):
            raise InexactNumber(f"A number {_MORE_DIGITS}") from None
        raise


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; Python would silently keep the last value of a repeated name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"{quoted(name)} is given twice in one object")
            seen.add(name)
    return found


def is_number(value: object) -> TypeGuard[int | float]:
    """Return True for a JSON number. In Python, a boolean is an integer."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def storage_problem(value: object) -> str | None:
    """Return why a scalar value cannot be stored as JSON, or None if it can.

    The reason ends a sentence that starts with the value.
    """
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
            return "is too large"
    return "is not a JSON value"


class InexactNumber(ValueError):
    """The number cannot be stored exactly."""


def rounding_problem(value: object) -> str | None:
    """Return why a number cannot be stored exactly, or None if it can.

    Most programs read JSON numbers as 64-bit floats, which round large integers.
    """
    if not isinstance(value, int) or isinstance(value, bool) or -_EXACT <= value <= _EXACT:
        return None
    try:
        is_exact = Decimal(repr(float(value))) == value
    except OverflowError:
        is_exact = False
    return None if is_exact else _MORE_DIGITS


def exact_float(text: str) -> float:
    """Parse a number with a point or an exponent; used as ``parse_float`` of ``json.loads``.

    Raises:
        InexactNumber: a 64-bit float would round it.
    """
    number = float(text)
    # ``find_unstorable`` reports infinite numbers, with their place.
    if math.isfinite(number) and Decimal(repr(number)) != Decimal(text):
        shortened = text if len(text) <= 40 else f"{text[:39]}…"
        raise InexactNumber(f"{shortened} {_MORE_DIGITS}")
    return number


class StrictDecoder(json.JSONDecoder):
    """A JSON decoder that is as strict as ``parse_json``."""

    def decode(self, s: str, *args: Any) -> Any:
        """Parse a text; raise the errors of ``parse_json``."""
        return parse_json(s)


def find_unstorable(source: object, *, exact: bool = True) -> Iterator[tuple[str, str]]:
    """Yield a pointer and a sentence for each value in ``source`` that cannot be stored as JSON.

    Yields at most ``MAX_STORAGE_PROBLEMS``: a pointer repeats all keys above its value, so the
    total length of all pointers can be quadratic. With ``exact``, numbers that not every program
    stores exactly are reported too.
    """
    return islice(_each_unstorable(source, exact), MAX_STORAGE_PROBLEMS)


def _each_unstorable(source: object, exact: bool) -> Iterator[tuple[str, str]]:
    stack: list[tuple[object, tuple[object, ...]]] = [(source, ())]
    while stack:
        value, path = stack.pop()
        if not isinstance(value, (dict, list)):
            if reason := storage_problem(value) or (rounding_problem(value) if exact else None):
                place = below("", *path)
                name = f"The value at {place}" if place else "The value"
                yield place, f"{name} {reason}."
        elif len(path) >= MAX_DEPTH:
            yield (below("", *path), f"The values are nested more than {MAX_DEPTH} levels deep.")
        elif isinstance(value, list):
            stack.extend((item, (*path, index)) for index, item in reversed([*enumerate(value)]))
        else:
            for key in value:
                reason = storage_problem(key) if isinstance(key, str) else "is not text"
                if reason:
                    yield below("", *path, key), f"The key {quoted(key)} {reason}."
            stack.extend((item, (*path, key)) for key, item in reversed([*value.items()]))


def make_storable(value: object, depth: int = 0) -> object:
    """Return a copy of ``value`` in which a placeholder replaces each unstorable value."""
    if isinstance(value, (dict, list, tuple)) and depth >= MAX_DEPTH:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {
            str(make_storable(str(key))): make_storable(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [make_storable(item, depth + 1) for item in value]
    reason = storage_problem(value)
    if reason is None:
        return value
    if isinstance(value, str):
        return value.replace("\0", "�").encode("utf-8", "replace").decode()
    return f"({reason})"


def _as_jsonb(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        # PostgreSQL stores decimal digits: 1e23 comes back as 10**23, which is not int(1e23).
        return int(Decimal(repr(value)))
    if isinstance(value, dict):
        return {key: _as_jsonb(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_jsonb(item) for item in value]
    return value


def as_stored(value: Any) -> Any:
    """Return a storable JSON value as PostgreSQL returns it from a ``jsonb`` column.

    It orders the names of an object by their length, and stores numbers as decimal digits.
    """
    if isinstance(value, dict):
        names = sorted((len(encoded), encoded, name) for name, encoded in _encoded(value))
        return {name: as_stored(value[name]) for *_, name in names}
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    if isinstance(value, float):
        # Zero has no sign, and a number that is written with an exponent comes back without it.
        return int(Decimal(repr(value))) if abs(value) >= _EXPONENT else value + 0.0
    return value


def _encoded(value: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    return ((name, name.encode()) for name in value)


def canonical(source: object) -> str:
    """Return the canonical JSON of a value; it survives a round trip through the database."""
    return json.dumps(
        _as_jsonb(source),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )


def checksum(*parts: object) -> str:
    """Return the SHA-256 of the canonical JSON of these parts, in hex."""
    return hashlib.sha256(canonical(parts).encode("utf-8", "surrogatepass")).hexdigest()
