"""Pagination of lists. Unknown parameters are rejected, not ignored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core import signing
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import APIException, ErrorDetail, NotFound, ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from workflows.api.base import sparse_fields
from workflows.api.base.filter_operators import ListFilters, ValuesFilter
from workflows.api.base.strict_requests import refuse_parameters
from workflows.db.json_values import quoted
from workflows_project.api import csv_lists, cursors

_POSITIVE: dict[str, Any] = {"type": "integer", "minimum": 1}
PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "cursor": ("A position in the list, taken from `next` or `previous`.", {"type": "string"}),
    "page": ("The number of a page, instead of a cursor.", _POSITIVE),
    "page_size": ("The number of rows per page.", {**_POSITIVE, "maximum": 500, "default": 50}),
    sparse_fields.NAME: (sparse_fields.DESCRIPTION, {"type": "string"}),
}
"""The parameters of every list, with their descriptions and schemas."""


COUNT_LIMIT = 10_000
"""The highest number of rows that is counted. Counting takes time for each row."""


class InvalidCursor(APIException):
    """The cursor does not belong to the list."""

    status_code = 400
    default_code = "invalid_cursor"
    default_detail = gettext_lazy(
        "This cursor belongs to another list or order. Use the URL of 'next'."
    )


def cursor_signer(path: str) -> signing.Signer:
    """Return the signer of a list's cursors, so that only values from the database come back."""
    return signing.Signer(sep=".", salt=f"holdfast.cursor:{path}")


class ListPagination(BasePagination):
    """Pages of 50 rows, or up to 500 by ``page_size``, with cursors.

    Checks the parameters of all lists, selects the fields of rows, and streams lists as CSV.
    """

    page_size = 50
    max_page_size = 500

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        """Return the rows of the page.

        Raises:
            ValidationError: a parameter is unknown or invalid.
            InvalidCursor: the cursor does not belong to the list.
            NotFound: there is no such page.
        """
        filters = _filters(view, queryset, request)
        refuse_parameters(
            request,
            [*filters, *_parameters(view), *PARAMETERS],
            repeatable=[
                *(name for name, row in filters.items() if isinstance(row, ValuesFilter)),
                *_list_parameters(view),
            ],
        )
        _refuse_empty(request, filters)
        self.request, self.view = request, view
        self.names = sparse_fields.parse_names(request, view.get_serializer)
        size = self._number("page_size", self.page_size)
        if size > self.max_page_size:
            detail = _("'page_size' is at most %(most)s.") % {"most": self.max_page_size}
            raise _invalid("page_size", detail)
        self.rows, self.keys = queryset, self._keys(queryset)
        cursor = self._cursor()
        if isinstance(request.accepted_renderer, csv_lists.CSVRenderer):
            return []
        if self.keys is None or "page" in request.query_params:
            return self._read_numbered(size)
        return self._read_page(self.keys, size, cursor)

    def get_paginated_response(self, data: Any) -> Any:
        """Return the rows, their number, and the URLs of the next and previous pages."""
        if isinstance(self.request.accepted_renderer, csv_lists.CSVRenderer):
            chunks: Iterable[list[Any]] = [self.rows]
            if self.keys is not None:
                chunks = cursors.iterate_chunks(self.rows, self.keys, self.max_page_size)
            return csv_lists.stream_rows(self.view, chunks, self.names)
        results = [sparse_fields.select_fields(row, self.names) for row in data]
        page = {"count": self.count, "next": self.next, "previous": self.previous}
        return Response({**page, "results": results}, headers=self._links())

    def _links(self) -> dict[str, str]:
        """Return the ``Link`` header (RFC 8288) with the next and the previous page, if any."""
        pages = {"next": self.next, "prev": self.previous}
        links = [f'<{url}>; rel="{name}"' for name, url in pages.items() if url]
        return {"Link": ", ".join(links)} if links else {}

    def _keys(self, rows: Any) -> list[cursors.Key] | None:
        if not isinstance(rows, QuerySet):
            return None
        try:
            return cursors.ordering_keys(rows)
        except ValueError as error:
            detail = _(
                "'%(name)s' can be null. Use it only as the first field of the ordering."
            ) % {"name": error}
            raise _invalid(OrderingFilter.ordering_param, detail) from None

    def _cursor(self) -> cursors.Cursor | None:
        text = self.request.query_params.get("cursor")
        if text is None:
            return None
        if "page" in self.request.query_params:
            raise _invalid("page", _("Send either 'page' or 'cursor'."))
        if self.keys is None:
            raise InvalidCursor
        try:
            return cursors.Cursor.read(cursor_signer(self.request.path).unsign(text), self.keys)
        except (signing.BadSignature, cursors.InvalidCursor):
            raise InvalidCursor from None

    def _read_page(self, keys: list[cursors.Key], size: int, cursor: cursors.Cursor | None) -> Any:
        page = cursors.read_page(self.rows, keys, size, cursor)
        self.count = self._count_rows()
        signer = cursor_signer(self.request.path)
        self.next, self.previous = (
            adjacent and self._url("cursor", signer.sign(adjacent.text(keys)))
            for adjacent in (page.after, page.before)
        )
        return page.rows

    def _count_rows(self) -> int | None:
        """Return the number of rows, None if there are more than ``COUNT_LIMIT``."""
        if not isinstance(self.rows, QuerySet):
            return len(self.rows)
        number = self.rows.order_by().values("pk")[: COUNT_LIMIT + 1].count()
        return number if number <= COUNT_LIMIT else None

    def _read_numbered(self, size: int) -> list[Any]:
        number = self._number("page", 1)
        start = (number - 1) * size
        if start + size > COUNT_LIMIT and isinstance(self.rows, QuerySet):
            detail = _("Page numbers end after %(limit)s rows. Use 'next'.")
            raise _invalid("page", detail % {"limit": COUNT_LIMIT})
        stop = start + size + 1
        if self.keys is None:
            found = list(self.rows[start:stop])
        else:
            found = cursors.read_numbered(self.rows, self.keys, start, stop)
        if not found and number > 1:
            raise NotFound(_("There is no page %(number)s.") % {"number": number})
        self.count = self._count_rows()
        self.next = self._url("page", number + 1) if len(found) > size else None
        self.previous = self._url("page", number - 1) if number > 1 else None
        return found[:size]

    def _url(self, name: str, value: Any) -> str:
        return replace_query_param(self.request.build_absolute_uri(), name, value)

    def _number(self, name: str, default: int) -> int:
        text = self.request.query_params.get(name)
        if text is None:
            return default
        # isdecimal() also accepts digits of other scripts.
        if not (text.isascii() and text.isdecimal() and len(text) < 19 and int(text)):
            detail = _("'%(name)s' must be a whole number from 1, not %(value)s.")
            raise _invalid(name, detail % {"name": name, "value": quoted(text)})
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters of every list for the OpenAPI document."""
        return [
            {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
            for name, (text, schema) in PARAMETERS.items()
            # ``schema`` adds this parameter with the fields of each list.
            if name != sparse_fields.NAME
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the schema of a page of rows with this schema."""
        url = {"type": ["string", "null"], "format": "uri"}
        counted = f"The number of rows; null if there are more than {COUNT_LIMIT}."
        properties = {
            "count": {"type": ["integer", "null"], "minimum": 0, "description": counted},
            "next": {**url, "description": "The URL of the next page; null on the last."},
            "previous": {
                **url,
                "description": "The URL of the previous page; null on the first.",
            },
            "results": schema,
        }
        return {"type": "object", "properties": properties, "required": list(properties)}


