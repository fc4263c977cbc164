"""Pages of type changes on hold: what blocks them, applying and withdrawing them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows import editing, guards
from workflows.admin.audit import history_context
from workflows.admin.base.formatting import (
    DASH,
    admin_url,
    badge,
    execution_model,
    format_moment,
    link,
    live_count,
)
from workflows.admin.base.model_admin import ReadOnlyAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal, refusal_html
from workflows.admin.workflow_sections import Executions
from workflows.editing.context_change import ContextChange
from workflows.models import CHANGE_CONTEXT, PendingChange, PendingWorkflow, Workflow

LISTED = 20
MAX_REASON_LENGTH = 80
WAITING = PendingChange.State.WAITING


@admin.register(PendingChange)
class PendingChangeAdmin(ReadOnlyAdmin):
    """Type changes that wait for live executions to end, and their results."""

    list_title = _("Changes on hold")
    item_titles = (_("change on hold"), _("changes on hold"))
    empty_text = _("A type change that waits for the end of live executions appears here.")
    list_display = [
        "change",
        "state_badge",
        "workflows",
        "requested",
        "by",
        "short_reason",
        "ended",
    ]
    list_display_links = ["change"]
    list_filter = ["state", "entity_name_type", "asked_at"]
    list_select_related = ["asked_by", "entity_name_type", "primary_record_type"]
    search_fields = ["=cuid", "members__title", "=members__cuid", "why", "asked_by__username"]
    page_template = "workflows/admin/pending_change.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[PendingChange]:
        """Return the changes with their workflows."""
        members = PendingWorkflow.objects.select_related("workflow")
        changes: QuerySet[Any] = super().get_queryset(request)
        return changes.prefetch_related(Prefetch("members", members))

    @admin.display(description=_("new type"))
    def change(self, row: PendingChange) -> str:
        """Return the type that the workflows will get."""
        return str(row.context_type)

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: PendingChange) -> str:
        """Return the state as a badge."""
        return badge(row.state, row.get_state_display())

    @admin.display(description=_("workflows"))
    def workflows(self, row: PendingChange) -> str:
        """Return the workflows, linked if they exist."""
        members = row.members.all()
        return format_html_join(", ", "{}", ((_member_link(member),) for member in members))

    @admin.display(description=_("requested"), ordering="asked_at")
    def requested(self, row: PendingChange) -> str:
        """Return the time of the request."""
        return format_moment(row.asked_at)

    @admin.display(description=_("requested by"), ordering="asked_by__username")
    def by(self, row: PendingChange) -> str:
        """Return the name of the user who requested the change."""
        return row.asker or DASH

    @admin.display(description=_("reason"))
    def short_reason(self, row: PendingChange) -> str:
        """Return the beginning of the reason."""
        return Truncator(row.why).chars(MAX_REASON_LENGTH) or DASH

    @admin.display(description=_("ended"), ordering="settled_at")
    def ended(self, row: PendingChange) -> str:
        """Return the time when the change was applied or refused."""
        return format_moment(row.settled_at)

    def get_urls(self) -> list[URLPattern]:
        """Add the routes of the custom pages."""
        wrap = self.admin_site.admin_view
        name = "workflows_pendingchange"
        return [
            path("<int:pk>/withdraw/", wrap(self.withdraw_view), name=f"{name}_withdraw"),
            path("<int:pk>/try/", wrap(self.try_view), name=f"{name}_try"),
            *super().get_urls(),
        ]

    def row_context(self, request: HttpRequest, row: Any, **options: Any) -> dict[str, Any]:
        """Return the context of the page of one change."""
        return {
            "title": gettext("Change on hold") if row.state == WAITING else gettext("Type change"),
            "change": row,
            "workflows": _workflows(row),
            "blocking": row.state == WAITING and _blocking_context(row),
            "may_change": request.user.has_perm(CHANGE_CONTEXT),
            "withdraw_url": admin_url(row, "withdraw", row.pk),
            "try_url": admin_url(row, "try", row.pk),
            **history_context(request, row.cuid),
        }

    def _find(self, request: HttpRequest, pk: int) -> PendingChange:
        self.require(request, CHANGE_CONTEXT)
        row = self.get_queryset(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def _redirect(self, request: HttpRequest, row: PendingChange | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            return HttpResponseRedirect(admin_url(Workflow, "changelist"))
        page = ("change", row.pk) if row is not None else ("changelist",)
        return HttpResponseRedirect(admin_url(PendingChange, *page))

    def withdraw_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask for confirmation on GET, withdraw the change on POST."""
        row = self._find(request, pk)
        if request.method != "POST":
            return self.render_page(
                request,
                "workflows/admin/withdraw_change.html",
                {
                    "title": gettext("Withdraw the change")
                    if row.state == WAITING
                    else gettext("Dismiss"),
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
            refusal = log_refusal(error)
            self.message_refusal(request, refusal)
            exists = PendingChange.objects.filter(pk=pk).exists()
            return self._redirect(request, row if exists else None)
        for workflow in _existing(row):
            text = gettext("Type change to %(type)s withdrawn.") % {"type": row.context_type}
            self.log_change(request, workflow, text)
        message = format_html(gettext("The type change was withdrawn: {}."), title)
        self.message_user(request, message, messages.SUCCESS)
        return self._redirect(request)

    def try_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Apply the change on POST if nothing blocks it."""
        row = self._find(request, pk)
        if request.method != "POST":
            return self._redirect(request, row)
        try:
            settled = editing.apply_drained(row.pk)
        except REFUSING as error:
            self.message_refusal(request, log_refusal(error))
            return self._redirect(request, row)
        if settled is None:
            text = gettext(
                "The change was not applied. Executions still block it, or it is no longer on hold."
            )
            self.message_user(request, text, messages.WARNING)
        elif settled.state == PendingChange.State.APPLIED:
            for workflow in _existing(row):
                change = gettext("Type changed to %(type)s.") % {"type": row.context_type}
                self.log_change(request, workflow, change)
            message = format_html(gettext("The type change was applied: {}."), row)
            self.message_user(request, message, messages.SUCCESS)
        else:
            message = format_html(gettext("The change could not be applied: {}"), settled.reason)
            self.message_user(request, message, messages.ERROR)
        return self._redirect(request, row)


def _member_link(member: PendingWorkflow) -> str:
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


def _blocking_context(row: PendingChange) -> dict[str, Any]:
    """Return the blocking executions, and the refusal that remains after they have ended."""
    change = ContextChange(_existing(row), row.described_context())
    blocking = change.own_executions() | change.dependent_executions()
    rows = blocking.select_related("workflow", "version", "entity").order_by("-pk")
    refusal = None
    try:
        change.judge(drained=True)
    except guards.Refusal as refused:
        refusal = refusal_html(refused)
    return {
        "executions": Executions(
            list(rows.defer("version__source", "entity__fields")[:LISTED]), blocking.count(), ""
        ),
        "refusal": refusal,
    }
