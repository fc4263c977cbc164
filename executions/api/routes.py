"""Where entities and executions are."""

from __future__ import annotations

from rest_framework.routers import BaseRouter

from executions.api.views import ExecutionViewSet, FindingViewSet, InventoryModelViewSet


def register(router: BaseRouter) -> None:
    """Add what is addressed by cuid."""
    router.register("findings", FindingViewSet, "finding")
    router.register("inventory-models", InventoryModelViewSet, "inventory-model")
    router.register("executions", ExecutionViewSet, "execution")
