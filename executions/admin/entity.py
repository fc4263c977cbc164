"""Pages of findings and inventory models."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from executions import guards
from executions.admin.execution_details import field_text
from executions.admin.start import startable_workflows
from executions.admin.titles import entity_page, execution_title
from executions.models import START, Entity, Execution, Finding, InventoryModel
from workflows.admin.audited_records import RECORD_MODELS, RecordModel
from workflows.admin.base.formatting import DASH, admin_url
from workflows.admin.base.forms import GuardedForm
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.workflow_sections import listed_executions

RECORD_MODELS.update(
    {
        "entity": RecordModel(Entity, columns=("title", "entity_name"), page=entity_page),
        "execution": RecordModel(
            Execution,
            execution_title,
            columns=("workflow__title", "entity__title", "entity__cuid"),
            related=("workflow", "entity"),
        ),
    }
)


FIELDS_HELP = _(
    'A JSON object, for example {"severity": "high"}. Forms and workflows read these fields and'
    " write to them."
)


class EntityForm(GuardedForm):
    """The form of an entity. Its fields are merged, because executions write them too."""

    merged_fields = ("fields",)


class EntityAdmin(GuardedAdmin):
    """Base class of the pages of findings and inventory models."""

    form = EntityForm
    change_form_template = "executions/admin/entity.html"
    readonly_fields = ["cuid", "created_at", "updated_at"]

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form class, with a required type."""
        form = super().get_form(request, obj, change=change, **kwargs)
        for name in ("entity_name_type", "primary_record_type"):
            if name in form.base_fields:
                field = form.base_fields[name]
                field.required = True
                if not change and not field.queryset.exists():
                    field.help_text = _("There is no type yet. Designers add types.")
        if "fields" in form.base_fields:
            form.base_fields["fields"].help_text = FIELDS_HELP
        return form

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields of the form. Readers see values instead of JSON."""
        names = super().get_fields(request, obj)
        is_read = obj is not None and not self.has_change_permission(request, obj)
        return ["values" if is_read and name == "fields" else name for name in names]

    @admin.display(description=_("fields"))
    def values(self, row: Entity) -> str:
        """Return the names and the values of the fields."""
        listed = ((name, field_text(value)) for name, value in row.fields.items())
        rows = format_html_join("", "<dt>{}</dt><dd>{}</dd>", listed)
        return format_html('<dl class="facts">{}</dl>', rows) if rows else DASH

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Show the page of one entity with its executions."""
        row = context.get("original")
        if row is not None:
            may_start = request.user.has_perm(START)
            context = {
                **context,
                "executions": listed_executions(row.executions.all(), entity=row.pk),
                "startable": list(startable_workflows(row)) if may_start else [],
                "start_url": may_start and admin_url(Execution, "start_on", row.pk),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def refuse_deletion(self, row: Any) -> None:
        """Raise a refusal if the entity has executions."""
        guards.refuse_entity_deletion(row)


@admin.register(Finding)
class FindingAdmin(EntityAdmin):
    """Findings, each with a finding type and optionally an inventory model."""

    empty_text = _("Workflows work on findings. Add them here or through the API.")

    list_display = ["title", "entity_name_type", "inventory_model", "updated_at"]
    optional_columns = ("created_at", "public_id")
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
    """Inventory models, each with a record type."""

    empty_text = _("Workflows work on inventory models. Add them here or through the API.")

    list_display = ["title", "primary_record_type", "updated_at"]
    optional_columns = ("created_at", "public_id")
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
