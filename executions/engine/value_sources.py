"""Value sources: where a node takes a value from. They run no code.

A source is ``{"field": name}``, ``{"variable": name}``, ``{"now": true}``, ``{"today": true}``,
``{"add": [source, source]}``, ``{"count": source}`` or ``{"text": "… {{name}} …"}``. Every other
JSON value is a literal and stands for itself. A source of a missing value is missing.

Values are read from one mapping: fields by their names, variables by their names with ``$``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine import durations as graph_durations
from executions.engine import form_fields, placeholders
from workflows.db.json_values import (
    below,
    is_number,
    json_type,
    quoted,
    rounding_problem,
    storage_problem,
)
from workflows.refusals import Refusal
from workflows.values import durations, moments
from workflows.values.missing import is_missing

VARIABLE = "$"
"""The first character of the names of variables, where fields and variables are named alike."""
MAX_TEXT = 100_000
"""The maximum length of a text that is put together."""

KEYS: tuple[str, ...] = ("field", "variable", "now", "today", "add", "count", "text")
"""The key of each kind of source."""
SOURCES = (
    "{field: name}, {variable: name}, {now: true}, {today: true}, {add: [source, source]}, "
    "{count: source} or {text: '… {{name}} …'}"
)
"""The forms of sources, for descriptions."""


class InvalidValue(Refusal):
    message = _("The value cannot be computed or stored.")
    code = "invalid_value"


def is_source(value: object) -> bool:
    """Return True for a source, False for a literal.

    An older graph may contain a literal object with such a key: only complete sources count.
    """
    if not isinstance(value, dict) or len(value) != 1:
        return False
    [(key, argument)] = value.items()
    match key:
        case "field" | "variable" | "text":
            return isinstance(argument, str)
        case "now" | "today":
            return argument is True
        case "add":
            return isinstance(argument, list) and len(argument) == 2
        case "count":
            return isinstance(argument, list) or is_source(argument)
    return False


def evaluate(source: Any, values: Mapping[str, Any], now: datetime) -> Any:
    """Return the value of a source or a literal.

    Args:
        values: the fields, and the variables with ``$``, without missing ones.

    Raises:
        InvalidValue: the values cannot be added or counted, or the result cannot be stored.
    """
    if not is_source(source):
        return source
    [(key, argument)] = source.items()
    match key:
        case "field":
            return values.get(argument)
        case "variable":
            return values.get(VARIABLE + argument)
        case "now":
            return moments.to_utc(now).isoformat()
        case "today":
            return moments.to_local(now).date().isoformat()
        case "add":
            first, second = (evaluate(part, values, now) for part in argument)
            return _sum(first, second)
        case "count":
            return _length(evaluate(argument, values, now))
    return _filled(argument, values)


def evaluate_all(
    sources: Mapping[str, Any], values: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    """Return the values of several sources by name. Raise the errors of ``evaluate``."""
    return {name: evaluate(source, values, now) for name, source in sources.items()}


def _filled(text: str, values: Mapping[str, Any]) -> str:
    """Fill a text. Give up at the first value too many: all of them may not fit into memory."""
    length = len(text)

    def counted(value: str) -> str:
        nonlocal length
        length += len(value)
        if length > MAX_TEXT:
            raise InvalidValue(
                gettext("The text has more than {most} characters.").format(most=MAX_TEXT)
            )
        return value

    return placeholders.fill(text, values, quote=counted)


def _sum(first: Any, second: Any) -> Any:
    """Add two numbers, or a date or moment and a duration; missing if one of them is missing."""
    if is_missing(first) or is_missing(second):
        return None
    if is_number(first) and is_number(second):
        total = _added(first, second)
        if reason := storage_problem(total) or rounding_problem(total):
            raise InvalidValue(gettext("The sum {reason}.").format(reason=reason))
        return total
    moment = moments.parse(first)
    duration = durations.parse(second) if isinstance(second, str) else None
    if moment is None or duration is None:
        detail = gettext(
            "{first} and {second} cannot be added. Add two numbers, or a date and a duration such"
            " as 'P30D'."
        )
        raise InvalidValue(detail.format(first=named(first), second=named(second)))
    later = duration.after(moment)
    if moments.is_date(first) and duration.rest == timedelta(0):
        return moments.to_local(later).date().isoformat()
    return later.isoformat()


def _added(first: float, second: float) -> float:
    """Add two numbers as decimals, as they are written: 0.1 and 0.2 are 0.3."""
    if isinstance(first, int) and isinstance(second, int):
        return first + second
    return float(Decimal(repr(first)) + Decimal(repr(second)))


def _length(value: Any) -> int:
    if is_missing(value):
        return 0
    if not isinstance(value, list):
        detail = gettext("Only a list can be counted, not {value}.")
        raise InvalidValue(detail.format(value=named(value)))
    return len(value)


def named(value: Any) -> str:
    """Return a value for use in a sentence: a list or an object by its type."""
    if is_number(value):
        return str(value)
    return quoted(value)


def names(source: Any) -> Iterator[str]:
    """Yield the names of the fields, and of the variables with ``$``, that a source reads."""
    if not is_source(source):
        return
    [(key, argument)] = source.items()
    match key:
        case "field":
            yield argument
        case "variable":
            yield VARIABLE + argument
        case "add":
            for part in argument:
                yield from names(part)
        case "count":
            yield from names(argument)
        case "text":
            yield from sorted(placeholders.names_in(argument))


def names_by_place(sources: Mapping[str, Any], pointer: str) -> Iterator[tuple[str, str]]:
    """Yield the pointer of each source, and each name that it reads."""
    for key, source in sources.items():
        for name in names(source):
            yield below(pointer, key), name


def type_of(source: Mapping[str, Any]) -> str | None:
    """Return the type of form field whose answers are like the values of a source, if known."""
    [key] = source
    return {"now": "datetime", "today": "date", "count": "number", "text": "text"}.get(key)


def problems(value: object, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Yield pointer and detail of every problem of a source; a literal has none."""
    named = [key for key in KEYS if isinstance(value, dict) and key in value]
    if not named:
        return
    assert isinstance(value, dict)
    key = named[0]
    others = [other for other in value if other != key]
    for other in others:
        detail = gettext("Unknown key {key} beside {source}. A value source has one key.")
        yield (
            below(pointer, other),
            detail.format(key=quoted(other), source=quoted(key)),
        )
    if not others:
        yield from _argument_problems(key, value[key], below(pointer, key))


