"""Rules: JSON trees that choose the path of an execution. They run no code.

A rule is ``{"all": [...]}``, ``{"any": [...]}``, ``{"not": ...}`` or a comparison such as
``{"field": "severity", "op": "gte", "value": 3}``. A comparison never fails: if the two values
cannot be compared, it does not hold.

For a missing field, only ``missing`` holds, and a comparison with a missing value: ``eq`` null, or
``in`` a list that contains null. So ``ne`` and ``not_in`` hold only for existing fields.

The value is a literal or a value source (``value_sources``). ``field`` names a field, or a variable
with ``$``.

Texts that are moments are compared as moments, so offset and spelling do not matter. The literals
of a rule are checked when it is saved (``rule_literals``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from executions.engine import value_sources
from workflows.db import clock
from workflows.db.json_values import below, canonical, is_number, json_type, quoted
from workflows.graph import Schema
from workflows.values import moments
from workflows.values.missing import is_missing

MAX_DEPTH = 32
_PRESENCE = ("exists", "missing")
_EQUALITY = ("eq", "in")
LISTS = ("in", "not_in")
"""The operators that compare with a list."""
ORDERINGS = ("gt", "gte", "lt", "lte")
"""The operators that compare an order."""


def _same(left: Any, right: Any) -> bool:
    if is_missing(left) or is_missing(right):
        return is_missing(left) and is_missing(right)
    # In Python True equals 1 and [True] equals [1]; in JSON they differ.
    if isinstance(left, (dict, list)) and isinstance(right, (dict, list)):
        return canonical(left) == canonical(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if left == right:
        return True
    ordered = _comparable(left, right) if isinstance(left, str) else None
    return ordered is not None and ordered[0] == ordered[1]


def _comparable(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Return two values in a form that has an order: numbers, moments, or else texts.

    Return None if they have no order. Other texts have no order with moments.
    """
    if is_number(left) and is_number(right):
        return left, right
    if not (isinstance(left, str) and isinstance(right, str)):
        return None
    second = moments.parse(right)
    if second is None:
        return left, right
    first = moments.parse(left)
    return None if first is None else (moments.sort_key(first), moments.sort_key(second))


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def holds_of(left: Any, right: Any) -> bool:
        pair = _comparable(left, right)
        return pair is not None and compare(*pair)

    return holds_of


def _is_in(left: object, right: object) -> bool:
    return isinstance(right, list) and any(_same(left, item) for item in right)


def _has(left: object, right: object) -> bool:
    if isinstance(left, str):
        return isinstance(right, str) and right in left
    return _is_in(right, left)


def _lacks(left: object, right: object) -> bool:
    comparable = isinstance(left, list) or (isinstance(left, str) and isinstance(right, str))
    return comparable and not _has(left, right)


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "ne": lambda left, right: not _same(left, right),
    "gt": _ordered(operator.gt),
    "gte": _ordered(operator.ge),
    "lt": _ordered(operator.lt),
    "lte": _ordered(operator.le),
    "in": _is_in,
    "not_in": lambda left, right: isinstance(right, list) and not _is_in(left, right),
    "contains": _has,
    "not_contains": _lacks,
    "starts_with": lambda left, right: (
        isinstance(left, str) and isinstance(right, str) and left.startswith(right)
    ),
    "ends_with": lambda left, right: (
        isinstance(left, str) and isinstance(right, str) and left.endswith(right)
    ),
}
OPS: tuple[str, ...] = (*_COMPARISONS, *_PRESENCE)
"""Every operator that a comparison may name."""


def holds(rule: Mapping[str, Any], fields: Mapping[str, Any], now: datetime | None = None) -> bool:
    """Return True if a rule without ``problems`` holds for these fields and variables.

    Args:
        now: the time of ``{"now": true}``; by default, the current time.
    """
    if "all" in rule:
        return all(holds(part, fields, now) for part in rule["all"])
    if "any" in rule:
        return any(holds(part, fields, now) for part in rule["any"])
    if "not" in rule:
        return not holds(rule["not"], fields, now)
    name: str = rule["field"]
    op: str = rule["op"]
    value = fields.get(name)
    if op in _PRESENCE:
        return is_missing(value) == (op == "missing")
    other = rule["value"]
    if isinstance(other, dict):
        try:
            other = value_sources.evaluate(other, fields, now or clock.now())
        except value_sources.InvalidValue:
            return False
    if is_missing(value):
        return op in _EQUALITY and _has_missing(op, other)
    return _COMPARISONS[op](value, other)


def _has_missing(op: str, literal: Any) -> bool:
    """Return True if the literal of ``eq`` or ``in`` is or contains a missing value."""
    literals = literal if op == "in" and isinstance(literal, list) else [literal]
    return any(map(is_missing, literals))


