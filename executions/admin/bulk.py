"""Pages of bulk operations: preview, progress and results."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.admin.move import CHECK_AGAIN, confirm_moves, move_context
from executions.admin.move import TITLE as MOVE_TITLE
from executions.admin.reason_field import ReasonField
from executions.admin.titles import execution_title
from executions.models import (
    OPERATE,
    BulkItem,
    BulkKind,
    BulkOperation,
    BulkState,
    Execution,
    ItemState,
    Move,
)
from executions.services import bulk
from executions.worker import queue
from workflows.admin.base.formatting import DASH, admin_url, badge, format_moment
from workflows.admin.base.model_admin import ReadOnlyAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal

LISTED = 100
PREVIEWED = 20
REFRESH_SECONDS = 3
"""Seconds after which the page of a running operation is reloaded."""

TITLES = {
    BulkKind.CANCEL.value: _("Cancel executions"),
    BulkKind.RETRY.value: _("Retry executions"),
    BulkKind.WAKE.value: _("Skip waits"),
    BulkKind.MOVE.value: MOVE_TITLE,
}
OUTCOMES = {
    BulkKind.CANCEL.value: _(
        "The executions are cancelled with their child executions. This cannot be undone."
    ),
    BulkKind.RETRY.value: _(
        "Steps with an incident run again. Messages and requests may be sent a second time."
    ),
    BulkKind.WAKE.value: _("Waiting steps continue now instead of at their scheduled time."),
    BulkKind.MOVE.value: _("Executions continue by the graph of another version."),
}


class ReasonForm(forms.Form):
    """The reason for the operation."""

    why = ReasonField(required=False, help_text=_("Recorded in the audit log of each execution."))


def open_preview(
    model_admin: Any, request: HttpRequest, kind: BulkKind, executions: QuerySet[Execution]
) -> HttpResponse | None:
    """Store the selected executions as an operation and redirect to its preview.

    Returns:
        None if the operation is refused.
    """
    try:
        operation = bulk.create_operation(kind, executions, by=request.user)
    except REFUSING as error:
        model_admin.message_refusal(request, log_refusal(error))
        return None
    return HttpResponseRedirect(admin_url(operation, "change", operation.pk))


class KindFilter(admin.SimpleListFilter):
    """A filter by operation, with the names that the list shows."""

    title = _("operation")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the operations."""
        return [(kind.value, TITLES[kind]) for kind in BulkKind]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the chosen operation."""
        return queryset.filter(kind=self.value()) if self.value() in BulkKind.values else queryset


@admin.register(BulkOperation)
class BulkOperationAdmin(ReadOnlyAdmin):
    """Bulk operations, created on the list of executions, confirmed and tracked here."""

    empty_text = _("Select executions in their list, then choose an action.")
    list_display = ["operation", "state_badge", "number", "requested", "requester"]
    list_display_links = ["operation"]
    list_filter = [KindFilter, "state", "asked_at"]
    list_select_related = ["asked_by"]
    page_template = "executions/admin/bulk.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return True if the user may operate executions."""
        return bool(request.user.has_perm(OPERATE))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return True if the user may operate executions."""
        return self.has_view_permission(request)

    @admin.display(description=_("operation"), ordering="kind")
    def operation(self, row: BulkOperation) -> str:
        """Return the title of the operation."""
        return str(TITLES[row.kind])

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: BulkOperation) -> str:
        """Return the state as a badge."""
        return badge(row.state, row.get_state_display())

    @admin.display(description=_("executions"))
    def number(self, row: Any) -> int:
        """Return the number of executions."""
        return int(row.number)

    @admin.display(description=_("requested"), ordering="asked_at")
    def requested(self, row: BulkOperation) -> str:
        """Return the time of the request."""
        return format_moment(row.asked_at)

    @admin.display(description=_("requested by"), ordering="asked_by__username")
    def requester(self, row: BulkOperation) -> str:
        """Return the name of the user who requested the operation."""
        return row.asker or DASH

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return the operations with the numbers of their executions."""
        return bulk.annotate_size(super().get_queryset(request))

    def get_urls(self) -> list[URLPattern]:
        """Add the routes of the buttons."""
        wrap = self.admin_site.admin_view
        own = [
            path(f"<int:pk>/{page}/", wrap(view), name=f"executions_bulkoperation_{page}")
            for page, view in (("begin", self.begin_view), ("stop", self.stop_view))
        ]
        return [*own, *super().get_urls()]

    def render_row(self, request: HttpRequest, row: Any, **options: Any) -> HttpResponse:
        """Return the page of one operation; it reloads itself while the operation runs."""
        if row.kind == BulkKind.MOVE and row.state == BulkState.ASKED:
            context = options.get("plan") or _plan(row, request)
            return self.render_page(request, "executions/admin/move.html", context, row=row)
        response = super().render_row(request, row, **options)
        if row.state == BulkState.WORKING and "still" not in request.GET:
            # A header needs no script.
            response["Refresh"] = str(REFRESH_SECONDS)
        return response

    def row_context(self, request: HttpRequest, row: Any, **options: Any) -> dict[str, Any]:
        """Return the preview of an unconfirmed operation, or the progress of another one."""
        context: dict[str, Any] = {
            "title": TITLES[row.kind],
            "subtitle": None,
            "operation": row,
            "list_url": admin_url(Execution, "changelist"),
            "begin_url": admin_url(row, "begin", row.pk),
            "stop_url": admin_url(row, "stop", row.pk),
        }
        if row.state == BulkState.ASKED:
            return {**context, **_preview(row), "form": options.get("form") or ReasonForm()}
        refused = row.items.filter(state=ItemState.REFUSED)
        done = [_item(item) for item in _with_executions(row.items.filter(state=ItemState.DONE))]
        if row.kind == BulkKind.MOVE:
            _add_versions(done)
        return {
            **context,
            "progress": bulk.progress(row),
            "refused": [_item(item) for item in _with_executions(refused)],
            "done": done,
            "still_url": None if "still" in request.GET else "?still=1",
        }

    def _find(self, request: HttpRequest, pk: int) -> BulkOperation:
        self.require(request, OPERATE)
        row = BulkOperation.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def begin_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Confirm the operation on POST. Small operations run now, others in the background."""
        row = self._find(request, pk)
        back = HttpResponseRedirect(admin_url(row, "change", pk))
        if request.method != "POST":
            return back
        if row.kind == BulkKind.MOVE and row.state == BulkState.ASKED:
            return self._begin_moves(request, row)
        form = ReasonForm(request.POST)
        if not form.is_valid():
            return self.render_row(request, row, form=form)
        if not bulk.confirm(row, why=form.cleaned_data["why"], by=request.user):
            self.message_user(
                request, gettext("The operation was already confirmed."), messages.WARNING
            )
        elif row.items.count() <= bulk.MAX_IMMEDIATE:
            queue.serve_bulk_operation(row)
        return back

    def _begin_moves(self, request: HttpRequest, row: BulkOperation) -> HttpResponse:
        wants = "_move" in request.POST
        context = _plan(row, request)
        if wants and context["is_checked"] and context["form"].is_valid():
            return confirm_moves(request, row, context)
        if wants and not context["is_checked"]:
            self.message_user(request, CHECK_AGAIN, messages.WARNING)
        return self.render_row(request, row, plan=context)

    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Stop the operation on POST. The remaining executions are not changed."""
        row = self._find(request, pk)
        if request.method == "POST":
            if bulk.stop_operation(row):
                text = gettext("The operation was stopped. Completed changes are kept.")
                self.message_user(request, text, messages.SUCCESS)
            else:
                self.message_user(
                    request, gettext("The operation had already ended."), messages.WARNING
                )
        return HttpResponseRedirect(admin_url(row, "change", pk))


