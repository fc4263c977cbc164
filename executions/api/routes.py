"""The routes of entities, executions and webhooks."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import BaseRouter

from executions.api.comments import CommentViewSet
from executions.api.entities import FindingViewSet, InventoryModelViewSet
from executions.api.executions import ExecutionViewSet
from executions.api.files import FileViewSet
from executions.api.incoming_webhooks import WorkflowWebhookView
from executions.api.tasks import TaskViewSet
from executions.api.webhooks import OutgoingDeliveryViewSet, WebhookViewSet

urlpatterns = [
    path("workflows/<str:cuid>/hook/", WorkflowWebhookView.as_view(), name="workflow-hook"),
]


def register(router: BaseRouter) -> None:
    """Register the resources that are addressed by cuid."""
    router.register("executions", ExecutionViewSet, "execution")
    router.register(r"executions/(?P<cuid>[^/]+)/comments", CommentViewSet, "comment")
    router.register(r"executions/(?P<cuid>[^/]+)/files", FileViewSet, "file")
    router.register("findings", FindingViewSet, "finding")
    router.register("inventory-models", InventoryModelViewSet, "inventory-model")
    router.register("tasks", TaskViewSet, "task")
    router.register("webhooks", WebhookViewSet, "webhook")
    router.register("webhook-deliveries", OutgoingDeliveryViewSet, "webhook-delivery")
