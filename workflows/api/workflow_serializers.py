"""Serializers of workflows that several resources use."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, PermissionDenied

from workflows.api.base.refusal_json import build_url
from workflows.api.base.strict_fields import (
    CuidField,
    MomentField,
    StrictCharField,
    StrictModelSerializer,
)
from workflows.db.json_values import quoted, storage_problem
from workflows.models import (
    CHANGE_CONTEXT,
    CONTEXT_FIELDS,
    FindingType,
    PendingChange,
    RecordType,
    Workflow,
)
from workflows.visibility import may_view

_FORBIDDEN = _("You do not have permission to change the finding type of workflows.")
_NO_WORKFLOW = _("No workflow has the cuid %(cuid)s.")


class DrainingSerializer(serializers.Serializer[Any]):
    """The change on hold that a workflow is draining for."""

    change = serializers.CharField(source="change.cuid")
    url = serializers.SerializerMethodField(help_text="The URL of the change.")
    asked_at = MomentField(source="change.asked_at")
    asked_by = serializers.CharField(source="change.asker", allow_null=True)

    def get_url(self, row: Any) -> str:
        """Return the URL of the change."""
        return build_url("pending-change", row.change.cuid, self.context.get("request"))


class WorkflowSerializer(StrictModelSerializer[Workflow]):
    """A workflow: its settings, the number of its latest version and of its live executions."""

    entity_name_type = CuidField(
        queryset=FindingType.objects.all(), allow_null=True, required=False
    )
    primary_record_type_id = CuidField(
        source="primary_record_type",
        queryset=RecordType.objects.all(),
        allow_null=True,
        required=False,
    )
    latest_version = serializers.IntegerField(source="latest_number", read_only=True)
    live_executions = serializers.IntegerField(source="live_count", read_only=True)
    draining = serializers.SerializerMethodField()

    class Meta:
        model = Workflow
        fields = [
            "cuid",
            "title",
            "description",
            "entity_name",
            "entity_name_type",
            "primary_record_type_id",
            "trigger",
            "trigger_data",
            "state",
            "latest_version",
            "live_executions",
            "draining",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["cuid", "created_at", "updated_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return the values. Raises ``PermissionDenied`` if the user may not change the type."""
        row: Any = self.instance
        is_changed = row is not None and any(
            name in attrs and attrs[name] != getattr(row, name) for name in CONTEXT_FIELDS
        )
        if is_changed and not self.context["request"].user.has_perm(CHANGE_CONTEXT):
            raise PermissionDenied(_FORBIDDEN)
        return attrs

    @extend_schema_field(DrainingSerializer(allow_null=True))
    def get_draining(self, row: Any) -> Any:
        """Return the change on hold, for users who may view changes."""
        user = self.context["request"].user
        if not row.waiting or not may_view(user, PendingChange):
            return None
        return DrainingSerializer(row.waiting[0], context=self.context).data


class WorkflowsField(serializers.ListField):
    """Workflows by their cuids, read in one query."""

    child = StrictCharField()

    def to_internal_value(self, data: Any) -> list[Workflow]:
        """Return the workflows in the order of the cuids."""
        cuids = super().to_internal_value(data)
        found = {
            row.cuid: row
            for row in Workflow.objects.filter(
                cuid__in=[cuid for cuid in cuids if not storage_problem(cuid)]
            )
        }
        if missing := {
            index: [ErrorDetail(_NO_WORKFLOW % {"cuid": quoted(cuid)}, "does_not_exist")]
            for index, cuid in enumerate(cuids)
            if cuid not in found
        }:
            raise serializers.ValidationError(missing)  # type: ignore[arg-type]
        return [found[cuid] for cuid in cuids]
