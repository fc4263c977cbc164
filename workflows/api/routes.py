"""Routes of types, workflows, versions, pending changes, node types and the audit log."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import BaseRouter

from workflows.api.audit_entries import AuditViewSet
from workflows.api.entity_types import FindingTypeViewSet, RecordTypeViewSet
from workflows.api.node_type_views import NodeTypeViewSet
from workflows.api.pending_changes import PendingChangeViewSet
from workflows.api.versions import VersionViewSet
from workflows.api.workflows import WorkflowViewSet

urlpatterns = [
    path(
        "workflows/<str:cuid>/versions/",
        VersionViewSet.as_view({"get": "list"}),
        name="version-list",
    ),
    path(
        "workflows/<str:cuid>/<int:version>/",
        VersionViewSet.as_view({"get": "retrieve", "post": "save_graph"}),
        name="version-detail",
    ),
    path("node-types/", NodeTypeViewSet.as_view({"get": "list"}), name="node-type-list"),
    path(
        "node-types/<str:name>/",
        NodeTypeViewSet.as_view({"get": "retrieve"}),
        name="node-type-detail",
    ),
]


def register(router: BaseRouter) -> None:
    """Register the resources whose URLs have only a cuid."""
    router.register("finding-types", FindingTypeViewSet, "finding-type")
    router.register("record-types", RecordTypeViewSet, "record-type")
    router.register("workflows", WorkflowViewSet, "workflow")
    router.register("pending-changes", PendingChangeViewSet, "pending-change")
    router.register("audit", AuditViewSet, "audit")
