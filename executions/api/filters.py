"""What the lists of entities and executions are filtered by."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import rest_framework as filters

from executions.models import Execution, Finding, InventoryModel
from workflows.api.filters import TruthFilter


class ExecutionFilter(filters.FilterSet):
    """Executions by what they run, on what, and whether they still have something to do."""

    live = TruthFilter(method="filter_live")
    workflow = filters.CharFilter(field_name="workflow__cuid")
    entity = filters.CharFilter(field_name="entity__cuid")
    root = filters.CharFilter(field_name="root__cuid")

    class Meta:
        model = Execution
        fields = ["status"]

    def filter_live(
        self, executions: QuerySet[Execution], name: str, value: bool
    ) -> QuerySet[Execution]:
        """Only what is live, or only what is not."""
        return executions.filter(live_key__isnull=not value)


class FindingFilter(filters.FilterSet):
    """Findings by their type and the inventory model that they belong to."""

    entity_name_type = filters.CharFilter(field_name="entity_name_type__cuid")
    inventory_model = filters.CharFilter(field_name="inventory_model__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Finding
        fields: list[str] = []


class InventoryModelFilter(filters.FilterSet):
    """Inventory models by their record type."""

    record_type = filters.CharFilter(field_name="primary_record_type__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = InventoryModel
        fields: list[str] = []