def _argument_problems(key: str, argument: Any, pointer: str) -> Iterator[tuple[str, str]]:
    match key:
        case "field" | "variable":
            if reason := form_fields.name_problem(argument):
                yield pointer, reason
        case "now" | "today":
            if argument is not True:
                detail = gettext("The value of {key} must be true, not {value}.")
                yield pointer, detail.format(key=quoted(key), value=json_type(argument))
        case "text":
            if not isinstance(argument, str):
                detail = gettext("'text' must be text, not {value}.")
                yield pointer, detail.format(value=json_type(argument))
            elif reason := placeholders.problem(argument):
                yield pointer, reason
        case "count":
            yield from _count_problems(argument, pointer)
        case _:
            yield from _sum_problems(argument, pointer)


def _count_problems(argument: Any, pointer: str) -> Iterator[tuple[str, str]]:
    found = list(problems(argument, pointer))
    yield from found
    if not found and not isinstance(argument, list) and not is_source(argument):
        detail = gettext("'count' counts a list or a source, not {value}.")
        yield pointer, detail.format(value=json_type(argument))


def _sum_problems(argument: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if not isinstance(argument, list) or len(argument) != 2:
        yield pointer, gettext("'add' needs a list of two values.")
        return
    for index, part in enumerate(argument):
        found = list(problems(part, below(pointer, index)))
        yield from found
        if found or is_source(part) or is_number(part):
            continue
        if index == 0:
            if moments.parse(part) is None:
                detail = gettext("{value} is neither a number nor a date such as 2026-12-31.")
                yield below(pointer, 0), detail.format(value=named(part))
        elif not isinstance(part, str):
            detail = gettext("{value} is neither a number nor a duration.")
            yield below(pointer, 1), detail.format(value=named(part))
        elif reason := graph_durations.problem(gettext("duration"), part, may_be_negative=True):
            yield below(pointer, 1), reason