def _plan(row: BulkOperation, request: HttpRequest) -> dict[str, Any]:
    """Return the context of the page that plans the moves of an operation."""
    roots = Execution.objects.filter(pk__in=row.items.values("execution")).order_by("pk")
    first = roots.select_related("workflow").first()
    if first is None:
        raise Http404
    page = admin_url(row, "change", row.pk)
    return {
        **move_context(roots, request, workflow=first.workflow, page=page),
        "subtitle": str(first.workflow),
        "action": admin_url(row, "begin", row.pk),
        "back_url": admin_url(Execution, "changelist"),
    }


def _preview(row: BulkOperation) -> dict[str, Any]:
    found = bulk.preview(row)
    return {
        "preview": found,
        "outcome": OUTCOMES[row.kind],
        "in_background": found.total > bulk.MAX_IMMEDIATE,
        "refusals": [
            {
                "reason": why,
                "number": found.counts[why],
                "items": [_item(item) for item in _with_executions(items)[:PREVIEWED]],
            }
            for why, items in found.refused.items()
            if found.counts[why]
        ],
        "chosen": [_item(item) for item in _with_executions(row.items.all())[:PREVIEWED]],
    }


def _add_versions(done: list[dict[str, Any]]) -> None:
    """Add the versions of the latest move to each of these items."""
    moves = Move.objects.filter(execution__in=[item["execution"] for item in done])
    numbers = moves.order_by("pk").values_list(
        "execution", "from_version__number", "to_version__number"
    )
    found = {pk: (old, new) for pk, old, new in numbers}
    for item in done:
        item["versions"] = found.get(item["execution"].pk)


def _with_executions(items: QuerySet[BulkItem]) -> QuerySet[BulkItem]:
    rows = items.select_related("execution__workflow", "execution__entity")
    return rows.defer("execution__entity__fields").order_by("pk")[:LISTED]


def _item(item: BulkItem) -> dict[str, Any]:
    row = item.execution
    return {
        "url": admin_url(Execution, "change", row.pk),
        "title": execution_title(row),
        "execution": row,
        "code": item.code,
        "detail": item.detail,
    }
