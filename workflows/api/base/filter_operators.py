"""Filters with several values, and with operators: ``created_at__gte``, ``title__contains``.

A filter without an operator compares for equality, and takes several values where the values are
names or ids: ``status=a&status=b`` and ``status=a,b``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.drainage import set_override
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from workflows.db.json_values import quoted
from workflows.values import moments

MAX_VALUES = 500
ORDER = ("gt", "gte", "lt", "lte")

DESCRIPTIONS: dict[str, Any] = {
    "contains": _("The text contains this one, in any case."),
    "gt": _("Later or greater than this value."),
    "gte": _("This value, or later or greater."),
    "lt": _("Earlier or less than this value."),
    "lte": _("This value, or earlier or less."),
    "in": _("One of these values, separated by commas or repeated."),
    "isnull": _("True: without a value. False: with one."),
}
"""Descriptions of the operators."""


@extend_schema_field(OpenApiTypes.BOOL)
class StrictBooleanFilter(filters.TypedChoiceFilter):
    """A filter for ``true`` or ``false``; other values are errors."""

    def __init__(self, **kwargs: Any) -> None:
        choices = [("true", "true"), ("false", "false")]
        super().__init__(choices=choices, coerce=lambda value: value == "true", **kwargs)


class MomentFormField(forms.Field):
    """A date with or without a time, even if its year in UTC is 0 or 10000."""

    def to_python(self, value: Any) -> Any:
        """Return the moment in UTC, capped to the years 1 to 9999."""
        if value in self.empty_values:
            return None
        moment = moments.read(value)
        if moment is None:
            raise ValidationError(_("Enter a valid date/time."), code="invalid")
        return moments.to_utc(moment)


class MomentFilter(filters.IsoDateTimeFilter):
    """A filter by a moment; a moment without an offset is in ``TIME_ZONE``."""

    field_class = MomentFormField


class ValuesWidget(forms.TextInput):
    """Reads a parameter that is repeated, or has several values separated by commas."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the values; None without the parameter."""
        if name not in data:
            return None
        texts = data.getlist(name) if hasattr(data, "getlist") else [data[name]]
        return [value for text in texts for value in text.split(",")]


class ValuesField(forms.Field):
    """Several texts, each one of the choices if there are any."""

    widget = ValuesWidget

    def __init__(self, *, choices: Iterable[tuple[str, Any]] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.one: forms.Field = (
            forms.ChoiceField(choices=list(choices)) if choices else forms.CharField()
        )

    def clean(self, value: Any) -> Any:
        """Return the list of texts; None without any."""
        if value is None or value == [""]:
            # The list refuses an empty filter.
            return None
        if len(value) > MAX_VALUES:
            detail = _("Send at most %(most)s values.") % {"most": MAX_VALUES}
            raise ValidationError(detail, code="invalid")
        if "" in value:
            raise ValidationError(_("One of the values is empty."), code="invalid")
        return [self.one.clean(text) for text in value]


class ValuesFilter(filters.Filter):
    """A filter by one of several values; see ``ValuesWidget``."""

    field_class = ValuesField

    def __init__(self, choices: Iterable[tuple[str, Any]] = (), **kwargs: Any) -> None:
        listed = list(choices)
        extra = {"choices": listed} if listed else {}
        super().__init__(**extra, **kwargs)
        schema: dict[str, Any] = {"type": "string", "minLength": 1}
        if listed:
            schema = {"type": "string", "enum": [value for value, _ in listed]}
        described = {"type": "array", "items": schema}
        if text := kwargs.get("help_text"):
            described["description"] = text
        set_override(self, "field", described)

    def filter(self, rows: QuerySet[Any], value: Any) -> QuerySet[Any]:
        """Return the rows that have one of these values."""
        if not value:
            return rows
        if self.distinct:
            rows = rows.distinct()
        if len(value) == 1:
            return rows.filter(**{str(self.field_name): value[0]})
        return rows.filter(**{f"{self.field_name}__in": value})


Operators = Mapping[str, filters.Filter]


def moment_operators(column: str) -> Operators:
    """Return the operators of a column of moments."""
    return {
        name: MomentFilter(field_name=column, lookup_expr=name, help_text=DESCRIPTIONS[name])
        for name in ORDER
    }


def value_operators(
    column: str, choices: Iterable[tuple[str, Any]] = (), *, is_nullable: bool = False
) -> Operators:
    """Return the operators of a column of names or ids."""
    found: dict[str, filters.Filter] = {
        "in": ValuesFilter(choices, field_name=column, help_text=DESCRIPTIONS["in"])
    }
    if is_nullable:
        found["isnull"] = StrictBooleanFilter(
            field_name=column, lookup_expr="isnull", help_text=DESCRIPTIONS["isnull"]
        )
    return found


def text_operators(column: str, *, is_nullable: bool = False) -> Operators:
    """Return the operators of a column of texts."""
    contains = filters.CharFilter(
        field_name=column, lookup_expr="icontains", help_text=DESCRIPTIONS["contains"]
    )
    return {**value_operators(column, is_nullable=is_nullable), "contains": contains}


class ListFilters(filters.FilterSet):
    """The filters of a list. ``operators`` has those with operators, by the name before ``__``."""

    operators: ClassVar[Mapping[str, Operators]] = {}

    def __init__(self, data: Any = None, *args: Any, **kwargs: Any) -> None:
        """Use only the filters of the request: each filter is copied and has a form field."""
        if data is not None:
            self.base_filters = self.requested_filters(data)
        super().__init__(data, *args, **kwargs)

    @classmethod
    def get_filters(cls) -> dict[str, filters.Filter]:
        """Return the declared filters and those with operators."""
        found: dict[str, filters.Filter] = super().get_filters()
        for name, operators in cls.operators.items():
            found |= {f"{name}__{operator}": row for operator, row in operators.items()}
        return found

    @classmethod
    def requested_filters(cls, data: Any) -> dict[str, filters.Filter]:
        """Return the filters that occur in the query."""
        return {name: row for name, row in cls.base_filters.items() if name in data}


class TimeFilters(ListFilters):
    """Filters by the times of creation and of the last change."""

    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")
    updated_after = MomentFilter(field_name="updated_at", lookup_expr="gte")
    updated_before = MomentFilter(field_name="updated_at", lookup_expr="lt")

    operators: ClassVar[Mapping[str, Operators]] = {
        "created_at": moment_operators("created_at"),
        "updated_at": moment_operators("updated_at"),
    }


def unknown_operator(name: str, known: Iterable[str]) -> str | None:
    """Return the error for a filter with an operator that it does not have; None for others."""
    base, separator, operator = name.rpartition("__")
    names = list(known)
    allowed = [other for other in names if other.startswith(f"{base}__")]
    if not separator or not base or not (allowed or base in names):
        return None
    return describe_operator(base, operator, allowed)


_UNKNOWN_OPERATOR = _("The filter %(name)s has no operator %(operator)s. Allowed: %(allowed)s.")
_NO_OPERATORS = _("The filter %(name)s has no operators.")


def describe_operator(base: str, operator: str, allowed: list[str]) -> str:
    """Return the error for an unknown operator, with the allowed parameters."""
    if not allowed:
        return str(_NO_OPERATORS % {"name": quoted(base)})
    values = {"name": quoted(base), "operator": quoted(operator), "allowed": ", ".join(allowed)}
    return str(_UNKNOWN_OPERATOR % values)
