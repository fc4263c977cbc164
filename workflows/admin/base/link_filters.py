"""Filters that stand in the sidebar only while a link has set them."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from workflows.admin.base.formatting import row_id


class NarrowedFilter(SimpleListFilter):
    """One row of another model; thousands of them would make no useful list of choices."""

    model: type[Model]

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        """The row that the address names, and nothing else."""
        value = self.value()
        if value is None:
            return []
        row = self.model._base_manager.filter(pk=value).first()
        return [(value, str(row) if row else "none")]

    def value(self) -> str | None:
        """The id in the address, where it is one."""
        value = super().value()
        return value if value is not None and row_id(value) is not None else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only what belongs to the row."""
        value = self.value()
        return queryset if value is None else queryset.filter(**{str(self.parameter_name): value})


class ExactFilter(SimpleListFilter):
    """One value of a text; there are too many of them to choose from."""

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin[Any]) -> list[tuple[str, str]]:
        """The value that the address names, and nothing else."""
        value = self.value()
        return [] if value is None else [(value, value)]

    def value(self) -> str | None:
        """The value in the address, where a database could hold it."""
        value = super().value()
        return value if value and "\0" not in value else None

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only what has the value."""
        value = self.value()
        return queryset if value is None else queryset.filter(**{str(self.parameter_name): value})


def exactly(name: str, title: str) -> type[ExactFilter]:
    """The filter by this text."""
    return type(f"{name}_filter", (ExactFilter,), {"title": title, "parameter_name": name})


def narrowed(name: str, model: type[Model]) -> type[NarrowedFilter]:
    """The filter by this foreign key."""
    title = str(model._meta.verbose_name)
    return type(
        f"{model.__name__}Filter",
        (NarrowedFilter,),
        {"title": title, "parameter_name": name, "model": model},
    )
