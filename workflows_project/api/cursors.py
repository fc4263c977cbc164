"""Keyset pagination: each page starts where the previous one ended.

The cost of a page does not depend on the number of rows before it, as it does with OFFSET
(https://use-the-index-luke.com/no-offset). Rows that are added or deleted meanwhile do not move
other rows to another page.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import connection
from django.db.models import BooleanField, F, Func, Model, Q, QuerySet, Value
from django.utils.duration import duration_iso_string

from workflows.db.json_values import storage_problem

Values = list[Any]


class InvalidCursor(ValueError):
    """The cursor does not belong to this list in this order."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the ordering. Rows without a value come last in both directions."""

    name: str
    descending: bool
    field: Any
    is_nullable: bool

    def __str__(self) -> str:
        return f"-{self.name}" if self.descending else self.name


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place next to a row: the values of the row's keys, and the side (before or after)."""

    values: Values
    is_before: bool = False

    def text(self, keys: list[Key]) -> str:
        """Return the cursor as URL-safe text."""
        values = [_as_json(value) for value in self.values]
        data = json.dumps([[str(key) for key in keys], self.is_before, values])
        return base64.urlsafe_b64encode(data.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str, keys: list[Key]) -> Cursor:
        """Parse the text of a cursor. Raise ``InvalidCursor`` if it does not fit the keys."""
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            order, is_before, values = json.loads(base64.b64decode(padded, b"-_", validate=True))
            if order != [str(key) for key in keys] or type(is_before) is not bool:
                raise InvalidCursor(text)
            return cls(_parse_values(values, keys), is_before)
        except _UNREADABLE as error:
            raise InvalidCursor(text) from error


_UNREADABLE = (
    *(ArithmeticError, TypeError, ValueError),
    *(RecursionError, ValidationError, binascii.Error),
)


def _as_json(value: Any) -> Any:
    """Return the value as JSON that its field can parse."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, timedelta):
        return duration_iso_string(value)
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _parse_values(texts: Any, keys: list[Key]) -> Values:
    values = []
    for key, value in zip(keys, texts, strict=True):
        parsed = None if value is None else key.field.to_python(value)
        # Accept only the spelling that ``text`` writes.
        if (
            _as_json(parsed) != value
            or storage_problem(value)
            or (parsed is None and not key.is_nullable)
        ):
            raise InvalidCursor(texts)
        if isinstance(parsed, int) and abs(parsed) >= 2**63:
            raise InvalidCursor(texts)
        # The following calls raise for values that the database cannot compare.
        if isinstance(parsed, datetime):
            if parsed.tzinfo is None:
                raise InvalidCursor(texts)
            parsed.astimezone(UTC)
        if isinstance(parsed, Decimal):
            key.field.run_validators(parsed)
        key.field.get_db_prep_value(parsed, connection)
        values.append(parsed)
    return values


class _RowComparison(Func):
    """``(a, b) > (1, 2)``: one row comparison, which can use an index on both columns."""

    output_field = BooleanField()
    arg_joiner = ", "

    def __init__(self, keys: list[Key], values: Values, *, less: bool) -> None:
        targets = [Value(value, key.field) for key, value in zip(keys, values, strict=True)]
        super().__init__(*(F(key.name) for key in keys), *targets)
        self.width = len(keys)
        self.less = less

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # type: ignore[override]
        """Return the SQL and parameters of the comparison."""
        parts, params = [], []
        for expression in self.source_expressions:
            sql, own = compiler.compile(expression)
            parts.append(sql)
            params += own
        left, right = ", ".join(parts[: self.width]), ", ".join(parts[self.width :])
        return f"({left}) {'<' if self.less else '>'} ({right})", params


def ordering_keys(rows: QuerySet[Any]) -> list[Key]:
    """Return the keys of the ordering of the rows, with a unique last key.

    Raises:
        ValueError: a key after the first is nullable. The message is the name of the key.
    """
    options = rows.model._meta
    names = [str(name) for name in (rows.query.order_by or options.ordering or ())]
    if not any(name.lstrip("-") in ("pk", options.pk.name) for name in names):
        last = names[-1] if names else ""
        names.append("-pk" if last.startswith("-") else "pk")
    keys = [_key(rows, name) for name in names]
    for key in keys[1:]:
        if key.is_nullable:
            raise ValueError(key.name)
    return keys


def _key(rows: QuerySet[Any], ordered: str) -> Key:
    name = ordered.lstrip("-")
    try:
        field = rows.model._meta.pk if name == "pk" else rows.model._meta.get_field(name)
        is_nullable = bool(field.null)
    except FieldDoesNotExist:
        field = rows.query.annotations[name].output_field
        # An expression is null if one of its columns is.
        is_nullable = True
    return Key(name, ordered.startswith("-"), field, is_nullable)


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page, and the cursors of the next and previous pages, if any."""

    rows: list[Any]
    after: Cursor | None
    before: Cursor | None


