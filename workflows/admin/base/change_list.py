"""Admin lists: bounded pagination, saved filters and CSV download."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, ClassVar

from django.contrib.admin.models import LogEntry
from django.contrib.admin.options import IncorrectLookupParameters, get_content_type_for_model
from django.contrib.admin.utils import label_for_field
from django.contrib.admin.views.main import ORDER_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page
from django.db import DataError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.text import capfirst

from workflows.admin.base.formatting import admin_url, log_url
from workflows.admin.base.generics import ModelAdmin, Paginator
from workflows.db.bounded_count import COUNT_LIMIT, RowCount, count_rows
from workflows.models import SavedFilter
from workflows.models.saved_filter import normalize_query
from workflows.templatetags.admin_lists import list_title
from workflows.values import csv_cells

CHUNK = 500


class BoundedPaginator(Paginator[Any]):
    """Pagination of the first ``COUNT_LIMIT`` rows; filters find the others."""

    limit = COUNT_LIMIT
    object_list: Any
    full_rows: QuerySet[Any] | None = None
    """Rows with related data, read by id after the ids of the page are sorted."""

    @cached_property
    def _counted(self) -> RowCount:
        return count_rows(self.object_list, self.limit)

    @property
    def count(self) -> int:
        """Return the number of rows to paginate."""
        return self._counted.number

    @property
    def has_more(self) -> bool:
        """Return True if there are more rows than that."""
        return self._counted.has_more

    def page(self, number: int | str) -> Page[Any]:
        """Return one page of rows."""
        page = super().page(number)
        if self.full_rows is not None:
            rows: Any = page.object_list
            ids = list(rows.values_list("pk", flat=True))
            rows = self.full_rows.filter(pk__in=ids).order_by(*rows.query.order_by)
            page.object_list = rows
        return page


COLUMNS = "columns"
"""The query parameter with the names of the chosen columns, separated by commas."""


class TitledList(ChangeList):
    """A list with the name of its records as title, and with chosen columns in its links."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if not self.is_popup:
            self.title = list_title(self.model)

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Return the parameters that filter rows."""
        found = super().get_filters_params(params)
        found.pop(COLUMNS, None)
        return found


def _has_entries(row: Any) -> bool:
    """Return True if Django's history of a record has entries."""
    model = get_content_type_for_model(row)
    return LogEntry.objects.filter(content_type=model, object_id=str(row.pk)).exists()


class ListAdmin(ModelAdmin[Any]):
    """A list with CSV download that redirects to the unfiltered list if a filter is invalid."""

    list_title: ClassVar[Any] = ""
    """The name of the list, if it is not the plural of the model."""
    item_titles: ClassVar[tuple[Any, ...]] = ()
    """The name of one record and of several, if they are not those of the model."""
    empty_text: ClassVar[Any] = ""
    """A sentence for the empty list: how records get there."""
    add_title: ClassVar[Any] = ""
    """The label of the link to the add page, if it is not "Add" with the name of the model."""
    optional_columns: ClassVar[Sequence[str]] = ()
    """The columns that users can add to those of ``list_display``."""

    has_history: ClassVar[bool] = True
    """True if the page of a record links Django's history, for users who may not read the log.

    An empty history is not linked.
    """

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show the form, with a link to the audit entries or the history of the record."""
        row = context.get("original")
        cuid = getattr(row, "cuid", "")
        context.setdefault("log_url", cuid and log_url(request, cuid))
        context["has_history"] = (
            self.has_history and not context["log_url"] and row is not None and _has_entries(row)
        )
        may_delete = row is not None and self.has_delete_permission(request, row)
        if may_delete and not self.is_deletable(row):
            context["show_delete"] = False
            context["undeletable_url"] = admin_url(row, "delete", row.pk)
        return super().render_change_form(request, context, *args, **kwargs)

    def is_deletable(self, row: Any) -> bool:
        """Return whether no guard refuses the deletion of the row."""
        return True

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return TitledList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Return the columns that the URL names, or else the usual ones.

        The first column links the record, so it is always there.
        """
        usual: list[Any] = list(super().get_list_display(request))
        chosen = request.GET.get(COLUMNS, "").split(",")
        found = [name for name in [*usual, *self.optional_columns] if name in chosen]
        return [*usual[:1], *(name for name in found if name != usual[0])] if found else usual

    csv_columns: ClassVar[dict[str, str]] = {}
    """The CSV columns: names and dotted attribute paths. Empty: no CSV download."""

    def get_urls(self) -> list[URLPattern]:
        """Add the route of the CSV download."""
        if not self.csv_columns:
            return super().get_urls()
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"
        return [
            path("csv/", self.admin_site.admin_view(self.csv_view), name=name),
            *super().get_urls(),
        ]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list.

        Raises:
            IncorrectLookupParameters: a filter value is out of the range of its column.
        """
        try:
            return super().get_changelist_instance(request)
        except (DataError, OverflowError, ValueError) as error:
            # For example the years 0 and -1.
            raise IncorrectLookupParameters(error) from error

    def csv_view(self, request: HttpRequest) -> HttpResponseBase:
        """Stream the rows that match the filters in the URL as CSV.

        Raises:
            PermissionDenied: the user may not view the rows.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(admin_url(self.model, "changelist", e=1))
        columns = self.csv_columns
        related = {path.rpartition(".")[0].replace(".", "__") for path in columns.values()} - {""}
        if related:
            rows = rows.select_related(*sorted(related))
        name = str(self.opts.verbose_name_plural).replace(" ", "-")
        values = _rows(rows, columns, partial(self.redact, request))
        return csv_cells.build_response(name, values, for_spreadsheets=True)

    def redact(self, request: HttpRequest, row: Any) -> Any:
        """Return the row without the values that the user may not read. Called per CSV row."""
        return row


