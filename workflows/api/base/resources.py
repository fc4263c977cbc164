"""Base classes of API resources: lookup by cuid, ordering, search, ETags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags
from django.utils.translation import gettext_lazy as _
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, status
from rest_framework.exceptions import APIException, NotFound, ValidationError
from rest_framework.filters import OrderingFilter, SearchFilter
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from workflows.api.base import sparse_fields
from workflows.api.base.edit_options import DRY_RUN, EDIT_PARAMETERS, edit
from workflows.api.base.read_ahead import ReadAhead
from workflows.api.base.refusal_json import build_url
from workflows.api.base.strict_fields import StrictJSONParser
from workflows.api.base.strict_requests import refuse_other_media, refuse_parameters
from workflows.db import locks
from workflows.db.cuid import LENGTH
from workflows.db.json_values import checksum, quoted, storage_problem

_CANNOT_ORDER = _("Cannot order by %(name)s. Allowed: %(known)s.")
_NO_ROW = _("No %(noun)s has the cuid %(cuid)s.")

IF_MATCH = OpenApiParameter(
    "If-Match",
    location=OpenApiParameter.HEADER,
    description="The ETag that the change is based on, or *.",
    required=True,
)
OPTIONAL_IF_MATCH = OpenApiParameter(
    "If-Match",
    location=OpenApiParameter.HEADER,
    description="The ETag that the change is based on.",
)

IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    location=OpenApiParameter.HEADER,
    description="The ETag of the known response. The status is 304 if it is still current.",
)


class PreconditionRequired(APIException):
    """The request has no ``If-Match`` header."""

    status_code = 428
    default_code = "precondition_required"
    default_detail = _("Send If-Match with the ETag of a GET response.")


class PreconditionFailed(APIException):
    """The record has changed since the client read it."""

    status_code = 412
    default_code = "precondition_failed"
    default_detail = _("The record has changed. Read it again and repeat the change.")


def check_precondition(request: Request, etag: str, *, required: bool = False) -> None:
    """Compare the request's ``If-Match`` header with the current ETag.

    Raises:
        PreconditionRequired: the header is required and missing.
        PreconditionFailed: the header has another ETag.
    """
    header = request.headers.get("If-Match")
    if header is None:
        if required:
            raise PreconditionRequired
        return
    accepted = parse_etags(header)
    if "*" not in accepted and etag not in accepted:
        raise PreconditionFailed


def respond_unless_known(request: Request, response: Response) -> Response:
    """Return the response, or 304 if the client knows its ETag."""
    known = parse_etags(request.headers.get("If-None-Match", ""))
    etag = response.headers["ETag"]
    if etag in known or "*" in known:
        return Response(status=status.HTTP_304_NOT_MODIFIED, headers={"ETag": etag})
    return response


class StrictOrdering(OrderingFilter):
    """An ordering filter that rejects unknown names, and documents the known ones."""

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameter of the OpenAPI document, with the columns of the list."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["description"] = (
                "Columns, separated by commas; `-` before a column for descending order: "
                f"{', '.join(view.ordering_fields)}."
            )
        return parameters

    def remove_invalid_fields(
        self, queryset: QuerySet[Any], fields: Any, view: Any, request: Request
    ) -> list[str]:
        """Raise ``ValidationError`` for unknown names instead of removing them."""
        valid = super().remove_invalid_fields(queryset, fields, view, request)
        if wrong := [name for name in fields if name not in valid]:
            known = ", ".join(view.ordering_fields)
            detail = _CANNOT_ORDER % {"name": quoted(wrong[0]), "known": known}
            raise ValidationError({self.ordering_param: [detail]})
        return list(valid)


class Search(SearchFilter):
    """A search that finds a row by its cuid without a search through titles.

    A queryset with a method ``matching`` has its own search.
    """

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        """Return the matching rows."""
        terms = self.get_search_terms(request)
        if hasattr(queryset, "matching"):
            return queryset.matching(terms)
        if "=cuid" in (self.get_search_fields(view, request) or ()) and len(terms) == 1:
            found = queryset.model._default_manager.filter(cuid=terms[0])
            if len(terms[0]) == LENGTH and found.exists():
                return queryset.filter(cuid=terms[0])
        return super().filter_queryset(request, queryset, view)


def find_by_cuid(rows: QuerySet[Any], cuid: str) -> Any:
    """Return the row with this cuid. Raises ``NotFound`` if there is none."""
    row = None if storage_problem(cuid) else rows.filter(cuid=cuid).first()
    if row is None:
        raise not_found(rows.model, cuid)
    return row


def not_found(model: type[Model], cuid: str) -> NotFound:
    """Return the error for a cuid that no row of the model has."""
    return NotFound(_NO_ROW % {"noun": model._meta.verbose_name, "cuid": quoted(cuid)})


class Resource(GenericViewSet[Any]):
    """Rows of a model, each at a URL with its cuid."""

    needs: str | tuple[str, ...] | None = None
    """The permissions that the request needs, if not those of the model."""
    shows: tuple[str, ...] = ()
    """Permissions that decide which fields of a response are shown."""
    throttle_scope: str | None = None
    """The throttling scope of its requests, if not the default of reading and writing."""
    lists: bool = False
    """True if an action returns pages of rows, as ``list`` does."""
    pointer_names: ClassVar[Mapping[str, str]] = {}
    """API names of model fields, where the names differ."""
    read_ahead_row: Mapping[str, Any] | None = None
    """The row of ``read_ahead``, if the authentication of the request has read it."""

    lookup_field = "cuid"
    lookup_value_regex = "[^/]+"
    parser_classes = [StrictJSONParser]
    filter_backends = [DjangoFilterBackend, Search, StrictOrdering]

    def read_ahead(self) -> tuple[ReadAhead, str] | None:
        """Return what the request reads with its user, and the parameter; None for nothing."""
        return None

    def get_object(self) -> Any:
        """Return the row of the URL; the filters of the list do not apply."""
        row = find_by_cuid(self.get_queryset(), self.kwargs["cuid"])
        self.check_object_permissions(self.request, row)
        return row

    def query_parameters(self) -> tuple[str, ...] | None:
        """Return the names of the query parameters that the request may have.

        Return None for a list, whose pagination checks them, and if there is no action.
        """
        if self.action is None or self.action == "list" or self.lists:
            return None
        if self.action == "retrieve":
            return (sparse_fields.NAME,)
        return getattr(getattr(self, self.action, None), "query_parameters", ())

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the request before a row is read.

        Raises:
            ValidationError: a query parameter is unknown or repeated.
            UnsupportedMediaType: an unsafe request is not JSON.
        """
        super().initial(request, *args, **kwargs)
        if (known := self.query_parameters()) is not None:
            refuse_parameters(request, known)
        if self.action is not None:
            # A method that the URL does not have is answered with 405.
            refuse_other_media(request)
        if self.action == "retrieve":
            self.names = sparse_fields.parse_names(request, self.get_serializer)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Reduce a row to the requested fields, and say how a response to a GET may be cached.

        The ETag of a row stays that of the whole row.
        """
        names = getattr(self, "names", None)
        if names is not None and response.status_code == status.HTTP_200_OK:
            response.data = sparse_fields.select_fields(response.data, names)
        if request.method in SAFE_METHODS:
            # The user decides what a response shows; the Accept header whether it is CSV.
            patch_vary_headers(response, ("Accept", "Authorization", "Cookie"))
            if not response.has_header("Cache-Control"):
                response["Cache-Control"] = "private, no-cache"
        return super().finalize_response(request, response, *args, **kwargs)


class EditableResource(mixins.ListModelMixin, Resource):
    """Rows that clients create, change and delete, guarded by ``If-Match``.

    Each write is one transaction, and ``If-Match`` is compared inside it with the row locked.
    """

    etag_covers_row: bool = False
    """True if the ETag of a row is computed from all its fields; see ``with_conditional_reads``."""

    def etag(self, row: Model) -> str:
        """Return the ETag of a row, computed from its editable fields, or from all of them."""
        serializer: Any = self.get_serializer(row)
        data = serializer.data
        names = [
            name
            for name, field in serializer.fields.items()
            if self.etag_covers_row or not field.read_only
        ]
        return f'"{checksum({name: data[name] for name in names})}"'

    def answer(self, row: Model, status_code: int = status.HTTP_200_OK) -> Response:
        """Return the representation of a row with its ETag, and its URL if it is new."""
        data = self.get_serializer(row).data
        headers = {"ETag": self.etag(row)}
        if status_code == status.HTTP_201_CREATED:
            headers["Location"] = build_url(self.basename, data["cuid"], self.request)
        return Response(data, status_code, headers=headers)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return one row."""
        response = self.answer(self.get_object())
        return respond_unless_known(request, response) if self.etag_covers_row else response

    @extend_schema(parameters=EDIT_PARAMETERS)
    @edit
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create a row."""
        return self._create(request.data)

    @locks.retrying
    def _create(self, data: Any) -> Response:
        with transaction.atomic():
            serializer = self.get_serializer(data=data)
            serializer.is_valid(raise_exception=True)
            row = serializer.save()
            return self.answer(self.get_queryset().get(pk=row.pk), status.HTTP_201_CREATED)

    @extend_schema(parameters=[IF_MATCH, DRY_RUN])
    @edit
    def update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Replace a row."""
        return self._update(request.data, partial=False)

    @extend_schema(parameters=[IF_MATCH, DRY_RUN])
    @edit
    def partial_update(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Change fields of a row."""
        return self._update(request.data, partial=True)

    @locks.retrying
    def _update(self, data: Any, *, partial: bool) -> Response:
        with transaction.atomic():
            row = self._lock_row()
            check_precondition(self.request, self.etag(row), required=True)
            serializer = self.get_serializer(row, data=data, partial=partial)
            serializer.is_valid(raise_exception=True)
            serializer.save()
            return self.answer(self.get_object())

    @extend_schema(parameters=[OPTIONAL_IF_MATCH, DRY_RUN])
    @edit
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Delete a row."""
        return self._destroy()

    @locks.retrying
    def _destroy(self) -> Response:
        with transaction.atomic():
            row = self._lock_row()
            check_precondition(self.request, self.etag(row))
            row.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _lock_row(self) -> Any:
        """Lock the row, then read and return it."""
        locks.limit_wait()
        rows = self.get_queryset().model._default_manager.select_for_update(no_key=True)
        find_by_cuid(rows, self.kwargs["cuid"])
        return self.get_object()


View = TypeVar("View", bound=type[EditableResource])


def with_conditional_reads(view: View) -> View:
    """Decorate a resource whose ETags cover whole rows: it supports ``If-None-Match``."""
    view.etag_covers_row = True
    described: View = extend_schema_view(retrieve=extend_schema(parameters=[IF_NONE_MATCH]))(view)
    return described
