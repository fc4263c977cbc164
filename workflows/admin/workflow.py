"""Workflow pages: the list, the settings and the actions."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows import editing, running
from workflows.admin.base.formatting import admin_url, badge, execution_model, live_count
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal, refusal_html
from workflows.admin.change_type import CANCEL, change_type_page, type_changed_page
from workflows.admin.compare_versions import compare_page
from workflows.admin.examples import examples_page, may_load_examples
from workflows.admin.graph_editor.json_page import graph_page
from workflows.admin.graph_editor.page import editor_page
from workflows.admin.workflow_form import WorkflowForm
from workflows.admin.workflow_sections import (
    TypeChangeNotice,
    sections,
    type_change_notice,
    type_change_notice_html,
)
from workflows.audit.audited_model import change_attempts
from workflows.db import locks
from workflows.editing.context_change import lock_for_edit
from workflows.models import (
    CHANGE_CONTEXT,
    CONTEXT_FIELDS,
    PendingWorkflow,
    Reference,
    Version,
    Workflow,
)

NOTICE = "type_notice"
_NOTICES = "_type_change_notices"
STATE_INPUT = "_state"


@admin.register(Workflow)
class WorkflowAdmin(GuardedAdmin):
    """Workflows and their current settings."""

    form = WorkflowForm
    empty_text = _("Add a workflow, then edit its graph. Or load the example workflows.")
    list_display = ["title", "type", "state_badge", "trigger", "latest", "live_executions"]
    optional_columns = ("description", "created_at", "updated_at", "public_id")
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
        """Return workflows with the numbers that the list shows."""
        latest = Version.objects.filter(workflow=OuterRef("pk")).order_by("-number")
        waiting = PendingWorkflow.objects.filter(workflow=OuterRef("pk"), waiting=True)
        calls = Reference.objects.filter(callee=OuterRef("pk")).exclude(
            version__workflow=OuterRef("pk")
        )
        executions = execution_model()._base_manager.filter(workflow=OuterRef("pk"))
        workflows: QuerySet[Any] = (
            super()
            .get_queryset(request)
            .select_related("entity_name_type", "primary_record_type")
            .annotate(
                latest_number=Subquery(latest.values("number")[:1]),
                live_number=live_count("workflow"),
                is_draining=Exists(waiting),
                is_used=Exists(calls) | Exists(executions),
            )
        )
        return workflows

    @admin.display(description=_("type"), ordering="entity_name_type__name")
    def type(self, row: Workflow) -> str:
        """Return the finding type or the record type."""
        return str(row.context_type)

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: Any) -> str:
        """Return the state, with a badge if a type change is pending."""
        state = badge(row.state, row.get_state_display())
        if not row.is_draining:
            return state
        return format_html("{} {}", state, badge("draining", gettext("Draining")))

    @admin.display(description=_("version"), ordering="latest_number")
    def latest(self, row: Any) -> str:
        """Return the number of the latest version."""
        return f"v{row.latest_number}"

    @admin.display(description=_("live executions"), ordering="live_number")
    def live_executions(self, row: Any) -> str:
        """Return the number of live executions, linked to their list."""
        url = admin_url(execution_model(), "changelist", workflow=row.pk, live="yes")
        return format_html('<a href="{}">{}</a>', url, row.live_number)

    def action_checkbox(self, obj: Workflow) -> SafeString:
        """Return the checkbox of a row and its displayed state, which actions compare."""
        box = super().action_checkbox(obj)
        hidden = '{}<input type="hidden" name="{}-{}" value="{}">'
        return format_html(hidden, box, STATE_INPUT, obj.pk, obj.state)

    # The settings

    def _type_change_notice(self, request: HttpRequest, obj: Workflow) -> TypeChangeNotice:
        # The page needs it several times, and the form changes the instance in between.
        notices: dict[int, TypeChangeNotice] = request.__dict__.setdefault(_NOTICES, {})
        if obj.pk not in notices:
            notices[obj.pk] = type_change_notice(obj)
        return notices[obj.pk]

    def get_fieldsets(self, request: HttpRequest, obj: Workflow | None = None) -> Any:
        """Return the settings, with the notice about type changes beside the type."""
        context: list[str] = list(CONTEXT_FIELDS)
        if obj is not None and self._type_change_notice(request, obj).is_needed:
            context.insert(2, NOTICE)
        ids = ["cuid"] if obj is not None else []
        fieldsets = [
            (None, {"fields": ["title", "description", "state", *ids]}),
            (_("Entities"), {"fields": context}),
            (_("Trigger"), {"fields": ["trigger", "trigger_data"]}),
        ]
        may_change = obj is None or self.has_change_permission(request, obj)
        # The page says in a sentence how executions start.
        return fieldsets if may_change else fieldsets[:2]

    def get_readonly_fields(self, request: HttpRequest, obj: Workflow | None = None) -> Any:
        """Return the read-only fields; the type is one without the permission to change it."""
        may_change = obj is None or self.has_change_context_permission(request)
        return ["cuid", NOTICE, *(() if may_change else CONTEXT_FIELDS)]

    def has_change_context_permission(self, request: HttpRequest) -> bool:
        """Return True if the user may change the entity context of workflows."""
        return bool(request.user.has_perm(CHANGE_CONTEXT))

    @admin.display(description=_("type changes"))
    def type_notice(self, row: Workflow) -> str:
        """Return the notice about type changes; ``get_object`` knows the request."""
        render = getattr(row, "render_type_notice", None)
        return "" if render is None else str(render())

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the workflow with the notice about type changes."""
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            request.__dict__.pop(_NOTICES, None)
            # Judging a change of type takes many statements, and only the form shows the notice.
            row.render_type_notice = partial(self._render_type_notice, request, row)
        return row

    def _render_type_notice(self, request: HttpRequest, row: Any) -> SafeString:
        return type_change_notice_html(
            row,
            self._type_change_notice(request, row),
            # A workflow has one change on hold at most: another one would be refused.
            may_change=self.has_change_context_permission(request) and not row.is_draining,
            may_cancel=request.user.has_perm(CANCEL),
        )

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form class; the type is locked while live executions block every change."""
        form = super().get_form(request, obj, change=change, **kwargs)
        form.user = request.user
        if obj is not None and self._type_change_notice(request, obj).refusal is not None:
            form.locked_fields = CONTEXT_FIELDS
        return form

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Show the page of one workflow with its sections."""
        row = context.get("original")
        more = sections(request, row) if row is not None else {}
        page = context["adminform"]
        if set(CONTEXT_FIELDS) & set(page.form.errors):
            # The refusal is shown at its field; the notice would repeat it.
            for _, options in page.fieldsets:
                options["fields"] = [name for name in options["fields"] if name != NOTICE]
        return super().render_change_form(request, {**context, **more}, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save the workflow, and say what may be wrong with its schedule."""
        super().save_model(request, obj, form, change)
        if {"trigger", "trigger_data"} & set(form.changed_data):
            preview = running.registered.preview_schedule(obj, request.user)
            for warning in preview.warnings if preview else ():
                self.message_user(request, warning, messages.WARNING)

    def lock_row(self, row: Any) -> None:
        """Lock the workflow and its callees in the lock order of editors."""
        lock_for_edit([row.pk], locks.Strength.NO_KEY_UPDATE)

    def refuse_deletion(self, row: Any) -> None:
        """Raise a refusal if the workflow is called or has executions."""
        row.refuse_deletion()

    def is_deletable(self, row: Any) -> bool:
        """Return whether the workflow was neither called nor started when the page read it."""
        return not row.is_used

    # Other pages and actions

    def get_urls(self) -> list[URLPattern]:
        """Add the routes of the custom pages."""
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
            path("examples/", wrap(self.examples_view), name="workflows_workflow_examples"),
            path("<int:pk>/edit/", wrap(self.edit_view), name="workflows_workflow_edit"),
            path("<int:pk>/graph/", wrap(self.graph_view), name="workflows_workflow_graph"),
            path("<int:pk>/compare/", wrap(self.compare_view), name="workflows_workflow_compare"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list, with a link to the examples for users who may load them."""
        url = may_load_examples(request.user) and admin_url(Workflow, "examples")
        return super().changelist_view(request, {"examples_url": url, **(extra_context or {})})

    def examples_view(self, request: HttpRequest) -> HttpResponse:
        """Show the example workflows, or load them."""
        return examples_page(self, request)

    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the graph editor."""
        return editor_page(self, request, pk)

    def graph_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the page that edits the graph as JSON."""
        return graph_page(self, request, pk)

    def compare_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Show the comparison of two versions."""
        return compare_page(self, request, pk)

    def change_type_view(self, request: HttpRequest) -> HttpResponse:
        """Show the type change of one workflow or several together."""
        return change_type_page(self, request)

    def type_changed_view(self, request: HttpRequest) -> HttpResponse:
        """Show the result of a type change."""
        return type_changed_page(self, request)

    @admin.action(description=_("Change finding type…"), permissions=["change_context"])
    def change_type(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> HttpResponse:
        """Redirect to the type change of the selected workflows."""
        ids = ",".join(str(pk) for pk in queryset.order_by("pk").values_list("pk", flat=True))
        return HttpResponseRedirect(admin_url(Workflow, "change_type", workflows=ids))

    @admin.action(description=_("Activate selected workflows"), permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        """Activate the selected workflows: executions can start."""
        self._set_states(request, queryset, Workflow.State.ACTIVE)

    @admin.action(description=_("Retire selected workflows"), permissions=["change"])
    def retire(self, request: HttpRequest, queryset: QuerySet[Workflow]) -> None:
        """Retire the selected workflows: no new executions start."""
        self._set_states(request, queryset, Workflow.State.RETIRED)

    def _set_states(
        self, request: HttpRequest, queryset: QuerySet[Workflow], state: Workflow.State
    ) -> None:
        for row in queryset.order_by("pk"):
            if row.state == state:
                text = format_html(gettext("“{}” is already {}."), row, state.label.lower())
                self.message_user(request, text, messages.INFO)
                continue
            try:
                displayed = request.POST.get(f"{STATE_INPUT}-{row.pk}")
                read = displayed if displayed in Workflow.State.values else row.state
                editing.change_state(row, state, read=read)
            except REFUSING as error:
                wanted = {"state": state.value}
                refusal = log_refusal(
                    error, partial(change_attempts, row, {"state": row.state}, wanted)
                )
                text = format_html(
                    gettext("The state of “{}” was not changed. {}"), row, refusal_html(refusal)
                )
                self.message_user(request, text, messages.ERROR)
                continue
            change = gettext("State changed from %(before)s to %(after)s.")
            self.log_change(request, row, change % {"before": row.state, "after": state})
            text = format_html(gettext("“{}” is now {}."), row, state.label.lower())
            self.message_user(request, text, messages.SUCCESS)
