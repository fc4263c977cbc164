"""Execution pages: the list, one execution, and the routes of its actions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.utils.text import smart_split, unescape_string_literal
from django.utils.translation import gettext_lazy as _

from executions.admin import bulk
from executions.admin.cancel import cancel_page, restart_page
from executions.admin.comments import comment_page, withdraw_page
from executions.admin.decisions import VOTES, decide
from executions.admin.execution_details import annotate_offers, execution_context
from executions.admin.files import download_page
from executions.admin.home import VIEW_EXECUTIONS
from executions.admin.inbox import inbox_page
from executions.admin.inbox_filters import back_to_inbox
from executions.admin.incidents import retry_alike
from executions.admin.list_filters import (
    InboxFilter,
    IncidentFilter,
    LiveFilter,
    NodeFilter,
    OverdueFilter,
    StarterFilter,
    UnassignedFilter,
    VersionFilter,
    WorkflowFilter,
)
from executions.admin.list_steps import (
    assignees_text,
    attach_steps,
    due_text,
    incident_text,
    status_html,
    steps_html,
)
from executions.admin.move import move_page, move_version_page
from executions.admin.reassign import reassign_page
from executions.admin.reports import reports_csv, reports_page
from executions.admin.start import start_on_entity, start_page
from executions.admin.steps import submit_form
from executions.admin.trial import EDIT_GRAPH, trial_page
from executions.models import (
    COMMENT,
    OPERATE,
    START,
    SUBMIT,
    VIEW_STEPS,
    BulkKind,
    Entity,
    Execution,
)
from workflows.admin.base.filters import related_row_filter
from workflows.admin.base.formatting import DASH, admin_url, format_moment
from workflows.admin.base.model_admin import ReadOnlyAdmin


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """Executions, with their current steps and actions."""

    empty_text = _("Start executions on the page of a workflow or an entity, or by a trigger.")
    list_display = [
        "workflow_version",
        "entity_title",
        "status_badge",
        "steps",
        "due",
        "assignees",
        "started",
    ]
    optional_columns = ("stage", "progress", "incident", "type", "starter", "ended", "public_id")
    list_filter = [
        InboxFilter,
        LiveFilter,
        IncidentFilter,
        OverdueFilter,
        UnassignedFilter,
        WorkflowFilter,
        VersionFilter,
        NodeFilter,
        "status",
        StarterFilter,
        related_row_filter("entity", Entity),
        "workflow__entity_name_type",
        "started_at",
    ]
    list_select_related = [
        *("workflow", "version", "started_by"),
        *("entity__entity_name_type", "entity__primary_record_type"),
    ]
    search_fields = ["cuid", "workflow__title", "entity__title"]
    csv_columns = {
        **{name: name for name in ("cuid", "status", "stage", "progress", "message")},
        "workflow": "workflow.title",
        "workflow_cuid": "workflow.cuid",
        "version": "version.number",
        "entity": "entity.title",
        "entity_cuid": "entity.cuid",
        "finding_type": "entity.entity_name_type.name",
        "record_type": "entity.primary_record_type.name",
        **{name: name for name in ("item", "started_at", "scheduled_for", "ended_at")},
        "started_by": "starter",
    }
    page_template = "executions/admin/execution.html"
    actions = ["cancel_selected", "retry_selected", "wake_selected", "move_selected"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return True if the user may operate executions."""
        return bool(request.user.has_perm(OPERATE))

    @admin.action(description=_("Cancel…"), permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: Any) -> Any:
        """Open the preview of the cancellation."""
        return bulk.open_preview(self, request, BulkKind.CANCEL, queryset)

    @admin.action(description=_("Retry…"), permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: Any) -> Any:
        """Open the preview of the retry."""
        return bulk.open_preview(self, request, BulkKind.RETRY, queryset)

    @admin.action(description=_("Skip the wait…"), permissions=["operate"])
    def wake_selected(self, request: HttpRequest, queryset: Any) -> Any:
        """Open the preview of the skipped waits."""
        return bulk.open_preview(self, request, BulkKind.WAKE, queryset)

    @admin.action(description=_("Move to another version…"), permissions=["operate"])
    def move_selected(self, request: HttpRequest, queryset: Any) -> Any:
        """Open the plan of the move."""
        live = queryset.filter(live_key__isnull=False)
        return bulk.open_preview(self, request, BulkKind.MOVE, live)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        """Return executions without large columns."""
        large = ("version__source", "entity__fields", "passed", "variables")
        return super().get_queryset(request).defer(*large)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Return the list, whose rows have their current steps."""
        change_list = super().get_changelist_instance(request)
        attach_steps(change_list.result_list)
        return change_list

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the executions that match every word of the search."""
        words = [
            unescape_string_literal(word) if word[0] in "\"'" and word[0] == word[-1] else word
            for word in smart_split(search_term)
        ]
        return queryset.matching(words), False

    @admin.display(description=_("status"), ordering="status")
    def status_badge(self, row: Execution) -> str:
        """Return the status as a badge, or that the execution has an incident."""
        return status_html(row)

    @admin.display(description=_("current steps"))
    def steps(self, row: Execution) -> str:
        """Return the current steps and the stage."""
        return steps_html(row)

    @admin.display(description=_("due"))
    def due(self, row: Execution) -> str:
        """Return the earliest deadline of the current steps."""
        return due_text(row)

    @admin.display(description=_("assignees"))
    def assignees(self, row: Execution) -> str:
        """Return the assignees of the current steps."""
        return assignees_text(row)

    @admin.display(description=_("workflow"), ordering="workflow__title")
    def workflow_version(self, row: Execution) -> str:
        """Return the workflow and its version."""
        return f"{row.workflow} v{row.version.number}"

    # A column named like the relation does not wrap.
    @admin.display(description=_("entity"), ordering="entity__title")
    def entity_title(self, row: Execution) -> str:
        """Return the title of the entity."""
        return str(row.entity)

    @admin.display(description=_("incident"))
    def incident(self, row: Execution) -> str:
        """Return the details of the incidents at the current steps."""
        return incident_text(row)

    @admin.display(description=_("type"))
    def type(self, row: Execution) -> str:
        """Return the finding type or the record type of the entity."""
        return str(row.entity.context_type)

    @admin.display(description=_("started by"))
    def starter(self, row: Execution) -> str:
        """Return the account that started it."""
        return row.starter or DASH

    @admin.display(description=_("ended"), ordering="ended_at")
    def ended(self, row: Execution) -> str:
        """Return the time of its end."""
        return format_moment(row.ended_at)

    @admin.display(description=_("started"), ordering="started_at")
    def started(self, row: Execution) -> str:
        """Return the start time."""
        return format_moment(row.started_at)

    def get_urls(self) -> list[URLPattern]:
        """Add the routes of the custom pages."""
        wrap = self.admin_site.admin_view
        own = [
            path("start/<int:pk>/", wrap(self.start_view), name="executions_execution_start"),
            path(
                "start-on/<int:pk>/",
                wrap(self.start_on_view),
                name="executions_execution_start_on",
            ),
            path("trial/<int:pk>/", wrap(self.trial_view), name="executions_execution_trial"),
            path("inbox/", wrap(self.inbox_view), name="executions_execution_inbox"),
            path("reports/", wrap(self.reports_view), name="executions_execution_reports"),
            path(
                "reports/<str:name>.csv",
                wrap(self.reports_csv_view),
                name="executions_execution_reports_csv",
            ),
            path("<int:pk>/cancel/", wrap(self.cancel_view), name="executions_execution_cancel"),
            path(
                "<int:pk>/submit/<str:cuid>/",
                wrap(self.submit_view),
                name="executions_execution_submit",
            ),
        ]
        own += [
            path("<int:pk>/move/", wrap(self.move_view), name="executions_execution_move"),
            path(
                "move-version/<int:pk>/",
                wrap(self.move_version_view),
                name="executions_execution_move_version",
            ),
            path(
                "<int:pk>/reassign/<str:cuid>/",
                wrap(self.reassign_view),
                name="executions_execution_reassign",
            ),
            path("<int:pk>/comment/", wrap(self.comment_view), name="executions_execution_comment"),
            path(
                "<int:pk>/comment/<str:cuid>/withdraw/",
                wrap(self.withdraw_comment_view),
                name="executions_execution_withdraw_comment",
            ),
            path(
                "<int:pk>/step/<str:cuid>/retry-alike/",
                wrap(self.retry_alike_view),
                name="executions_execution_retry_alike",
            ),
            path(
                "<int:pk>/file/<str:cuid>/",
                wrap(self.file_view),
                name="executions_execution_file",
            ),
            path("<int:pk>/restart/", wrap(self.restart_view), name="executions_execution_restart"),
            path(
                "<int:pk>/step/<str:cuid>/<str:name>/",
                wrap(self.decide_view),
                name="executions_execution_decide",
            ),
        ]
        return [*own, *super().get_urls()]

    def row_context(self, request: HttpRequest, row: Any, **options: Any) -> dict[str, Any]:
        """Return the context of the page.

        The option ``bound`` has the forms with errors, by the cuid of their step.
        """
        return execution_context(
            request, self.find(row.pk), options.get("bound", {}), options.get("comment_form")
        )

    def find(self, pk: int) -> Execution:
        """Return an execution with the related rows of its page.

        Raises:
            Http404: the execution does not exist.
        """
        related = ("workflow", "version", "entity", "root", "started_by")
        parents = ("parent__workflow", "parent__entity")
        rows = annotate_offers(Execution.objects.select_related(*related, *parents))
        row: Execution | None = rows.defer("parent__entity__fields").filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def inbox_view(self, request: HttpRequest) -> HttpResponse:
        """Show the user's open and completed steps."""
        self.require(request, SUBMIT)
        self.require(request, VIEW_EXECUTIONS)
        return inbox_page(self, request)

    def reports_view(self, request: HttpRequest) -> HttpResponse:
        """Show the reports."""
        self.require(request, VIEW_EXECUTIONS)
        return reports_page(self, request)

    def reports_csv_view(self, request: HttpRequest, name: str) -> HttpResponseBase:
        """Return a table of the reports as CSV."""
        self.require(request, VIEW_EXECUTIONS)
        return reports_csv(request, name)

    def start_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page that starts a workflow on an entity."""
        self.require(request, START)
        return start_page(self, request, pk)

    def start_on_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Start a workflow on an entity, from the page of the entity."""
        self.require(request, START)
        return start_on_entity(self, request, pk)

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page that cancels an execution."""
        self.require(request, OPERATE)
        return cancel_page(self, request, self.find(pk))

    def restart_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page that restarts an execution."""
        self.require(request, OPERATE)
        self.require(request, START)
        return restart_page(self, request, self.find(pk))

    def move_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page that moves an execution to another version."""
        self.require(request, OPERATE)
        return move_page(self, request, self.find(pk))

    def trial_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Run the user's draft of a graph on an invented entity. Writes nothing."""
        self.require(request, EDIT_GRAPH)
        return trial_page(self, request, pk)

    def move_version_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page that moves the live executions on a version to another one."""
        self.require(request, OPERATE)
        return move_version_page(self, request, pk)

    def decide_view(self, request: HttpRequest, pk: int, cuid: str, name: str) -> HttpResponse:
        """Show or carry out a decision at an open step."""
        is_own = name in (*VOTES, "claim", "unclaim")
        if name != "unclaim" or not request.user.has_perm(OPERATE):
            self.require(request, SUBMIT if is_own else OPERATE)
        return decide(self, request, self.find(pk), cuid, name)

    def retry_alike_view(self, request: HttpRequest, pk: int, cuid: str) -> HttpResponse:
        """Open the preview of a retry of all executions with the same incident."""
        self.require(request, OPERATE)
        return retry_alike(self, request, self.find(pk), cuid)

    def reassign_view(self, request: HttpRequest, pk: int, cuid: str) -> HttpResponse:
        """Show the page that reassigns a step."""
        self.require(request, OPERATE)
        return reassign_page(self, request, self.find(pk), cuid)

    def file_view(self, request: HttpRequest, pk: int, cuid: str) -> HttpResponse:
        """Return the content of a file of the execution."""
        for permission in VIEW_STEPS:
            self.require(request, permission)
        return download_page(self, request, pk, cuid)

    def comment_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Add a comment to an execution."""
        self.require(request, VIEW_EXECUTIONS)
        self.require(request, COMMENT)
        own = f"{admin_url(Execution, 'change', pk)}#history"
        back = back_to_inbox(request, task=request.POST.get("step", "")) or own
        return comment_page(self, request, self.find(pk), back)

    def withdraw_comment_view(self, request: HttpRequest, pk: int, cuid: str) -> HttpResponse:
        """Show the page that withdraws a comment."""
        self.require(request, VIEW_EXECUTIONS)
        self.require(request, COMMENT)
        return withdraw_page(self, request, self.find(pk), cuid)

    def submit_view(self, request: HttpRequest, pk: int, cuid: str) -> HttpResponse:
        """Submit the form of an open step."""
        self.require(request, SUBMIT)
        execution = self.find(pk)

        def show_forms(bound: dict[str, Any]) -> HttpResponse:
            if back_to_inbox(request) is not None:
                return inbox_page(self, request, bound)
            return self.render_row(request, execution, bound=bound)

        return submit_form(self, request, execution, cuid, show_forms)
