"""The pages of findings and inventory models."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from executions import guards
from executions.models import Entity, Execution, Finding, InventoryModel
from workflows.admin.audited_records import KINDS, Kind
from workflows.admin.base.formatting import admin_url, log_url
from workflows.admin.base.model_admin import GuardedAdmin, GuardedForm
from workflows.admin.workflow_sections import listed_executions
from workflows.models import EntityName


def entity_page(entity: Any) -> str:
    """The address of an entity's page: it has one as what it is, a finding or a model."""
    face = Finding if entity.entity_name == EntityName.FINDING else InventoryModel
    return admin_url(face, "change", entity.pk)


KINDS.update(
    {
        "entity": Kind(Entity, "title", entity_page, ("entity_name",)),
        "execution": Kind(Execution),
    }
)


class EntityForm(GuardedForm):
    """An entity, whose fields executions write too."""

    merged = ("fields",)


class EntityAdmin(GuardedAdmin):
    """Entities; each face shows the fields that apply to it."""

    form = EntityForm
    change_form_template = "executions/admin/entity.html"
    readonly_fields = ["cuid", "created_at", "updated_at"]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """The form; the type that the face has is not left empty."""
        form = super().get_form(request, obj, change=change, **kwargs)
        for name in ("entity_name_type", "primary_record_type"):
            if name in form.base_fields:
                form.base_fields[name].required = True
        return form

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """The page of one entity, with what ran on it."""
        row = context.get("original")
        shown = (
            {}
            if row is None
            else {
                "ran": listed_executions(row.executions.all(), entity=row.pk),
                "log_url": log_url(request, row.cuid),
            }
        )
        return super().render_change_form(request, {**context, **shown}, *args, **kwargs)

    def refuse_deletion(self, row: Any) -> None:
        """Ask whether anything ran on the entity."""
        guards.refuse_entity_deletion(row)


@admin.register(Finding)
class FindingAdmin(EntityAdmin):
    """Findings: each of a finding type, and perhaps of an inventory model."""

    list_display = ["title", "entity_name_type", "inventory_model", "updated_at"]
    list_filter = ["entity_name_type", "updated_at"]
    list_select_related = ["entity_name_type", "inventory_model"]
    search_fields = ["title", "=cuid"]
    autocomplete_fields = ["inventory_model"]
    csv_columns = {
        "cuid": "cuid",
        "title": "title",
        "finding_type": "entity_name_type.name",
        "inventory_model": "inventory_model.title",
        **{name: name for name in ("fields", "created_at", "updated_at")},
    }
    fields = [
        "title",
        "entity_name_type",
        "inventory_model",
        "fields",
        "cuid",
        "created_at",
        "updated_at",
    ]


@admin.register(InventoryModel)
class InventoryModelAdmin(EntityAdmin):
    """Inventory models: each of a record type."""

    list_display = ["title", "primary_record_type", "updated_at"]
    list_filter = ["primary_record_type", "updated_at"]
    list_select_related = ["primary_record_type"]
    search_fields = ["title", "=cuid"]
    csv_columns = {
        "cuid": "cuid",
        "title": "title",
        "record_type": "primary_record_type.name",
        **{name: name for name in ("fields", "created_at", "updated_at")},
    }
    fields = ["title", "primary_record_type", "fields", "cuid", "created_at", "updated_at"]
