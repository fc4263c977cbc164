"""Filters by the fields of an entity: ``fields.severity=high``, ``fields.score__gte=3``.

Their names are those of the stored fields, so that no list of them exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from django.db.models.lookups import (
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
)
from django_filters import rest_framework as filters
from rest_framework.exceptions import ErrorDetail, ValidationError

from workflows.api.base.filter_operators import (
    Operators,
    StrictBooleanFilter,
    TimeFilters,
    ValuesFilter,
    describe_operator,
    text_operators,
)
from workflows.db.json_members import BooleanMember, MemberType, NumberMember, TextMember
from workflows.db.json_values import storage_problem
from workflows.db.text_search import IContains

PREFIX = "fields."
_COLUMN = "fields"
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_COMPARISONS: dict[str, Any] = {
    "gt": GreaterThan,
    "gte": GreaterThanOrEqual,
    "lt": LessThan,
    "lte": LessThanOrEqual,
}


def _equals(name: str, value: str) -> Any:
    """Return the condition for a text, or the number or boolean that it spells."""
    return _is_one_of(name, [value])


def _compares(operator: str) -> Callable[[str, str], Any]:
    """Return a function for the condition: numbers with a number, texts with any other value."""

    def condition(name: str, value: str) -> Any:
        if _NUMBER.fullmatch(value):
            return Q(_COMPARISONS[operator](NumberMember(_COLUMN, name), float(value)))
        return Q(_COMPARISONS[operator](TextMember(_COLUMN, name), value))

    return condition


def _contains(name: str, value: str) -> Any:
    return Q(IContains(TextMember(_COLUMN, name), value))


def _is_one_of(name: str, values: list[str]) -> Any:
    """Return the condition for one of these texts, or the numbers and booleans that they spell."""
    # One list for each type: SQLite limits the depth of an expression, and so the number of ORs.
    found = Q(In(TextMember(_COLUMN, name), values))
    if numbers := [float(value) for value in values if _NUMBER.fullmatch(value)]:
        found |= Q(In(NumberMember(_COLUMN, name), numbers))
    if booleans := [value == "true" for value in values if value in ("true", "false")]:
        found |= Q(In(BooleanMember(_COLUMN, name), booleans))
    return found


def _is_missing(name: str, value: bool) -> Any:
    return Q(IsNull(MemberType(_COLUMN, name), value))


class _FieldFilter:
    """A filter by the field ``name``."""

    name = ""
    condition: Callable[[str, Any], Any]

    def filter(self, rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
        """Return the rows whose field meets the condition."""
        return rows if value in ("", None) else rows.filter(self.condition(self.name, value))


class _TextFilter(_FieldFilter, filters.CharFilter):
    """A filter by one value."""


class _SeveralFilter(_FieldFilter, ValuesFilter):
    """A filter by several values."""


class _BooleanFilter(_FieldFilter, StrictBooleanFilter):
    """A filter by true or false."""


_CONDITIONS: dict[str, tuple[type[Any], Callable[[str, Any], Any]]] = {
    "": (_TextFilter, _equals),
    "in": (_SeveralFilter, _is_one_of),
    "contains": (_TextFilter, _contains),
    **{name: (_TextFilter, _compares(name)) for name in _COMPARISONS},
    "isnull": (_BooleanFilter, _is_missing),
}
OPERATORS = [name for name in _CONDITIONS if name]


def build_filter(parameter: str) -> Any:
    """Return the filter of a query parameter such as ``fields.score__gte``.

    Raises:
        ValidationError: the field has no name, or the operator is unknown.
    """
    name, separator, operator = parameter.removeprefix(PREFIX).rpartition("__")
    if not separator:
        name, operator = operator, ""
    problem = "The name of the field is missing." if not name else storage_problem(name)
    if operator not in _CONDITIONS:
        known = [f"{PREFIX}{name}__{other}" for other in OPERATORS]
        problem = describe_operator(f"{PREFIX}{name}", operator, known)
    if problem:
        raise ValidationError({parameter: [ErrorDetail(str(problem), "unknown_parameter")]})
    kind, condition = _CONDITIONS[operator]
    row = kind(field_name=_COLUMN)
    row.name, row.condition = name, condition
    return row


class FieldFilters(TimeFilters):
    """Filters of entities: by times, title, external id and fields."""

    operators: ClassVar[Mapping[str, Operators]] = {
        **TimeFilters.operators,
        "title": text_operators("title"),
        "external_id": text_operators("external_id", is_nullable=True),
    }

    @classmethod
    def requested_filters(cls, data: Any) -> dict[str, filters.Filter]:
        """Return the filters that occur in the query, with those by fields."""
        found = super().requested_filters(data)
        return {
            **found,
            **{name: build_filter(name) for name in data if name.startswith(PREFIX)},
        }
