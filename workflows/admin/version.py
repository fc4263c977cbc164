"""The pages of versions: read, never written."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from workflows.admin.base.formatting import (
    NOTHING,
    admin_url,
    execution_model,
    link,
    live_count,
    preformatted,
)
from workflows.admin.base.link_filters import narrowed
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.graph_picture import label_of
from workflows.admin.graph_sections import graph_section
from workflows.admin.workflow_sections import listed_executions
from workflows.graph.changes import objects
from workflows.models import Version, Workflow
from workflows.visibility import may_view


@admin.register(Version)
class VersionAdmin(GuardedAdmin):
    """What is frozen: a graph, and the entity context it was drawn for."""

    list_display = [
        "name",
        "type",
        "is_in_force",
        "live_executions",
        "notes",
        "created_at",
        "author",
    ]
    list_filter = [narrowed("workflow", Workflow), "in_force", "entity_name_type", "created_at"]
    list_select_related = ["workflow", "entity_name_type", "primary_record_type", "created_by"]
    search_fields = ["workflow__title", "notes", "=cuid", "=checksum"]
    ordering = ["-pk"]
    fieldsets = [
        (None, {"fields": ["workflow_link", "number", "notes", "created_at", "author"]}),
        (
            "Frozen",
            {"fields": ["entity_name", "type", "is_in_force", "checksum", "cuid", "graph"]},
        ),
    ]
    readonly_fields = ["workflow_link", "type", "is_in_force", "graph", "created_at", "author"]

    @admin.display(description="created by", ordering="created_by__username")
    def author(self, row: Version) -> str:
        """The account that saved it."""
        return row.author or NOTHING

    def get_queryset(self, request: HttpRequest) -> QuerySet[Version]:
        """The versions; a list has no use for their graphs."""
        rows = super().get_queryset(request).defer("source")
        versions: QuerySet[Any] = rows.annotate(live_number=live_count("version"))
        return versions

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A version comes about by saving a graph or by a change of type."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A version is written once."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A version goes with its workflow."""
        return False

    @admin.display(description="version", ordering="workflow__title")
    def name(self, row: Version) -> str:
        """Workflow and number."""
        return str(row)

    @admin.display(ordering="entity_name_type__name")
    def type(self, row: Version) -> str:
        """The type that was frozen."""
        return str(row.context_type)

    @admin.display(description="in force", boolean=True, ordering="in_force")
    def is_in_force(self, row: Version) -> bool:
        """Whether the version holds its workflow to its type."""
        return row.in_force

    @admin.display(ordering="live_number")
    def live_executions(self, row: Any) -> str:
        """How many executions run it, linked to them."""
        url = admin_url(execution_model(), "changelist", version=row.pk, live="yes")
        return format_html('<a href="{}">{}</a>', url, row.live_number)

    @admin.display(description="workflow")
    def workflow_link(self, row: Version) -> str:
        """The workflow that it is a version of."""
        return link(row.workflow)

    @admin.display(description="graph")
    def graph(self, row: Version) -> str:
        """The source, indented."""
        return preformatted(row.source) if row.source else NOTHING

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """The page of one version, with its references and what runs on it."""
        row: Version = context["original"]
        shown = {
            "references": row.references.select_related("callee"),
            "live": may_view(request.user, execution_model())
            and listed_executions(row.executions.live(), version=row.pk, live="yes"),
            **graph_section(
                row,
                "version",
                row.pk,
                may_list=request.user.has_perm("executions.view_execution"),
            ),
            "nodes": [
                {
                    "id": node.get("id"),
                    "type": node.get("type"),
                    "label": label_of(node),
                    "data": preformatted(node.get("data") or {}),
                }
                for node in objects(row.source, "nodes")
            ],
            "compare_url": admin_url(
                Workflow,
                "compare",
                row.workflow_id,
                **{"from": max(row.number - 1, 1), "to": row.number},
            ),
            "workflow_url": admin_url(Workflow, "change", row.workflow_id),
        }
        return super().render_change_form(request, {**context, **shown}, *args, **kwargs)
