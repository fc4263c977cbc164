"""What the lists of workflows are filtered by."""

from __future__ import annotations

from django_filters import rest_framework as filters

from workflows.models import Workflow


class WorkflowFilter(filters.FilterSet):
    """Workflows by state, entity context, trigger and title."""

    entity_name_type = filters.CharFilter(field_name="entity_name_type__cuid")
    primary_record_type_id = filters.CharFilter(field_name="primary_record_type__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Workflow
        fields = ["state", "entity_name", "trigger"]
