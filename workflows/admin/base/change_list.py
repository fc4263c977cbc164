"""What every list of the admin shares: pages that are counted up to a bound, saved filters, CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.http.response import HttpResponseBase

from workflows.admin.base.formatting import admin_url
from workflows.admin.base.generics import Paginator
from workflows.db.bounded_count import COUNTED, Counted, counted
from workflows.models import SavedFilter
from workflows.models.saved_filter import plain
from workflows.values import csv_cells

if TYPE_CHECKING:
    from workflows.admin.base.model_admin import GuardedAdmin

CHUNK = 500


class BoundedPaginator(Paginator[Any]):
    """Pages of the first ``COUNTED`` rows; nobody leafs through more, and filters find the rest."""

    most = COUNTED
    object_list: Any
    whole: QuerySet[Any] | None = None
    """Where the rows of a page are read by their ids; what is put in order are ids alone."""

    @cached_property
    def _counted(self) -> Counted:
        return counted(self.object_list, self.most)

    @property
    def count(self) -> int:
        """How many rows there are to page through."""
        return self._counted.number

    @property
    def has_more(self) -> bool:
        """Whether there are more than those."""
        return self._counted.has_more

    def page(self, number: int | str) -> Page[Any]:
        """The rows of this page, in their order."""
        page = super().page(number)
        if self.whole is not None:
            rows: Any = page.object_list
            ids = list(rows.values_list("pk", flat=True))
            rows = self.whole.filter(pk__in=ids).order_by(*rows.query.order_by)
            page.object_list = rows
        return page


def list_name(model: Any) -> str:
    """What the saved filters of the list of this model are kept under."""
    return str(model._meta.label_lower)


def list_context(model_admin: GuardedAdmin, request: HttpRequest) -> dict[str, Any]:
    """The links of a list: its saved filters, one to save this one, and its rows as CSV."""
    query = plain(request.GET)
    name = list_name(model_admin.model)
    address = admin_url(model_admin.model, "changelist")
    saved = SavedFilter.objects.seen_by(request.user).filter(list=name).order_by("name", "pk")
    links = [
        {
            "name": row.name,
            "url": f"{address}?{row.query}",
            "is_current": row.query == query,
            "is_shared": row.shared,
        }
        for row in saved
    ]
    is_known = any(link["is_current"] for link in links)
    return {
        "saved_filters": links,
        "save_url": query
        and not is_known
        and admin_url(SavedFilter, "add", list=name, query=query),
        "manage_url": links and admin_url(SavedFilter, "changelist"),
        "csv_url": model_admin.csv_columns
        and admin_url(model_admin.model, "csv") + (f"?{query}" if query else ""),
    }


def csv_view(model_admin: GuardedAdmin, request: HttpRequest) -> HttpResponseBase:
    """All the rows that the filters of the address leave, streamed."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    try:
        rows = model_admin.get_changelist_instance(request).queryset
    except IncorrectLookupParameters:
        return HttpResponseRedirect(admin_url(model_admin.model, "changelist", e=1))
    columns = model_admin.csv_columns
    related = {path.rpartition(".")[0].replace(".", "__") for path in columns.values()} - {""}
    if related:
        rows = rows.select_related(*sorted(related))
    name = str(model_admin.opts.verbose_name_plural).replace(" ", "-")
    values = _rows(rows, columns, partial(model_admin.redact, request))
    return csv_cells.response(name, values, for_spreadsheets=True)


def _rows(
    rows: QuerySet[Any], columns: dict[str, str], redact: Callable[[Any], Any]
) -> Iterator[list[Any]]:
    yield list(columns)
    chunk = list(rows.order_by("-pk")[:CHUNK])
    while chunk:
        for row in map(redact, chunk):
            yield [_at(row, path) for path in columns.values()]
        # Each chunk begins where the last one ended: a cursor would hold a transaction open.
        chunk = list(rows.filter(pk__lt=chunk[-1].pk).order_by("-pk")[:CHUNK])


def _at(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = None if row is None else getattr(row, name)
    return row