def read_page(
    rows: QuerySet[Any], keys: list[Key], size: int, cursor: Cursor | None = None
) -> Page:
    """Return at most ``size`` rows after or before the cursor; without a cursor, the first rows."""
    backwards = cursor is not None and cursor.is_before
    found: list[Any] = []
    for segment in _segments(rows, keys, cursor, backwards=backwards):
        found += segment[: size + 1 - len(found)]
        if len(found) > size:
            break
    has_more = len(found) > size
    del found[size:]
    if backwards:
        found.reverse()
    has_after, has_before = (True, has_more) if backwards else (has_more, cursor is not None)
    return Page(
        found,
        Cursor(_values(found[-1], keys)) if found and has_after else None,
        Cursor(_values(found[0], keys), is_before=True) if found and has_before else None,
    )


def read_numbered(rows: QuerySet[Any], keys: list[Key], start: int, stop: int) -> list[Any]:
    """Return the rows with these numbers, in the order of the pages."""
    found: list[Any] = []
    for segment in _segments(rows, keys, None, backwards=False):
        part = list(segment[start:stop])
        found += part
        if len(part) == stop - start:
            break
        # The numbers of the next segment start at 0 again.
        before = start + len(part) if part else segment[:start].count()
        start, stop = max(start - before, 0), stop - before
    return found


def iterate_chunks(rows: QuerySet[Any], keys: list[Key], size: int) -> Iterator[list[Any]]:
    """Yield all rows in lists of at most ``size``."""
    cursor = None
    while True:
        found = read_page(rows, keys, size, cursor)
        yield found.rows
        cursor = found.after
        if cursor is None:
            return


def _values(row: Model, keys: list[Key]) -> Values:
    return [getattr(row, key.name) for key in keys]


def _segments(
    rows: QuerySet[Any], keys: list[Key], cursor: Cursor | None, *, backwards: bool
) -> Iterator[QuerySet[Any]]:
    """Yield the rows with a value of the first key, then the rows without one.

    Each of the two statements can use an index; a single one would have to sort.
    """
    first, *rest = keys
    values = cursor.values if cursor else None
    if not first.is_nullable:
        yield _ordered(rows, keys, values, backwards)
        return
    present = rows.filter(**{f"{first.name}__isnull": False})
    missing = rows.filter(**{f"{first.name}__isnull": True})
    is_missing = values is not None and values[0] is None
    with_value = None if values is None or is_missing else values
    without = values[1:] if values is not None and is_missing else None
    if backwards:
        if is_missing:
            yield _ordered(missing, rest, without, backwards)
        yield _ordered(present, keys, with_value, backwards)
    else:
        if not is_missing:
            yield _ordered(present, keys, with_value, backwards)
        yield _ordered(missing, rest, without, backwards)


def _ordered(
    rows: QuerySet[Any], keys: list[Key], values: Values | None, backwards: bool
) -> QuerySet[Any]:
    order = [
        F(key.name).desc() if key.descending != backwards else F(key.name).asc() for key in keys
    ]
    if values is not None:
        rows = rows.filter(_comparison(keys, values, backwards))
    return rows.order_by(*order)


def _comparison(keys: list[Key], values: Values, backwards: bool) -> Any:
    directions = {key.descending != backwards for key in keys}
    if len(directions) == 1:
        return _RowComparison(keys, values, less=directions.pop())
    found = Q()
    same = Q()
    for key, value in zip(keys, values, strict=True):
        comparison = "lt" if key.descending != backwards else "gt"
        found |= same & Q(**{f"{key.name}__{comparison}": value})
        same &= Q(**{key.name: value})
    return found
