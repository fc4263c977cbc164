"""The pages of workflows: the list, the settings, and what stands below them."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from workflows import editing
from workflows.admin.base.edits import DB
from workflows.admin.base.formatting import admin_url, badge, execution_model, live_count
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING, as_html
from workflows.admin.change_type import CANCEL, change_type_page, type_changed_page
from workflows.admin.compare_versions import compare_page
from workflows.admin.graph_editor.json_page import graph_page
from workflows.admin.graph_editor.page import editor_page
from workflows.admin.workflow_sections import Outlook, outlook, outlook_html, sections
from workflows.audit.audited_model import changed
from workflows.db import locks
from workflows.editing.context_edit import lock_for_edit
from workflows.models import CHANGE_CONTEXT, CONTEXT_FIELDS, PendingWorkflow, Version, Workflow

NOTICE = "change_of_type"
_OUTLOOK = "_outlook"
STATE = "_state"


@admin.register(Workflow)
class WorkflowAdmin(GuardedAdmin):
    """Workflows, the settings that are live."""

    list_display = ["title", "type", "state_badge", "trigger", "latest", "live_executions"]
    list_filter = ["state", "trigger", "entity_name", "entity_name_type", "primary_record_type"]
    search_fields = ["title", "description", "=cuid"]
    actions = ["change_type", "activate", "retire"]
    csv_columns = {
        **{name: name for name in ("cuid", "title", "description", "state", "trigger")},
        "entity_name": "entity_name",
        "finding_type": "entity_name_type.name",
        "record_type": "primary_record_type.name",
        "version": "latest_number",
        "live_executions": "live_number",
    }

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        """Workflows with the numbers that their list shows."""
        latest = Version.objects.filter(workflow=OuterRef("pk")).order_by("-number")
        waiting = PendingWorkflow.objects.filter(workflow=OuterRef("pk"), waiting=True)
        workflows: QuerySet[Any] = (
            super()
            .get_queryset(request)
            .select_related("entity_name_type", "primary_record_type")
            .annotate(
                latest_number=Subquery(latest.values("number")[:1]),
                live_number=live_count("workflow"),
                is_draining=Exists(waiting),
            )
        )
        return workflows

    @admin.display(ordering="entity_name_type__name")
    def type(self, row: Workflow) -> str:
        """The finding type or the record type."""
        return str(row.context_type)

    @admin.display(description="state", ordering="state")
    def state_badge(self, row: Any) -> str:
        """The state, coloured; beside it, whether a change of type waits."""
        state = badge(row.state, row.get_state_display())
        if not row.is_draining:
            return state
        return format_html("{} {}", state, badge("draining", "Draining"))

    @admin.display(description="version", ordering="latest_number")
    def latest(self, row: Any) -> str:
        """The number of the latest version."""
        return f"v{row.latest_number}"

    @admin.display(ordering="live_number")
    def live_executions(self, row: Any) -> str:
        """How many executions run, linked to them."""
        url = admin_url(execution_model(), "changelist", workflow=row.pk, live="yes")
        return format_html('<a href="{}">{}</a>', url, row.live_number)

    def action_checkbox(self, obj: Workflow) -> SafeString:
        """The checkbox of a row, and the state that the list shows: actions decide on it."""
        box = super().action_checkbox(obj)
        hidden = '{}<input type="hidden" name="{}-{}" value="{}">'
        return format_html(hidden, box, STATE, obj.pk, obj.state)

    # The settings

    def _outlook(self, request: HttpRequest, obj: Workflow) -> Outlook:
        # One request asks several times, and the form changes the instance in between.
        known: dict[int, Outlook] = request.__dict__.setdefault(_OUTLOOK, {})
        if obj.pk not in known:
            known[obj.pk] = outlook(obj)
        return known[obj.pk]

    def get_fieldsets(self, request: HttpRequest, obj: Workflow | None = None) -> Any:
        """The settings; beside the type stands what a change of it would be refused for."""
        context: list[str] = list(CONTEXT_FIELDS)
        if obj is not None and self._outlook(request, obj).is_worth_saying:
            context.insert(2, NOTICE)
        facts = ["cuid"] if obj is not None else []
        return [
            (None, {"fields": ["title", "description", "state", *facts]}),
            ("Works on", {"fields": context}),
            ("Starts", {"fields": ["trigger", "trigger_data"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Workflow | None = None) -> Any:
        """What is only told; of a workflow that is there, the type to whoever may not change it."""
        may_change = obj is None or self.has_change_context_permission(request)
        return ["cuid", NOTICE, *(() if may_change else CONTEXT_FIELDS)]

    def has_change_context_permission(self, request: HttpRequest) -> bool:
        """Whether the user may change what workflows work on."""
        return bool(request.user.has_perm(CHANGE_CONTEXT))

    @admin.display(description="changing it")
    def change_of_type(self, row: Workflow) -> str:
        """The notice; the page puts in what it has found."""
        notice: str = getattr(row, "outlook_notice", "")
        return notice

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """The workflow, with the notice that its page shows."""
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            request.__dict__.pop(_OUTLOOK, None)
            may_change = self.has_change_context_permission(request)
            found = self._outlook(request, row)
            may_cancel = request.user.has_perm(CANCEL)
            row.outlook_notice = outlook_html(
                row, found, may_change=may_change, may_cancel=may_cancel
            )
        return row

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form; the context is held while live executions refuse every change of it."""
        form = super().get_form(request, obj, change=change, **kwargs)
        if obj is not None and self._outlook(request, obj).refusal is not None:
            form.held = CONTEXT_FIELDS
        return form

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """The page of one workflow, with its sections."""
        row = context.get("original")
        shown = sections(request, row) if row is not None else {}
        page = context["adminform"]
        if set(CONTEXT_FIELDS) & set(page.form.errors):
            # The refusal stands at its field; the notice would say it again.
            for _, options in page.fieldsets:
                options["fields"] = [name for name in options["fields"] if name != NOTICE]
        return super().render_change_form(request, {**context, **shown}, *args, **kwargs)

    def lock_row(self, row: Any) -> None:
        """Lock the workflow in the order of every editor: what it calls is locked with it."""
        lock_for_edit([row.pk], DB, locks.Strength.NO_KEY_UPDATE)

    def refuse_deletion(self, row: Any) -> None:
        """Ask who calls the workflow, and what ran on it."""
        row.refuse_deletion()

    # What else can be done

    def get_urls(self) -> list[URLPattern]:
        """The pages of the project's own before the stock ones."""
        wrap = self.admin_site.admin_view
        return [
            path(
                "change-type/", wrap(self.change_type_view), name="workflows_workflow_change_type"
            ),
            path(
                "change-type/done/",
                wrap(self.type_changed_view),
                name="workflows_workflow_type_changed",
            ),
            path("<int:pk>/edit/", wrap(self.edit_view), name="workflows_workflow_edit"),
            path("<int:pk>/graph/", wrap(self.graph_view), name="workflows_workflow_graph"),
            path("<int:pk>/compare/", wrap(self.compare_view), name="workflows_workflow_compare"),
            *super().get_urls(),
        ]

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page where the graph is drawn."""
        return editor_page(self, request, pk)

    def graph_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page where the graph is edited as JSON."""
        return graph_page(self, request, pk)

    def compare_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The page that sets two versions side by side."""
        return compare_page(self, request, pk)

    def change_type_view(self, request: HttpRequest) -> HttpResponse:
        """The way to another type, for one workflow or several together."""
        return change_type_page(self, request)

    def type_changed_view(self, request: HttpRequest) -> HttpResponse:
        """What a change of type has done."""
        return type_changed_page(self, request)

    @admin.action(description="Change finding type together…", permissions=["change_context"])
    def change_type(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> HttpResponse:
        """Go to the page where the type is chosen."""
        ids = ",".join(str(pk) for pk in queryset.order_by("pk").values_list("pk", flat=True))
        return HttpResponseRedirect(admin_url(Workflow, "change_type", workflows=ids))

    @admin.action(description="Activate selected workflows", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        """Let executions start on them."""
        self._set_states(request, queryset, Workflow.State.ACTIVE)

    @admin.action(description="Retire selected workflows", permissions=["change"])
    def retire(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        """Let no new execution start on them."""
        self._set_states(request, queryset, Workflow.State.RETIRED)

    def _set_states(
        self, request: HttpRequest, queryset: QuerySet[Workflow], state: Workflow.State
    ) -> None:
        for row in queryset.order_by("pk"):
            if row.state == state:
                text = format_html("“{}” is {} already.", row, state.label.lower())
                self.message_user(request, text, messages.INFO)
                continue
            try:
                seen = request.POST.get(f"{STATE}-{row.pk}")
                read = seen if seen in Workflow.State.values else row.state
                editing.change_state(row, state, read=read)
            except REFUSING as error:
                wanted = {"state": state.value}
                refusal = recorded(error, partial(changed, row, {"state": row.state}, wanted))
                text = format_html("“{}” stays {}. {}", row, row.state, as_html(refusal))
                self.message_user(request, text, messages.ERROR)
                continue
            change = f"State changed from {row.state} to {state}."
            self.log_change(request, row, change)
            text = format_html("“{}” is {} now.", row, state.label.lower())
            self.message_user(request, text, messages.SUCCESS)
