"""Admin sites for tests in which every guarded field is editable, in forms and lists.

``STOCK`` uses Django's own admin classes, which do not know refusals. ``PRODUCT`` uses the classes
of the product, with ``list_editable``.
"""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.urls import path

from executions.admin.entity import FindingAdmin, InventoryModelAdmin
from executions.models import Closure, ClosureMember, Entity, Execution, Finding, InventoryModel
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.workflow import WorkflowAdmin
from workflows.models import CONTEXT_FIELDS, Reference, Version, Workflow
from workflows_project import urls

EDITABLE: dict[Any, tuple[str, ...]] = {
    Workflow: (*CONTEXT_FIELDS, "state", "trigger"),
    Version: ("workflow", "number", "source", *CONTEXT_FIELDS),
    Reference: ("version", "node_id", "callee"),
    Entity: CONTEXT_FIELDS,
    Finding: CONTEXT_FIELDS,
    InventoryModel: CONTEXT_FIELDS,
    Execution: ("workflow", "version", "entity", "status"),
    Closure: ("workflow", "version"),
    ClosureMember: ("closure", "callee", "version"),
}
OWN: dict[Any, Any] = {
    Workflow: WorkflowAdmin,
    Finding: FindingAdmin,
    InventoryModel: InventoryModelAdmin,
}


def _site(name: str, admins: dict[Any, Any], otherwise: Any) -> AdminSite:
    site = AdminSite(name=name)
    for model, fields in EDITABLE.items():
        base = admins.get(model, otherwise)
        lists = {"list_display": ["__str__", *fields], "list_editable": fields}
        form = {} if model in admins else {"fields": fields}
        site.register(model, type(f"{model.__name__}Admin", (base,), {**lists, **form}))
    return site


STOCK = _site("stock", {}, ModelAdmin)
PRODUCT = _site("product", OWN, GuardedAdmin)

urlpatterns = [path("stock/", STOCK.urls), path("product/", PRODUCT.urls), *urls.urlpatterns]
