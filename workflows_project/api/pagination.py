"""Pages of lists, and the parameters that a list knows: what is unknown is refused, not ignored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core import signing
from django.db.models import QuerySet
from django_filters.rest_framework import CharFilter, DjangoFilterBackend
from rest_framework.exceptions import APIException, ErrorDetail, NotFound, ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from workflows.api.base import sparse_fields
from workflows.api.base.strict_requests import refuse_parameters
from workflows.db.json_values import quoted
from workflows_project.api import csv_lists, cursors

_WHOLE: dict[str, Any] = {"type": "integer", "minimum": 1}
PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "cursor": ("A place in the list; `next` and `previous` bring it.", {"type": "string"}),
    "page": ("The number of a page, instead of a cursor.", _WHOLE),
    "page_size": ("How many rows a page has.", {**_WHOLE, "maximum": 500, "default": 50}),
    sparse_fields.NAME: (sparse_fields.MEANING, {"type": "string"}),
}
"""What every list takes, each with what it means and its schema."""


COUNTED = 10_000
"""How many rows are counted: one more takes as long as another one."""


class InvalidCursor(APIException):
    """The cursor leads nowhere."""

    status_code = 400
    default_code = "invalid_cursor"
    default_detail = "This cursor was not made for this list in this order: follow 'next'."


def cursor_signer(path: str) -> signing.Signer:
    """Return what signs the cursors of a list: the database gets only values that it answered."""
    return signing.Signer(sep=".", salt=f"holdfast.cursor:{path}")


class Pages(BasePagination):
    """Pages of 50, or as many as asked for, up to 500, each found by where the last one ended.

    Every list comes by here: its parameters are judged, its rows cut to what was asked for, and
    all of it told as CSV where that is accepted.
    """

    page_size = 50
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Return the rows of the page.

        Raises ``ValidationError``, ``InvalidCursor`` and ``NotFound``.
        """
        filters = _filters(view, queryset)
        refuse_parameters(request, [*filters, *_parameters(view), *PARAMETERS])
        _refuse_empty(request, filters)
        self.request, self.view = request, view
        self.names = sparse_fields.asked(request, view.get_serializer)
        size = self._number("page_size", self.page_size)
        if size > self.max_page_size:
            raise _wrong("page_size", f"'page_size' is at most {self.max_page_size}.")
        self.rows, self.keys = queryset, self._keys(queryset)
        cursor = self._cursor()
        if isinstance(request.accepted_renderer, csv_lists.CSVRenderer):
            return []
        if self.keys is None or "page" in request.query_params:
            return self._numbered(size)
        return self._found(self.keys, size, cursor)

    def get_paginated_response(self, data: Any) -> Any:
        """Return the rows, how many there are, and where the pages before and after are."""
        if isinstance(self.request.accepted_renderer, csv_lists.CSVRenderer):
            whole: Iterable[list[Any]] = [self.rows]
            if self.keys is not None:
                whole = cursors.every(self.rows, self.keys, self.max_page_size)
            return csv_lists.response(self.view, whole, self.names)
        shown = [sparse_fields.cut(row, self.names) for row in data]
        told = {"count": self.count, "next": self.next, "previous": self.previous}
        return Response({**told, "results": shown})

    def _keys(self, rows: Any) -> list[cursors.Key] | None:
        if not isinstance(rows, QuerySet):
            return None
        try:
            return cursors.keys_of(rows)
        except ValueError as error:
            detail = f"'{error}' may be missing: order by it first, or not at all."
            raise _wrong(OrderingFilter.ordering_param, detail) from None

    def _cursor(self) -> cursors.Cursor | None:
        text = self.request.query_params.get("cursor")
        if text is None:
            return None
        if "page" in self.request.query_params:
            raise _wrong("page", "Send either 'page' or 'cursor'.")
        if self.keys is None:
            raise InvalidCursor
        try:
            return cursors.Cursor.read(cursor_signer(self.request.path).unsign(text), self.keys)
        except (signing.BadSignature, cursors.InvalidCursor):
            raise InvalidCursor from None

    def _found(self, keys: list[cursors.Key], size: int, cursor: cursors.Cursor | None) -> Any:
        page = cursors.page(self.rows, keys, size, cursor)
        self.count = self._counted()
        signer = cursor_signer(self.request.path)
        self.next, self.previous = (
            place and self._address("cursor", signer.sign(place.text(keys)))
            for place in (page.after, page.before)
        )
        return page.rows

    def _counted(self) -> int | None:
        """How many rows there are, None for more than are counted."""
        if not isinstance(self.rows, QuerySet):
            return len(self.rows)
        number = self.rows.order_by().values("pk")[: COUNTED + 1].count()
        return number if number <= COUNTED else None

    def _numbered(self, size: int) -> list[Any]:
        number = self._number("page", 1)
        start = (number - 1) * size
        if start + size > COUNTED and isinstance(self.rows, QuerySet):
            raise _wrong("page", f"Pages are numbered up to {COUNTED} rows: follow 'next'.")
        stop = start + size + 1
        if self.keys is None:
            found = list(self.rows[start:stop])
        else:
            found = cursors.numbered(self.rows, self.keys, start, stop)
        if not found and number > 1:
            raise NotFound(f"There is no page {number}.")
        self.count = self._counted()
        self.next = self._address("page", number + 1) if len(found) > size else None
        self.previous = self._address("page", number - 1) if number > 1 else None
        return found[:size]

    def _address(self, name: str, value: Any) -> str:
        return replace_query_param(self.request.build_absolute_uri(), name, value)

    def _number(self, name: str, default: int) -> int:
        text = self.request.query_params.get(name)
        if text is None:
            return default
        # Digits of any script are decimal too; and nobody has that many rows.
        if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text)):
            raise _wrong(name, f"'{name}' must be a whole number from 1, not {quoted(text)}.")
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters that every list takes."""
        return [
            {"name": name, "in": "query", "required": False, "description": told, "schema": kind}
            for name, (told, kind) in PARAMETERS.items()
            # What a row has, the description of each list tells.
            if name != sparse_fields.NAME
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return what a page of rows of this schema looks like."""
        address = {"type": ["string", "null"], "format": "uri"}
        counted = f"How many rows there are; null for more than {COUNTED}."
        properties = {
            "count": {"type": ["integer", "null"], "minimum": 0, "description": counted},
            "next": {**address, "description": "The page after this one; null after the last."},
            "previous": {**address, "description": "The page before this one."},
            "results": schema,
        }
        return {"type": "object", "properties": properties, "required": list(properties)}


def _wrong(name: str, detail: str) -> ValidationError:
    return ValidationError({name: [ErrorDetail(detail, "invalid")]})


def _filters(view: Any, queryset: Any) -> dict[str, Any]:
    """The filters of a view, by their names."""
    found: dict[str, Any] = {}
    for backend in getattr(view, "filter_backends", ()):
        if issubclass(backend, DjangoFilterBackend) and isinstance(queryset, QuerySet):
            filterset = backend().get_filterset_class(view, queryset)
            found |= filterset.base_filters if filterset else {}
    return found


def _parameters(view: Any) -> Iterable[str]:
    """What else a view takes."""
    for backend in getattr(view, "filter_backends", ()):
        if issubclass(backend, SearchFilter) and getattr(view, "search_fields", None):
            yield backend.search_param
        elif issubclass(backend, OrderingFilter):
            yield backend.ordering_param


def _refuse_empty(request: Request, filters: dict[str, Any]) -> None:
    """Raises ``ValidationError``: nothing is neither a date nor a truth value nor a choice."""
    for name, row in filters.items():
        if request.query_params.get(name) == "" and not isinstance(row, CharFilter):
            raise _wrong(name, f"'{name}' is empty.")
