"""The filter of lists by a time: it names the time zone, and takes the ends of the calendar."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest

from workflows.values import moments
from workflows.values.moment_fields import zone_name


class MomentListFilter(admin.DateFieldListFilter):
    """Today, this week, this month and this year, in the time zone that the title names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = f"{self.title} ({zone_name()})"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Return only the rows of that time. Raises ``IncorrectLookupParameters``."""
        parameters: dict[str, Any] = self.used_parameters
        for name, values in parameters.items():
            if name.rpartition("__")[2] in ("gte", "lt", self.field_path):
                parameters[name] = [_moment(value) for value in values]
        return super().queryset(request, queryset)


def _moment(value: object) -> datetime:
    moment = moments.read(str(value))
    if moment is None:
        raise IncorrectLookupParameters(f"{value} is no date.")
    return moments.in_utc(moment)


admin.FieldListFilter.register(
    lambda field: isinstance(field, models.DateTimeField), MomentListFilter, take_priority=True
)
