"""List filters: by a linked row, by an exact value and by a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy

from workflows.admin.base.formatting import row_id
from workflows.values import moments
from workflows.values.moment_fields import get_zone_name


class RelatedRowFilter(SimpleListFilter):
    """A filter by one row of another model. It has no list of choices; links set it."""

    model: type[Model]

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        """Return the row that the URL names, as the only choice."""
        value = self.value()
        if value is None:
            return []
        row = self.model._base_manager.filter(pk=value).first()
        return [(value, str(row) if row else gettext("Unknown"))]

    def value(self) -> str | None:
        """Return the id in the URL, or None if it is not an id."""
        value = super().value()
        return value if value is not None and row_id(value) is not None else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows that refer to the chosen row."""
        value = self.value()
        return queryset if value is None else queryset.filter(**{str(self.parameter_name): value})


class ExactValueFilter(SimpleListFilter):
    """A filter by one exact value of a text field. It has no list of choices; links set it."""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        """Return the value in the URL, as the only choice."""
        value = self.value()
        return [] if value is None else [(value, value)]

    def value(self) -> str | None:
        """Return the value in the URL, or None if a database cannot store it."""
        value = super().value()
        return value if value and "\0" not in value else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows with this value."""
        value = self.value()
        return queryset if value is None else queryset.filter(**{str(self.parameter_name): value})


def exact_value_filter(name: str, title: str | Promise) -> type[ExactValueFilter]:
    """Return a filter by an exact value of this field."""
    return type(f"{name}_filter", (ExactValueFilter,), {"title": title, "parameter_name": name})


def related_row_filter(name: str, model: type[Model]) -> type[RelatedRowFilter]:
    """Return a filter by a row of this foreign key."""
    title = str(model._meta.verbose_name)
    return type(
        f"{model.__name__}Filter",
        (RelatedRowFilter,),
        {"title": title, "parameter_name": name, "model": model},
    )


_MOMENT_TITLES = {
    "asked_at": gettext_lazy("time of request"),
    "at": gettext_lazy("time"),
    "created_at": gettext_lazy("time of creation"),
    "started_at": gettext_lazy("start"),
    "updated_at": gettext_lazy("last change"),
}
"""Titles of filters by a time, by field name."""


class MomentListFilter(admin.DateFieldListFilter):
    """A filter by today, this week, this month or this year, with the time zone in its title."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        title = _MOMENT_TITLES.get(self.field_path, self.title)
        self.title = f"{title} ({get_zone_name()})"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Keep the rows in the chosen period.

        Raises:
            IncorrectLookupParameters: the URL has an invalid date.
        """
        parameters: dict[str, Any] = self.used_parameters
        for name, values in parameters.items():
            if name.rpartition("__")[2] in ("gte", "lt", self.field_path):
                parameters[name] = [_parse_moment(value) for value in values]
        return super().queryset(request, queryset)


def _parse_moment(value: object) -> datetime:
    moment = moments.read(str(value))
    if moment is None:
        raise IncorrectLookupParameters(f"“{value}” is not a date.")
    return moments.to_utc(moment)


class RelatedListFilter(admin.RelatedFieldListFilter):
    """A filter by a related row that names the choice of the rows without one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.empty_value_display = SafeString(gettext("None"))


admin.FieldListFilter.register(
    lambda field: bool(field.remote_field), RelatedListFilter, take_priority=True
)
admin.FieldListFilter.register(
    lambda field: isinstance(field, models.DateTimeField), MomentListFilter, take_priority=True
)