def _invalid(name: str, detail: str) -> ValidationError:
    return ValidationError({name: [ErrorDetail(detail, "invalid")]})


def _filters(view: Any, queryset: Any, request: Request) -> dict[str, Any]:
    """Return the filters of a view by name, and those that this request names."""
    found: dict[str, Any] = {}
    for backend in getattr(view, "filter_backends", ()):
        if issubclass(backend, DjangoFilterBackend) and isinstance(queryset, QuerySet):
            filterset = backend().get_filterset_class(view, queryset)
            if filterset:
                found |= filterset.base_filters
                if issubclass(filterset, ListFilters):
                    found |= filterset.requested_filters(request.query_params)
    return found


def _list_parameters(view: Any) -> Iterable[str]:
    """Return the parameters of the view's own, which may occur several times."""
    # Nested lists, whose rows are of another type, have no filters.
    return getattr(view, "list_parameters", ()) if view.filter_backends else ()


def _parameters(view: Any) -> Iterable[str]:
    """Yield the parameters of the view's own, of search and of ordering."""
    yield from _list_parameters(view)
    for backend in getattr(view, "filter_backends", ()):
        if issubclass(backend, SearchFilter) and getattr(view, "search_fields", None):
            yield backend.search_param
        elif issubclass(backend, OrderingFilter):
            yield backend.ordering_param


def _refuse_empty(request: Request, filters: dict[str, Any]) -> None:
    """Raise ``ValidationError`` if a filter is empty."""
    for name in filters:
        if request.query_params.get(name) == "":
            detail = _("The filter '%(name)s' is empty. Leave it out, or give it a value.")
            raise _invalid(name, detail % {"name": name})
