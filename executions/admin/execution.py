"""The pages of executions: told, never edited; what can be done has pages of its own."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.text import smart_split, unescape_string_literal

from executions.admin import bulk
from executions.admin.cancel import cancel_page, restart_page
from executions.admin.decisions import VOTES, decide
from executions.admin.execution_details import told
from executions.admin.home import SEE_EXECUTIONS
from executions.admin.inbox import inbox_page
from executions.admin.reassign import reassign_page
from executions.admin.start import start_page
from executions.admin.steps import submit_form
from executions.inbox import inbox, unassigned
from executions.models import OPERATE, START, SUBMIT, BulkKind, Entity, Execution, Step
from workflows.admin.base.formatting import badge, moment
from workflows.admin.base.link_filters import ExactFilter, narrowed
from workflows.admin.base.read_only import ToldAdmin
from workflows.models import Version, Workflow


class LiveFilter(SimpleListFilter):
    """Whether an execution still has something to do."""

    title = "live"
    parameter_name = "live"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Live, or ended."""
        return [("yes", "Live"), ("no", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only the live ones, or only the others."""
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(live_key__isnull=self.value() == "no")


class InboxFilter(SimpleListFilter):
    """What waits for the user who looks."""

    title = "waits for me"
    parameter_name = "mine"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Only those."""
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only executions with a step that this user may do."""
        return queryset.filter(pk__in=inbox(request.user)) if self.value() == "yes" else queryset


class NodeFilter(ExactFilter):
    """The node at which an execution stands; the picture of a graph leads here."""

    title = "stands at"
    parameter_name = "node"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only executions with an open step there."""
        node = self.value()
        return queryset if node is None else queryset.filter(_has_open_step(node_id=node))


class IncidentFilter(SimpleListFilter):
    """Whether an execution waits for an operator."""

    title = "incident"
    parameter_name = "incident"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Only those."""
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only executions with an incident; where a node is asked for, with one at that node."""
        if self.value() != "yes":
            return queryset
        node = request.GET.get(NodeFilter.parameter_name)
        at = {"node_id": node} if node and "\0" not in node else {}
        return _with_a_step(queryset, Step.objects.incidents().filter(**at))


class OverdueFilter(SimpleListFilter):
    """Whether a deadline has passed."""

    title = "overdue"
    parameter_name = "overdue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Only those."""
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only executions with an open step whose deadline has passed."""
        return _with_a_step(queryset, Step.objects.overdue()) if self.value() == "yes" else queryset


class UnassignedFilter(SimpleListFilter):
    """Whether a step asks people of whom nobody can do it."""

    title = "unassigned"
    parameter_name = "unassigned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Only those."""
        return [("yes", "Yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only executions with an open step that nobody can do."""
        return _with_a_step(queryset, unassigned()) if self.value() == "yes" else queryset


def _with_a_step(queryset: QuerySet[Any], steps: QuerySet[Step]) -> QuerySet[Any]:
    # Few have one: they are found, not each asked.
    return queryset.filter(pk__in=steps.order_by().values("execution"))


def _has_open_step(**narrowed: Any) -> Exists:
    return Exists(Step.objects.open().filter(execution=OuterRef("pk"), **narrowed))


@admin.register(Execution)
class ExecutionAdmin(ToldAdmin):
    """Executions: where they stand, and what can be done to them."""

    list_display = ["cuid_code", "status_badge", "runs", "works_on", "started"]
    list_filter = [
        InboxFilter,
        LiveFilter,
        IncidentFilter,
        OverdueFilter,
        UnassignedFilter,
        NodeFilter,
        "status",
        narrowed("workflow", Workflow),
        narrowed("version", Version),
        narrowed("entity", Entity),
        "workflow__entity_name_type",
        "started_at",
    ]
    list_select_related = ["workflow", "version", "entity"]
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
        **{name: name for name in ("started_at", "scheduled_for", "ended_at")},
        "started_by": "starter",
    }
    page_template = "executions/admin/execution.html"
    actions = ["cancel_selected", "retry_selected", "wake_selected"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Whether the user may decide on executions."""
        return bool(request.user.has_perm(OPERATE))

    @admin.action(description="Cancel…", permissions=["operate"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Go to the page that says what would happen and asks why."""
        return bulk.ask(self, request, BulkKind.CANCEL, queryset)

    @admin.action(description="Try again…", permissions=["operate"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Go to the page that says what would happen and asks why."""
        return bulk.ask(self, request, BulkKind.RETRY, queryset)

    @admin.action(description="Wake…", permissions=["operate"])
    def wake_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Go to the page that says what would happen and asks why."""
        return bulk.ask(self, request, BulkKind.WAKE, queryset)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Execution]:
        """Executions without what is large."""
        return super().get_queryset(request).defer("version__source", "entity__fields")

    def get_search_results(
        self, request: HttpRequest, queryset: Any, search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What has every word of the search."""
        words = [
            unescape_string_literal(word) if word[0] in "\"'" and word[0] == word[-1] else word
            for word in smart_split(search_term)
        ]
        return queryset.matching(words), False

    @admin.display(description="status", ordering="status")
    def status_badge(self, row: Execution) -> str:
        """The status, coloured."""
        return badge(row.status, row.get_status_display())

    @admin.display(description="cuid", ordering="pk")
    def cuid_code(self, row: Execution) -> str:
        """The public id."""
        return format_html('<span class="cuid">{}</span>', row.cuid)

    @admin.display(description="workflow", ordering="workflow__title")
    def runs(self, row: Execution) -> str:
        """The workflow, and the version of it that runs."""
        return f"{row.workflow} v{row.version.number}"

    # Under its own name the column would not wrap, and push the others out of sight.
    @admin.display(description="entity", ordering="entity__title")
    def works_on(self, row: Execution) -> str:
        """The finding or the model."""
        return str(row.entity)

    @admin.display(ordering="started_at")
    def started(self, row: Execution) -> str:
        """When it began."""
        return moment(row.started_at)

    def get_urls(self) -> list[URLPattern]:
        """The pages of the project's own before the stock ones."""
        wrap = self.admin_site.admin_view
        own = [
            path("start/<int:pk>/", wrap(self.start_view), name="executions_execution_start"),
            path("inbox/", wrap(self.inbox_view), name="executions_execution_inbox"),
            path("<int:pk>/cancel/", wrap(self.cancel_view), name="executions_execution_cancel"),
            path(
                "<int:pk>/submit/<str:cuid>/",
                wrap(self.submit_view),
                name="executions_execution_submit",
            ),
        ]
        own += [
            path(
                "<int:pk>/reassign/<str:cuid>/",
                wrap(self.reassign_view),
                name="executions_execution_reassign",
            ),
            path("<int:pk>/restart/", wrap(self.restart_view), name="executions_execution_restart"),
            path(
                "<int:pk>/step/<str:cuid>/<str:name>/",
                wrap(self.decide_view),
                name="executions_execution_decide",
            ),
        ]
        return [*own, *super().get_urls()]

    def told(self, request: HttpRequest, row: Execution, **given: Any) -> dict[str, Any]:
        """Where it stands; ``bound`` has the forms that were refused, by step."""
        whole = told(request, self.find(row.pk), given.get("bound", {}))
        return {"title": "Execution", "original": None, **whole}

    def find(self, pk: int) -> Execution:
        """The execution with all that its page names. Raises ``Http404``."""
        related = ("workflow", "version", "entity", "parent", "root", "started_by")
        row = Execution.objects.select_related(*related).filter(pk=pk).first()
        if row is None:
            raise Http404
        return row

    def inbox_view(self, request: HttpRequest) -> HttpResponse:
        """What waits for whoever looks, and what they did."""
        self.require(request, SUBMIT)
        self.require(request, SEE_EXECUTIONS)
        return self.inbox(request)

    def inbox(self, request: HttpRequest, **given: Any) -> HttpResponse:
        """The page; ``given`` may have the form that was refused."""
        return inbox_page(self, request, **given)

    def start_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page where an entity is chosen to start a workflow on."""
        self.require(request, START)
        return start_page(self, request, pk)

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page that asks why before it cancels."""
        self.require(request, OPERATE)
        return cancel_page(self, request, self.find(pk))

    def restart_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page that asks why before it begins anew."""
        self.require(request, OPERATE)
        self.require(request, START)
        return restart_page(self, request, self.find(pk))

    def decide_view(self, request: HttpRequest, pk: int, cuid: str, name: str) -> HttpResponse:
        """Where the buttons of open steps post to."""
        self.require(request, SUBMIT if name in VOTES else OPERATE)
        return decide(self, request, self.find(pk), cuid, name)

    def reassign_view(self, request: HttpRequest, pk: int, cuid: str) -> HttpResponse:
        """The page where an operator chooses whom a step asks."""
        self.require(request, OPERATE)
        return reassign_page(self, request, self.find(pk), cuid)

    def submit_view(self, request: HttpRequest, pk: int, cuid: str) -> HttpResponse:
        """Where the forms of open steps are posted to."""
        self.require(request, SUBMIT)
        return submit_form(self, request, self.find(pk), cuid)
