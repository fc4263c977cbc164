"""The pages of operations on many executions: what would happen, how far it is, what came of it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from executions.models import (
    OPERATE,
    BulkItem,
    BulkKind,
    BulkOperation,
    BulkState,
    Execution,
    ItemState,
)
from executions.services import bulk
from executions.worker import queue
from workflows.admin.base.formatting import NOTHING, admin_url, badge, moment
from workflows.admin.base.read_only import ToldAdmin
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING

LISTED = 100
REFRESHED = 3
"""After how many seconds a page is loaded anew while the operation goes on."""

TITLES = {
    BulkKind.CANCEL.value: "Cancel executions",
    BulkKind.RETRY.value: "Try executions again",
    BulkKind.WAKE.value: "Wake executions",
}
OUTCOMES = {
    BulkKind.CANCEL.value: "Each is cancelled, with all that it has called. This cannot be undone.",
    BulkKind.RETRY.value: "Each step that has an incident is tried again; what it sends may arrive"
    " a second time.",
    BulkKind.WAKE.value: "Each step that sleeps goes on at once, as if its time had come.",
}


class WhyForm(forms.Form):
    """Why."""

    why = forms.CharField(
        required=False,
        label="Why",
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Stands in the audit log, with each of them.",
    )


def ask(
    model_admin: Any, request: HttpRequest, kind: BulkKind, executions: QuerySet[Execution]
) -> HttpResponse | None:
    """What an action of the list does: note the executions, and lead to the page that asks."""
    try:
        operation = bulk.ask(kind, executions, by=request.user)
    except REFUSING as error:
        model_admin.message_refusal(request, recorded(error))
        return None
    return HttpResponseRedirect(admin_url(operation, "change", operation.pk))


@admin.register(BulkOperation)
class BulkOperationAdmin(ToldAdmin):
    """Operations: asked for on the list of executions, confirmed and watched here."""

    list_display = ["what", "state_badge", "number", "asked", "asker"]
    list_display_links = ["what"]
    list_filter = ["kind", "state", "asked_at"]
    list_select_related = ["asked_by"]
    page_template = "executions/admin/bulk.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may decide on executions."""
        return bool(request.user.has_perm(OPERATE))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """As for the pages."""
        return self.has_view_permission(request)

    @admin.display(description="what", ordering="kind")
    def what(self, row: BulkOperation) -> str:
        """What is done to each."""
        return row.get_kind_display()

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: BulkOperation) -> str:
        """The state, coloured."""
        return badge(row.state, row.get_state_display())

    @admin.display(description="executions")
    def number(self, row: Any) -> int:
        """How many there are."""
        return int(row.number)

    @admin.display(ordering="asked_at")
    def asked(self, row: BulkOperation) -> str:
        """When it was asked for."""
        return moment(row.asked_at)

    @admin.display(description="asked by", ordering="asked_by__username")
    def asker(self, row: BulkOperation) -> str:
        """The account that asked for it."""
        return row.asker or NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Operations with how many executions they have."""
        return bulk.with_numbers(super().get_queryset(request))

    def get_urls(self) -> list[URLPattern]:
        """The buttons' addresses before the stock pages."""
        wrap = self.admin_site.admin_view
        own = [
            path(f"<int:pk>/{page}/", wrap(view), name=f"executions_bulkoperation_{page}")
            for page, view in (("begin", self.begin_view), ("stop", self.stop_view))
        ]
        return [*own, *super().get_urls()]

    def page(self, request: HttpRequest, row: Any, **given: Any) -> HttpResponse:
        """The page of one; while it goes on, the browser is told to come again."""
        response = super().page(request, row, **given)
        if row.state == BulkState.WORKING and "still" not in request.GET:
            # Not in the page: a header needs no script, and can be done without.
            response["Refresh"] = str(REFRESHED)
        return response

    def told(self, request: HttpRequest, row: BulkOperation, **given: Any) -> dict[str, Any]:
        """Before it is confirmed what would happen, afterwards what did."""
        shown: dict[str, Any] = {
            "title": TITLES[row.kind],
            "subtitle": None,
            "operation": row,
            "list_url": admin_url(Execution, "changelist"),
            "begin_url": admin_url(row, "begin", row.pk),
            "stop_url": admin_url(row, "stop", row.pk),
        }
        if row.state == BulkState.ASKED:
            return {**shown, **_preview(row), "form": given.get("form") or WhyForm()}
        refused = row.items.filter(state=ItemState.REFUSED)
        return {
            **shown,
            "progress": bulk.progress(row),
            "refused": [_item(item) for item in _whole(refused)],
            "still_url": None if "still" in request.GET else "?still=1",
        }

    def _find(self, request: HttpRequest, pk: int) -> BulkOperation:
        self.require(request, OPERATE)
        row = BulkOperation.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def begin_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST confirms: a few are done at once, many by the background."""
        row = self._find(request, pk)
        back = HttpResponseRedirect(admin_url(row, "change", pk))
        if request.method != "POST":
            return back
        form = WhyForm(request.POST)
        if not form.is_valid():
            return self.page(request, row, form=form)
        if not bulk.begin(row, why=form.cleaned_data["why"], by=request.user):
            self.message_user(request, "It has been confirmed before.", messages.WARNING)
        elif row.items.count() <= bulk.AT_ONCE:
            queue.work_at(row)
        return back

    def stop_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST leaves what remains as it is."""
        row = self._find(request, pk)
        if request.method == "POST":
            if bulk.stop(row):
                self.message_user(request, "Stopped. What was done stays done.", messages.SUCCESS)
            else:
                self.message_user(request, "It had ended already.", messages.WARNING)
        return HttpResponseRedirect(admin_url(row, "change", pk))


def _preview(row: BulkOperation) -> dict[str, Any]:
    found = bulk.foreseen(row)
    return {
        "foreseen": found,
        "outcome": OUTCOMES[row.kind],
        "in_background": found.total > bulk.AT_ONCE,
        "refusals": [
            {
                "why": why,
                "number": found.numbers[why],
                "items": [_item(item) for item in _whole(items)[: LISTED // 5]],
            }
            for why, items in found.refused.items()
            if found.numbers[why]
        ],
        "chosen": [_item(item) for item in _whole(row.items.all())[: LISTED // 5]],
    }


def _whole(items: QuerySet[BulkItem]) -> QuerySet[BulkItem]:
    rows = items.select_related("execution__workflow", "execution__entity")
    return rows.defer("execution__entity__fields").order_by("pk")[:LISTED]


def _item(item: BulkItem) -> dict[str, Any]:
    row = item.execution
    return {
        "url": admin_url(Execution, "change", row.pk),
        "execution": row,
        "code": item.code,
        "detail": item.detail,
    }
