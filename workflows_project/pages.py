"""Pages of lists, and the parameters that a list knows: what is unknown is refused, not ignored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.paginator import InvalidPage
from django.db.models import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ErrorDetail, NotFound, ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.settings import api_settings

from workflows.jsontext import quoted


class Pages(PageNumberPagination):
    """Numbered pages of 50, or as many as asked for, up to 500."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Return the rows of the page. Every list comes by here, and its parameters are judged."""
        _refuse_parameters(request, [*_parameters(view, queryset), *self._own()])
        self.request = request
        size = self._number(request, self.page_size_query_param, self.page_size)
        if size > self.max_page_size:
            detail = f"'{self.page_size_query_param}' is at most {self.max_page_size}."
            raise ValidationError({self.page_size_query_param: [ErrorDetail(detail, "invalid")]})
        paginator = self.django_paginator_class(queryset, size)
        number = self._number(request, self.page_query_param, 1)
        try:
            self.page = paginator.page(number)
        except InvalidPage:
            raise NotFound(
                f"There is no page {number}: the last is {paginator.num_pages}."
            ) from None
        return list(self.page)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return what a page of rows of this schema looks like."""
        address = {"type": ["string", "null"], "format": "uri"}
        properties = {
            "count": {"type": "integer", "minimum": 0},
            "next": {**address, "description": "The page after this one; null after the last."},
            "previous": {**address, "description": "The page before this one."},
            "results": schema,
        }
        return {"type": "object", "properties": properties, "required": list(properties)}

    def _own(self) -> list[str]:
        return [self.page_query_param, self.page_size_query_param]

    def _number(self, request: Request, name: str, default: int) -> int:
        text = request.query_params.get(name)
        if text is None:
            return default
        # Digits of any script are decimal too; and nobody has that many rows.
        if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text)):
            detail = f"'{name}' must be a whole number from 1, not {quoted(text)}."
            raise ValidationError({name: [ErrorDetail(detail, "invalid")]})
        return int(text)


def _parameters(view: Any, queryset: Any) -> Iterable[str]:
    """The names that the filters of a view take."""
    for backend in getattr(view, "filter_backends", ()):
        if issubclass(backend, DjangoFilterBackend) and isinstance(queryset, QuerySet):
            filterset = backend().get_filterset_class(view, queryset)
            yield from filterset.base_filters if filterset else ()
        elif issubclass(backend, SearchFilter) and getattr(view, "search_fields", None):
            yield backend.search_param
        elif issubclass(backend, OrderingFilter):
            yield backend.ordering_param


def _refuse_parameters(request: Request, known: list[str]) -> None:
    """Raises ``ValidationError`` for names that nothing is known by, and for those given twice."""
    errors = {}
    listed = ", ".join(known)
    for name, values in request.query_params.lists():
        if name not in known and name != api_settings.URL_FORMAT_OVERRIDE:
            detail = f"{quoted(name)} is unknown here; known are: {listed}."
            errors[name] = [ErrorDetail(detail, "unknown_parameter")]
        elif len(values) > 1:
            detail = f"{quoted(name)} is given {len(values)} times."
            errors[name] = [ErrorDetail(detail, "repeated_parameter")]
    if errors:
        raise ValidationError(errors)
