"""The pages of changes on hold: what they wait for, and taking them off hold."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator

from workflows import editing, guards
from workflows.admin.base.formatting import (
    NOTHING,
    admin_url,
    badge,
    execution_model,
    link,
    live_count,
    moment,
)
from workflows.admin.base.read_only import ToldAdmin
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING, as_html
from workflows.admin.history import history
from workflows.admin.workflow_sections import Executions
from workflows.editing.context_edit import ContextChange
from workflows.models import CHANGE_CONTEXT, PendingChange, PendingWorkflow, Workflow

LISTED = 20
SHORT = 80
WAITING = PendingChange.State.WAITING


@admin.register(PendingChange)
class PendingChangeAdmin(ToldAdmin):
    """Changes of type that wait until what runs has ended, and what came of them."""

    list_display = ["change", "state_badge", "workflows", "asked", "by", "why_short", "settled"]
    list_display_links = ["change"]
    list_filter = ["state", "entity_name_type", "asked_at"]
    list_select_related = ["asked_by", "entity_name_type", "primary_record_type"]
    search_fields = ["=cuid", "members__title", "=members__cuid", "why", "asked_by__username"]
    page_template = "workflows/admin/pending.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PendingChange]:
        """The changes with their workflows."""
        members = PendingWorkflow.objects.select_related("workflow")
        changes: QuerySet[Any] = super().get_queryset(request)
        return changes.prefetch_related(Prefetch("members", members))

    @admin.display(description="new type")
    def change(self, row: PendingChange) -> str:
        """The type that the workflows are to take."""
        return str(row.context_type)

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: PendingChange) -> str:
        """The state, coloured."""
        return badge(row.state, row.get_state_display())

    @admin.display
    def workflows(self, row: PendingChange) -> str:
        """The workflows, linked while they exist."""
        members = row.members.all()
        return format_html_join(", ", "{}", ((_named(member),) for member in members))

    @admin.display(ordering="asked_at")
    def asked(self, row: PendingChange) -> str:
        """When it was asked for."""
        return moment(row.asked_at)

    @admin.display(description="asked by", ordering="asked_by__username")
    def by(self, row: PendingChange) -> str:
        """Who asked for it."""
        return row.asker or NOTHING

    @admin.display(description="why")
    def why_short(self, row: PendingChange) -> str:
        """The beginning of the reason."""
        return Truncator(row.why).chars(SHORT) or NOTHING

    @admin.display(ordering="settled_at")
    def settled(self, row: PendingChange) -> str:
        """When it was made, or turned out to be impossible."""
        return moment(row.settled_at)

    def get_urls(self) -> list[URLPattern]:
        """The pages of the project's own before the stock ones."""
        wrap = self.admin_site.admin_view
        name = "workflows_pendingchange"
        return [
            path("<int:pk>/withdraw/", wrap(self.withdraw_view), name=f"{name}_withdraw"),
            path("<int:pk>/try/", wrap(self.try_view), name=f"{name}_try"),
            *super().get_urls(),
        ]

    def told(self, request: HttpRequest, row: PendingChange, **given: Any) -> dict[str, Any]:
        """What the change waits for, and what came of it."""
        return {
            "title": "Change on hold" if row.state == WAITING else "Change when drained",
            "change": row,
            "workflows": _workflows(row),
            "waits": row.state == WAITING and _what_it_waits_for(row),
            "may_change": request.user.has_perm(CHANGE_CONTEXT),
            "withdraw_url": admin_url(row, "withdraw", row.pk),
            "try_url": admin_url(row, "try", row.pk),
            **history(request, row.cuid),
        }

    def _find(self, request: HttpRequest, pk: int) -> PendingChange:
        self.require(request, CHANGE_CONTEXT)
        row = self.get_queryset(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def _leave(self, request: HttpRequest, row: PendingChange | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            return HttpResponseRedirect(admin_url(Workflow, "changelist"))
        page = ("change", row.pk) if row is not None else ("changelist",)
        return HttpResponseRedirect(admin_url(PendingChange, *page))

    def withdraw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET asks, POST withdraws."""
        row = self._find(request, pk)
        if request.method != "POST":
            return self.render_page(
                request,
                "workflows/admin/withdraw.html",
                {
                    "title": "Withdraw the change" if row.state == WAITING else "Put away",
                    "change": row,
                    "workflows": _workflows(row),
                    "back_url": admin_url(row, "change", row.pk),
                },
                row=row,
            )
        title = str(row)
        try:
            editing.withdraw(row, by=request.user)
        except REFUSING as error:
            refusal = recorded(error)
            self.message_refusal(request, refusal)
            is_there = PendingChange.objects.filter(pk=pk).exists()
            return self._leave(request, row if is_there else None)
        for workflow in _existing(row):
            change = f"Change of type to {row.context_type} withdrawn."
            self.log_change(request, workflow, change)
        text = format_html("Withdrawn: the change of {}.", title)
        self.message_user(request, text, messages.SUCCESS)
        return self._leave(request)

    def try_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """POST makes the change if nothing stands in its way any more."""
        row = self._find(request, pk)
        if request.method != "POST":
            return self._leave(request, row)
        try:
            settled = editing.apply_drained(row.pk)
        except REFUSING as error:
            self.message_refusal(request, recorded(error))
            return self._leave(request, row)
        if settled is None:
            text = "Nothing was changed: it waits still, or somebody else was faster."
            self.message_user(request, text, messages.WARNING)
        elif settled.state == PendingChange.State.APPLIED:
            for workflow in _existing(row):
                self.log_change(request, workflow, f"Type changed to {row.context_type}.")
            self.message_user(request, format_html("Made: {}.", row), messages.SUCCESS)
        else:
            text = format_html("It could not be made: {}", settled.reason)
            self.message_user(request, text, messages.ERROR)
        return self._leave(request, row)


def _named(member: PendingWorkflow) -> str:
    return link(member.workflow, member.title) if member.workflow else member.title


def _existing(row: PendingChange) -> list[Workflow]:
    return [member.workflow for member in row.members.all() if member.workflow]


def _workflows(row: PendingChange) -> list[dict[str, Any]]:
    ids = [member.workflow_id for member in row.members.all() if member.workflow_id]
    related = ("entity_name_type", "primary_record_type")
    rows: Any = Workflow.objects.filter(pk__in=ids).select_related(*related)
    known = {found.pk: found for found in rows.annotate(live_number=live_count("workflow"))}
    execution = execution_model()
    return [
        {
            "title": member.title,
            "row": known.get(member.workflow_id),
            "url": member.workflow_id and admin_url(Workflow, "change", member.workflow_id),
            "live_url": admin_url(
                execution, "changelist", workflow=member.workflow_id or "", live="yes"
            ),
        }
        for member in row.members.all()
    ]


def _what_it_waits_for(row: PendingChange) -> dict[str, Any]:
    """The live executions, and what would refuse the change even after they have ended."""
    change = ContextChange(_existing(row), row.described_context(), "default")
    blocking = change.own_executions() | change.dependent_executions()
    rows = blocking.select_related("workflow", "version", "entity").order_by("-pk")
    refusal = None
    try:
        change.judge(drained=True)
    except guards.Refusal as refused:
        refusal = as_html(refused)
    return {
        "executions": Executions(
            list(rows.defer("version__source", "entity__fields")[:LISTED]), blocking.count(), ""
        ),
        "refusal": refusal,
    }
