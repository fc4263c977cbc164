"""Rules: the JSON trees that decide which way an execution goes. They run no code.

A rule is ``{"all": [...]}``, ``{"any": [...]}``, ``{"not": ...}`` or a comparison such as
``{"field": "severity", "op": "gte", "value": 3}``. A comparison never fails: where the field is
missing, or the two values cannot be compared, it does not hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from workflows.jsontext import below, canonical, kind, quoted

MAX_DEPTH = 32
_PRESENCE = ("exists", "missing")
_FORMS = "a rule is {all: […]}, {any: […]}, {not: …} or {field, op, value}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    # In Python True equals 1 and [True] equals [1]; in JSON they differ.
    if isinstance(left, (dict, list)) and isinstance(right, (dict, list)):
        return canonical(left) == canonical(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _ordered(left: object, right: object) -> bool:
    both_text = isinstance(left, str) and isinstance(right, str)
    return both_text or (_is_number(left) and _is_number(right))


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
    "gt": lambda left, right: _ordered(left, right) and left > right,
    "gte": lambda left, right: _ordered(left, right) and left >= right,
    "lt": lambda left, right: _ordered(left, right) and left < right,
    "lte": lambda left, right: _ordered(left, right) and left <= right,
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


def holds(rule: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Say whether a rule that ``problems`` finds nothing in holds for these fields."""
    if "all" in rule:
        return all(holds(part, fields) for part in rule["all"])
    if "any" in rule:
        return any(holds(part, fields) for part in rule["any"])
    if "not" in rule:
        return not holds(rule["not"], fields)
    name: str = rule["field"]
    op: str = rule["op"]
    if op in _PRESENCE:
        return (name in fields) == (op == "exists")
    return name in fields and _COMPARISONS[op](fields[name], rule["value"])


def names(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield the name of every field that a rule compares."""
    negated = [rule["not"]] if "not" in rule else []
    for part in [*rule.get("all", ()), *rule.get("any", ()), *negated]:
        yield from names(part)
    if "field" in rule:
        yield rule["field"]


def problems(rule: object, pointer: str = "", *, depth: int = 1) -> Iterator[tuple[str, str]]:
    """Yield a pointer and a sentence for everything in a rule that has no meaning."""
    if depth > MAX_DEPTH:
        yield pointer, f"The rule is nested more than {MAX_DEPTH} levels deep."
        return
    if not isinstance(rule, dict):
        yield pointer, f"A rule is an object, not {kind(rule)}: {_FORMS}."
        return
    heads = [key for key in ("all", "any", "not") if key in rule]
    if not heads:
        yield from _comparison_problems(rule, pointer)
        return
    head = heads[0]
    for key in rule:
        if key != head:
            detail = f"{quoted(key)} cannot stand beside {quoted(head)} in one rule."
            yield below(pointer, key), detail
    if head == "not":
        yield from problems(rule["not"], below(pointer, "not"), depth=depth + 1)
        return
    parts, place = rule[head], below(pointer, head)
    if not isinstance(parts, list):
        yield place, f"{quoted(head)} takes a list of rules, not {kind(parts)}."
    elif not parts:
        yield (place, f"{quoted(head)} takes at least one rule; an empty list is likely a mistake.")
    else:
        for index, part in enumerate(parts):
            yield from problems(part, below(place, index), depth=depth + 1)


def _comparison_problems(rule: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    for key in rule:
        if key not in ("field", "op", "value"):
            yield (below(pointer, key), f"{quoted(key)} means nothing in a rule; {_FORMS}.")
    if "field" not in rule:
        yield pointer, "The comparison does not name its 'field'."
    elif not isinstance(rule["field"], str) or not rule["field"]:
        yield (below(pointer, "field"), "The 'field' of a comparison must be a non-empty text.")
    if "op" not in rule:
        yield pointer, "The comparison does not name its 'op'."
        return
    op = rule["op"]
    if not isinstance(op, str) or op not in OPS:
        detail = f"The op {quoted(op)} is unknown; known ones are: {', '.join(OPS)}."
        yield below(pointer, "op"), detail
        return
    if op in _PRESENCE:
        if "value" in rule:
            yield below(pointer, "value"), f"The op '{op}' takes no 'value'."
        return
    if "value" not in rule:
        yield pointer, f"The op '{op}' needs a 'value'."
        return
    value = rule["value"]
    wanted = None
    if op in ("in", "not_in"):
        wanted = None if isinstance(value, list) and value else "a list that is not empty"
    elif op in ("gt", "gte", "lt", "lte"):
        wanted = None if isinstance(value, str) or _is_number(value) else "a number or text"
    elif op in ("starts_with", "ends_with"):
        wanted = None if isinstance(value, str) else "text"
    if wanted:
        got = "an empty list" if value == [] else kind(value)
        yield (below(pointer, "value"), f"The op '{op}' compares with {wanted}, not {got}.")
