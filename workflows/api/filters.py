"""What the lists of workflows are filtered by."""

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
class TruthFilter(filters.TypedChoiceFilter):
    """``true`` or ``false``; anything else is refused, not ignored."""

    def __init__(self, **kwargs: Any) -> None:
        choices = [("true", "true"), ("false", "false")]
        super().__init__(choices=choices, coerce=lambda value: value == "true", **kwargs)


class MomentFormField(forms.Field):
    """A date, with a time or without, however near to the ends of the calendar."""

    def to_python(self, value: Any) -> Any:
        """Return the moment in UTC, or as far as the calendar goes."""
        if value in self.empty_values:
            return None
        moment = moments.read(value)
        if moment is None:
            raise ValidationError(_("Enter a valid date/time."), code="invalid")
        return moments.in_utc(moment)


class MomentFilter(filters.IsoDateTimeFilter):
    """What comes before or after a moment; without an offset it is in ``TIME_ZONE``."""

    field_class = MomentFormField


class WorkflowFilter(filters.FilterSet):
    """Workflows by state, entity context, trigger and title."""

    entity_name_type = filters.CharFilter(field_name="entity_name_type__cuid")
    primary_record_type_id = filters.CharFilter(field_name="primary_record_type__cuid")
    title = filters.CharFilter(lookup_expr="icontains")

    class Meta:
        model = Workflow
        fields = ["state", "entity_name", "trigger"]


class PendingChangeFilter(filters.FilterSet):
    """Changes on hold by state, and by a workflow of theirs."""

    workflow = filters.CharFilter(field_name="members__cuid", distinct=True)

    class Meta:
        model = PendingChange
        fields = ["state"]


class AuditFilter(filters.FilterSet):
    """Entries by record, action, who, face, request, time, and whether they were refused."""

    refused = TruthFilter()
    since = MomentFilter(field_name="at", lookup_expr="gte")
    until = MomentFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields = ["cuid", "kind", "action", "code", "who", "face", "request_id"]