def names(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield the name of every field that a rule compares, and of every variable with ``$``."""
    negated = [rule["not"]] if "not" in rule else []
    for part in [*rule.get("all", ()), *rule.get("any", ()), *negated]:
        yield from names(part)
    if "field" in rule:
        yield rule["field"]
        yield from value_sources.names(rule.get("value"))


_PARTS = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}}
RULE: dict[str, Any] = {
    "title": "Rule",
    "description": "One of {all: […]}, {any: […]}, {not: …} and {field, op, value}.",
    "type": "object",
    "properties": {
        "all": {"title": "All", "description": "Rules that must all hold.", **_PARTS},
        "any": {"title": "Any", "description": "Rules of which at least one must hold.", **_PARTS},
        "not": {
            "title": "Not",
            "description": "The rule that must not hold.",
            "$ref": "#/$defs/rule",
        },
        "field": {
            "title": "Field",
            "description": "The field to compare, or $ and the name of a variable.",
            "type": "string",
            "minLength": 1,
            "format": "value-name",
        },
        "op": {
            "title": "Operator",
            "description": "The operator. A field that is null, blank or left out is missing. For a"
            " missing field, only 'missing' is true, and 'eq' or 'in' with null.",
            "type": "string",
            "enum": list(OPS),
        },
        "value": {
            "title": "Value",
            "description": "The value to compare with: a literal, or a value source such as"
            " {field: name}, {variable: name}, {now: true} or {today: true}. 'exists' and"
            " 'missing' take none.",
        },
    },
    "additionalProperties": False,
    "examples": [
        {"field": "severity", "op": "gte", "value": 3},
        {"all": [{"field": "owner", "op": "exists"}, {"not": {"field": "closed", "op": "exists"}}]},
        {"field": "$amount", "op": "gt", "value": {"field": "limit"}},
    ],
}
"""The schema of a rule, for ``$defs``. ``combination_problems`` checks the rest."""
_SCHEMA = Schema({"$ref": "#/$defs/rule", "$defs": {"rule": RULE}})


def problems(rule: object, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield pointer and detail of every problem of a rule."""
    deep = list(_too_deep(rule, pointer, 1))
    flaws = deep or [(pointer + at, detail) for at, detail in _SCHEMA.problems(rule)]
    yield from flaws or combination_problems(rule, pointer)


def _too_deep(rule: Any, pointer: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > MAX_DEPTH:
        yield (
            pointer,
            gettext("The rule is nested more than {max_depth} levels deep.").format(
                max_depth=MAX_DEPTH
            ),
        )
    elif isinstance(rule, dict):
        for at, part in parts_of(rule):
            yield from _too_deep(part, pointer + at, depth + 1)


def parts_of(rule: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield pointer and rule of each part in ``all``, ``any`` and ``not``."""
    for head in ("all", "any"):
        parts = rule.get(head)
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            yield below("", head, index), part
    if "not" in rule:
        yield "/not", rule["not"]


def combination_problems(
    rule: Any, pointer: str = "", *, depth: int = 1
) -> Iterator[tuple[str, str]]:
    """Yield the problems of a rule that matches ``RULE``: parts that do not fit together."""
    if depth > MAX_DEPTH:
        yield from _too_deep(rule, pointer, depth)
        return
    heads = [key for key in ("all", "any", "not") if key in rule]
    if not heads:
        yield from _comparison_problems(rule, pointer)
        return
    for key in rule:
        if key != heads[0]:
            detail = gettext("{key} cannot be combined with {value} in one rule.").format(
                key=quoted(key), value=quoted(heads[0])
            )
            yield below(pointer, key), detail
    for at, part in parts_of({heads[0]: rule[heads[0]]}):
        yield from combination_problems(part, pointer + at, depth=depth + 1)


def _comparison_problems(rule: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    for key in ("field", "op"):
        if key not in rule:
            yield pointer, gettext("The comparison needs a '{key}'.").format(key=key)
    op = rule.get("op")
    if op is None:
        return
    if op in _PRESENCE:
        if "value" in rule:
            yield (
                below(pointer, "value"),
                gettext("The operator '{op}' takes no 'value'.").format(op=op),
            )
        return
    if "value" not in rule:
        yield pointer, gettext("The operator '{op}' needs a 'value'.").format(op=op)
        return
    value = rule["value"]
    if value_sources.is_source(value):
        return
    wanted = None
    if op in LISTS:
        wanted = None if isinstance(value, list) and value else "a non-empty list"
    elif op in ORDERINGS:
        wanted = None if isinstance(value, str) or is_number(value) else "a number or text"
    elif op in ("starts_with", "ends_with"):
        wanted = None if isinstance(value, str) else "text"
    if wanted and (found := list(value_sources.problems(value, below(pointer, "value")))):
        yield from found
    elif wanted:
        got = "an empty list" if value == [] else json_type(value)
        yield (
            below(pointer, "value"),
            gettext("The operator '{op}' compares with {wanted}, not {got}.").format(
                op=op, wanted=wanted, got=got
            ),
        )
