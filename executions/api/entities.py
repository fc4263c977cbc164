"""Findings and inventory models in the API."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters

from executions.models import Finding, InventoryModel
from workflows.api.base.resources import EditableResource
from workflows.api.base.strict_fields import CuidField, StrictModelSerializer
from workflows.guards import apply_merge_patch
from workflows.models import FindingType, RecordType


class FieldsByName:
    """Merges the fields of an entity by name in a PATCH."""

    described: ClassVar = {
        "fields": {"help_text": _("A PATCH merges them by name (RFC 7396): null removes one.")}
    }
    instance: Any
    partial: bool

    def validate_fields(self, value: dict[str, Any]) -> Any:
        """Return the fields to store: in a PATCH, the stored ones with the patch applied."""
        return (
            apply_merge_patch(self.instance.fields, value)
            if self.partial and self.instance
            else value
        )


class FindingSerializer(FieldsByName, StrictModelSerializer[Finding]):
    """A finding."""

    entity_name_type = CuidField(queryset=FindingType.objects.all())
    inventory_model = CuidField(
        queryset=InventoryModel.objects.all(), allow_null=True, required=False
    )

    class Meta:
        model = Finding
        fields = ["cuid", "title", "entity_name_type", "inventory_model", "fields"]
        read_only_fields = ["cuid"]
        extra_kwargs = FieldsByName.described


class InventoryModelSerializer(FieldsByName, StrictModelSerializer[InventoryModel]):
    """An inventory model."""

    record_type = CuidField(source="primary_record_type", queryset=RecordType.objects.all())

    class Meta:
        model = InventoryModel
        fields = ["cuid", "title", "record_type", "fields"]
        read_only_fields = ["cuid"]
        extra_kwargs = FieldsByName.described


class FindingFilter(filters.FilterSet):
    """Filters by finding type, inventory model and title."""

    entity_name_type = filters.CharFilter(field_name="entity_name_type__cuid")
    inventory_model = filters.CharFilter(field_name="inventory_model__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Finding
        fields: list[str] = []


class InventoryModelFilter(filters.FilterSet):
    """Filters by record type and title."""

    record_type = filters.CharFilter(field_name="primary_record_type__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = InventoryModel
        fields: list[str] = []


class FindingViewSet(EditableResource):
    """The resource ``findings/``."""

    queryset = Finding.objects.select_related("entity_name_type", "inventory_model")
    serializer_class = FindingSerializer
    filterset_class = FindingFilter
    search_fields = ["title", "=cuid"]
    ordering_fields = ["title", "created_at", "updated_at"]


class InventoryModelViewSet(EditableResource):
    """The resource ``inventory-models/``."""

    queryset = InventoryModel.objects.select_related("primary_record_type")
    serializer_class = InventoryModelSerializer
    filterset_class = InventoryModelFilter
    search_fields = ["title", "=cuid"]
    ordering_fields = ["title", "created_at", "updated_at"]
    pointer_names: ClassVar = {"primary_record_type": "record_type"}
