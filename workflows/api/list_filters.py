"""Filters of lists: types of filters, and the filters of workflows and the audit log."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from workflows.models import AuditEntry, PendingChange, Workflow
from workflows.values import moments


@extend_schema_field(OpenApiTypes.BOOL)
class StrictBooleanFilter(filters.TypedChoiceFilter):
    """A filter for ``true`` or ``false``; other values are errors."""

    def __init__(self, **kwargs: Any) -> None:
        choices = [("true", "true"), ("false", "false")]
        super().__init__(choices=choices, coerce=lambda value: value == "true", **kwargs)


class MomentFormField(forms.Field):
    """A date with or without a time, even if its year in UTC is 0 or 10000."""

    def to_python(self, value: Any) -> Any:
        """Return the moment in UTC, capped to the years 1 to 9999."""
        if value in self.empty_values:
            return None
        moment = moments.read(value)
        if moment is None:
            raise ValidationError(_("Enter a valid date/time."), code="invalid")
        return moments.to_utc(moment)


class MomentFilter(filters.IsoDateTimeFilter):
    """A filter by a moment; a moment without an offset is in ``TIME_ZONE``."""

    field_class = MomentFormField


class TimeFilters(filters.FilterSet):
    """Filters by the times of creation and of the last change."""

    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt")
    updated_after = MomentFilter(field_name="updated_at", lookup_expr="gte")
    updated_before = MomentFilter(field_name="updated_at", lookup_expr="lt")


class WorkflowFilter(TimeFilters):
    """Workflows by state, entity context, trigger and title."""

    entity_name_type = filters.CharFilter(field_name="entity_name_type__cuid")
    primary_record_type_id = filters.CharFilter(field_name="primary_record_type__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Workflow
        fields = ["state", "entity_name", "trigger"]


class PendingChangeFilter(filters.FilterSet):
    """Pending changes by state and by workflow."""

    workflow = filters.CharFilter(field_name="members__cuid", distinct=True)

    class Meta:
        model = PendingChange
        fields = ["state"]


class AuditFilter(filters.FilterSet):
    """Audit entries by record, action, user, interface, request, time and refusal."""

    refused = StrictBooleanFilter()
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields = ["cuid", "kind", "action", "code", "who", "face", "request_id"]
