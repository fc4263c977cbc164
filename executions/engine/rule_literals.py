"""Checks of the values of a rule: of sources, and of literals against the types of the fields.

The graph gives the types to the fields: its forms and the other nodes that write them.

Stored rules may be older than these checks. They run unchanged, and are checked when they are
saved again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext

from executions.engine import value_sources
from executions.engine.form_fields import FILE
from executions.engine.rules import LISTS, ORDERINGS, parts_of
from workflows.db.json_values import below, is_number, json_type, quoted
from workflows.values import moments
from workflows.values.missing import is_missing

ANY = "any"
"""The type of a field that other systems write: its values may have any type."""
FieldTypes = Mapping[str, Collection[str]]
"""The types that forms and other nodes give to a field, by its name."""

_MOMENT = "a date such as 2026-12-31, or a date with a time such as 2026-12-31T17:00Z"


def _is_moment(value: object) -> bool:
    return moments.parse(value) is not None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_FITS: dict[str, tuple[Callable[[object], bool], str]] = {
    "number": (is_number, "a number"),
    "date": (_is_moment, _MOMENT),
    "datetime": (_is_moment, _MOMENT),
    "checkbox": (lambda value: isinstance(value, bool), "true or false"),
    "multiple_choice": (lambda value: isinstance(value, list), "a list"),
    FILE: (lambda value: isinstance(value, (dict, list)), "the reference of a file"),
}
_TEXT = (_is_text, "text")
_UNORDERED = ("checkbox", "multiple_choice", FILE)
_WHOLE = ("number", "checkbox", "multiple_choice", FILE)


def type_of(value: object) -> str:
    """Return the type of form field with this value."""
    for name in ("number", "checkbox", "multiple_choice", "datetime"):
        if _FITS[name][0](value):
            return name
    return "text" if isinstance(value, str) else ANY


def problems(rule: Mapping[str, Any], types: FieldTypes, pointer: str = "") -> Iterator[Any]:
    """Yield pointer and detail of each literal that cannot be compared with its field.

    Args:
        rule: a rule without ``rules.problems``.
        types: the known types of the fields.
        pointer: the JSON pointer of the rule.
    """
    for at, part in parts_of(rule):
        yield from problems(part, types, pointer + at)
    if "value" not in rule:
        return
    name, op, value = rule["field"], rule["op"], rule["value"]
    known = () if ANY in types.get(name, ()) else tuple(sorted(types.get(name, ())))
    at = below(pointer, "value")
    if isinstance(value, dict) and (
        value_sources.is_source(value) or list(value_sources.problems(value))
    ):
        yield from value_sources.problems(value, at)
        return
    if op in ORDERINGS:
        if reason := _unordered(name, op, value, known):
            yield at, reason
    elif op in LISTS:
        for index, item in enumerate(value):
            if reason := _unfit(name, item, known):
                yield below(at, index), reason
    elif op in ("eq", "ne"):
        if reason := _unfit(name, value, known):
            yield at, reason
    elif reason := _without_parts(name, op, value, known):
        yield at, reason


def _unordered(name: str, op: str, value: object, known: Collection[str]) -> str | None:
    if not known:
        if is_number(value) or _is_moment(value):
            return None
        return gettext(
            "The operator '{op}' compares with a number, or {moment}, not {value}. It compares"
            " with text only if a form of this workflow has the field as text."
        ).format(op=op, moment=_MOMENT, value=quoted(value))
    ordered = [one for one in known if one not in _UNORDERED]
    if not ordered:
        return gettext("The field {name} is a {types}. '{op}' cannot compare it.").format(
            name=quoted(name), types=_words(known), op=op
        )
    return _unfit(name, value, ordered) if not is_missing(value) else _wanted(name, value, ordered)


def _without_parts(name: str, op: str, value: object, known: Collection[str]) -> str | None:
    """Return why ``contains``, ``starts_with`` and the like never hold, or None."""
    whole = ("number", "checkbox", FILE) if op in ("contains", "not_contains") else _WHOLE
    parted = [one for one in known if one not in whole]
    if known and not parted:
        return gettext("The field {name} is a {types}. '{op}' cannot search it.").format(
            name=quoted(name), types=_words(known), op=op
        )
    if "multiple_choice" in parted or not known or isinstance(value, str):
        return None
    return gettext("The field {name} is a {types}: '{op}' needs text, not {type}.").format(
        name=quoted(name), types=_words(known), op=op, type=json_type(value)
    )


def _unfit(name: str, value: object, known: Collection[str]) -> str | None:
    if not known or is_missing(value):
        return None
    if any(_FITS.get(one, _TEXT)[0](value) for one in known):
        return None
    return _wanted(name, value, known)


def _wanted(name: str, value: object, known: Collection[str]) -> str:
    wanted = " or ".join(dict.fromkeys(_FITS.get(one, _TEXT)[1] for one in known))
    got = quoted(value) if isinstance(value, str) else json_type(value)
    return gettext("The field {name} is a {types}: compare it with {wanted}, not {got}.").format(
        name=quoted(name), types=_words(known), wanted=wanted, got=got
    )


def _words(known: Collection[str]) -> str:
    return " or ".join(one.replace("_", " ") for one in known)


def normalize(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule without problems, its moments in the spelling of stored fields."""
    made: dict[str, Any] = {}
    for key, value in rule.items():
        if key in ("all", "any"):
            made[key] = [normalize(part) for part in value]
        elif key == "not":
            made[key] = normalize(value)
        elif key == "value" and rule["op"] in (*ORDERINGS, *LISTS, "eq", "ne"):
            is_list = rule["op"] in LISTS and isinstance(value, list)
            made[key] = [_spelled(item) for item in value] if is_list else _spelled(value)
        else:
            made[key] = value
    return made


def _spelled(value: Any) -> Any:
    return moments.normalize(value) if isinstance(value, str) else value
