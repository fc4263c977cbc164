"""Where entities and executions are."""

from __future__ import annotations

from django.urls import path
from rest_framework.routers import BaseRouter

from executions.api.incoming_webhooks import WorkflowHookView
from executions.api.views import ExecutionViewSet, FindingViewSet, InventoryModelViewSet
from executions.api.webhooks import OutgoingDeliveryViewSet, WebhookViewSet

urlpatterns = [
    path("workflows/<str:cuid>/hook/", WorkflowHookView.as_view(), name="workflow-hook"),
]


def register(router: BaseRouter) -> None:
    """Add what is addressed by cuid."""
    router.register("executions", ExecutionViewSet, "execution")
    router.register("findings", FindingViewSet, "finding")
    router.register("inventory-models", InventoryModelViewSet, "inventory-model")
    router.register("webhooks", WebhookViewSet, "webhook")
    router.register("webhook-deliveries", OutgoingDeliveryViewSet, "webhook-delivery")