def column_choices(model_admin: ListAdmin, request: HttpRequest) -> list[tuple[str, str, bool]]:
    """Return the columns that can be chosen: their names, their headings, and whether they are."""
    usual = [str(name) for name in model_admin.list_display]
    chosen = model_admin.get_list_display(request)
    return [
        (name, capfirst(str(label_for_field(name, model_admin.model, model_admin))), name in chosen)
        for name in [*usual[1:], *model_admin.optional_columns]
    ]


def columns_url(request: HttpRequest) -> str | None:
    """Return the URL of the list with the columns that its form sent; None if it sent none."""
    sent = request.GET.getlist("column")
    if not sent:
        return None
    query = QueryDict(normalize_query(request.GET), mutable=True)
    # An order names columns by their places.
    for name in ("column", ORDER_VAR):
        query.pop(name, None)
    query[COLUMNS] = ",".join(sent)
    return f"?{query.urlencode(safe=',')}"


def list_name(model: Any) -> str:
    """Return the name under which the saved filters of a model's list are stored."""
    return str(model._meta.label_lower)


def list_context(model_admin: ListAdmin, request: HttpRequest) -> dict[str, Any]:
    """Return the links of a list: saved filters, "Save this filter" and the CSV download."""
    query = normalize_query(request.GET)
    name = list_name(model_admin.model)
    list_url = admin_url(model_admin.model, "changelist")
    saved = SavedFilter.objects.visible_to(request.user).filter(list=name).order_by("name", "pk")
    links = [
        {
            "name": row.name,
            "url": f"{list_url}?{row.query}",
            "is_current": row.query == query,
            "is_shared": row.shared,
        }
        for row in saved
    ]
    others = QueryDict(query, mutable=True)
    for taken in (COLUMNS, ORDER_VAR):
        others.pop(taken, None)
    is_known = any(link["is_current"] for link in links)
    return {
        "column_choices": model_admin.optional_columns and column_choices(model_admin, request),
        "column_query": [(key, value) for key, values in others.lists() for value in values],
        "usual_columns_url": COLUMNS in request.GET and f"?{others.urlencode()}",
        "saved_filters": links,
        "save_url": query
        and not is_known
        and admin_url(SavedFilter, "add", list=name, query=query),
        "manage_url": links and admin_url(SavedFilter, "changelist"),
        "csv_url": model_admin.csv_columns
        and admin_url(model_admin.model, "csv") + (f"?{query}" if query else ""),
    }


def _rows(
    rows: QuerySet[Any], columns: dict[str, str], redact: Callable[[Any], Any]
) -> Iterator[list[Any]]:
    yield list(columns)
    chunk = list(rows.order_by("-pk")[:CHUNK])
    while chunk:
        for row in map(redact, chunk):
            yield [_value_at(row, path) for path in columns.values()]
        # A cursor would keep a transaction open, so each chunk is a query of its own.
        chunk = list(rows.filter(pk__lt=chunk[-1].pk).order_by("-pk")[:CHUNK])


def _value_at(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = None if row is None else getattr(row, name)
    return row
