"""Where types, workflows and versions are."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import BaseRouter

from workflows.api.audit import AuditViewSet
from workflows.api.entity_contexts import PendingChangeViewSet
from workflows.api.node_types import NodeTypeViewSet
from workflows.api.views import (
    FindingTypeViewSet,
    RecordTypeViewSet,
    VersionViewSet,
    WorkflowViewSet,
)

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
    """Add what is addressed by cuid alone."""
    router.register("finding-types", FindingTypeViewSet, "finding-type")
    router.register("record-types", RecordTypeViewSet, "record-type")
    router.register("workflows", WorkflowViewSet, "workflow")
    router.register("pending-changes", PendingChangeViewSet, "pending-change")
    router.register("audit", AuditViewSet, "audit")
