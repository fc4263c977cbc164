"""Version pages, read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from workflows.admin.base.filters import related_row_filter
from workflows.admin.base.formatting import (
    DASH,
    admin_url,
    execution_model,
    json_block,
    link,
    live_count,
)
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.graph_diagram import label_of, type_title
from workflows.admin.graph_sections import graph_section
from workflows.admin.workflow_sections import listed_executions
from workflows.graph.comparison import list_objects
from workflows.models import Version, Workflow
from workflows.visibility import OPERATE, may_view


@admin.register(Version)
class VersionAdmin(GuardedAdmin):
    """Versions: immutable graphs with their entity context."""

    has_history = False
    empty_text = _("Each saved graph of a workflow is a version.")
    list_display = [
        "name",
        "type",
        "is_in_force",
        "live_executions",
        "notes",
        "created_at",
        "author",
    ]
    list_filter = [
        related_row_filter("workflow", Workflow),
        "in_force",
        "entity_name_type",
        "created_at",
    ]
    list_select_related = ["workflow", "entity_name_type", "primary_record_type", "created_by"]
    search_fields = ["workflow__title", "notes", "=cuid", "=checksum"]
    ordering = ["-pk"]
    fieldsets = [
        (None, {"fields": ["workflow_link", "number", "notes", "created_at", "author"]}),
        (
            _("Contents"),
            {"fields": ["entity_name", "type", "is_in_force", "checksum", "cuid", "graph"]},
        ),
    ]
    readonly_fields = ["workflow_link", "type", "is_in_force", "graph", "created_at", "author"]

    @admin.display(description=_("created by"), ordering="created_by__username")
    def author(self, row: Version) -> str:
        """Return the name of the user who saved the version."""
        return row.author or DASH

    def get_queryset(self, request: HttpRequest) -> QuerySet[Version]:
        """Return the versions without their graphs."""
        rows = super().get_queryset(request).defer("source")
        versions: QuerySet[Any] = rows.annotate(live_number=live_count("version"))
        return versions

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Return False: saving a graph or changing the type creates versions."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: versions are immutable."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: versions are deleted with their workflow."""
        return False

    @admin.display(description=_("version"), ordering="workflow__title")
    def name(self, row: Version) -> str:
        """Return the workflow and the number of the version."""
        return str(row)

    @admin.display(description=_("type"), ordering="entity_name_type__name")
    def type(self, row: Version) -> str:
        """Return the type that is stored with the version."""
        return str(row.context_type)

    @admin.display(description=_("in force"), boolean=True, ordering="in_force")
    def is_in_force(self, row: Version) -> bool:
        """Return True if the workflow must keep the type of this version."""
        return row.in_force

    @admin.display(description=_("live executions"), ordering="live_number")
    def live_executions(self, row: Any) -> str:
        """Return the number of live executions, linked to their list."""
        url = admin_url(execution_model(), "changelist", version=row.pk, live="yes")
        return format_html('<a href="{}">{}</a>', url, row.live_number)

    @admin.display(description=_("workflow"))
    def workflow_link(self, row: Version) -> str:
        """Return a link to the workflow."""
        return link(row.workflow)

    @admin.display(description=_("graph"))
    def graph(self, row: Version) -> str:
        """Return the source as indented JSON."""
        return json_block(row.source_with_positions) if row.source else DASH

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Show the page of one version with its graph, calls and live executions."""
        row: Version = context["original"]
        nodes = list_objects(row.source, "nodes")
        labels = {str(node.get("id")): label_of(node) for node in nodes}
        more = {
            "references": [
                {"row": reference, "label": labels.get(reference.node_id, reference.node_id)}
                for reference in row.references.select_related("callee")
            ],
            "live": may_view(request.user, execution_model())
            and listed_executions(row.executions.live(), version=row.pk, live="yes"),
            "move_url": request.user.has_perm(OPERATE)
            and row.executions.live().exists()
            and row.workflow.versions.exclude(pk=row.pk).exists()
            and admin_url(execution_model(), "move_version", row.pk),
            **graph_section(
                row,
                "version",
                row.pk,
                may_list=request.user.has_perm("executions.view_execution"),
            ),
            "nodes": [
                {
                    "id": node.get("id"),
                    "type_title": type_title(str(node.get("type"))),
                    "label": label_of(node),
                    "data": json_block(node.get("data") or {}),
                }
                for node in nodes
            ],
            "compare_url": admin_url(
                Workflow,
                "compare",
                row.workflow_id,
                **{"from": max(row.number - 1, 1), "to": row.number},
            ),
            "workflow_url": admin_url(Workflow, "change", row.workflow_id),
        }
        return super().render_change_form(request, {**context, **more}, *args, **kwargs)
