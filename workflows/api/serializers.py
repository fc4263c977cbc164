"""Types, workflows and versions as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, PermissionDenied

from workflows.api.base.refusals import url_of
from workflows.api.base.strict_fields import (
    AccountField,
    AnyField,
    CuidField,
    InstructionSerializer,
    MomentField,
    ShownField,
    ShownModelSerializer,
    StrictBooleanField,
    StrictCharField,
    StrictModelSerializer,
)
from workflows.db.json_values import quoted, unstorable
from workflows.models import (
    CHANGE_CONTEXT,
    CONTEXT_FIELDS,
    FindingType,
    PendingChange,
    RecordType,
    Version,
    Workflow,
)
from workflows.visibility import may_view


class FindingTypeSerializer(StrictModelSerializer[FindingType]):
    """A finding type."""

    class Meta:
        model = FindingType
        fields = ["cuid", "name", "description"]
        read_only_fields = ["cuid"]


class RecordTypeSerializer(StrictModelSerializer[RecordType]):
    """A record type."""

    class Meta:
        model = RecordType
        fields = ["cuid", "name", "description"]
        read_only_fields = ["cuid"]


class DrainingSerializer(serializers.Serializer[Any]):
    """The change on hold that a workflow drains for."""

    change = serializers.CharField(source="change.cuid")
    url = serializers.SerializerMethodField(help_text="The address of the change.")
    asked_at = MomentField(source="change.asked_at")
    asked_by = serializers.CharField(source="change.asker", allow_null=True)

    def get_url(self, row: Any) -> str:
        """The address of the change."""
        return url_of("pending-change", row.change.cuid, self.context.get("request"))


class WorkflowSerializer(StrictModelSerializer[Workflow]):
    """A workflow's settings, the number of its latest version and what runs on it."""

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
        ]
        read_only_fields = ["cuid"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raises ``PermissionDenied`` where the type changes, and the user may not change it."""
        row: Any = self.instance
        is_changed = row is not None and any(
            name in attrs and attrs[name] != getattr(row, name) for name in CONTEXT_FIELDS
        )
        if is_changed and not self.context["request"].user.has_perm(CHANGE_CONTEXT):
            raise PermissionDenied("You may not change the finding type of workflows.")
        return attrs

    @extend_schema_field(DrainingSerializer(allow_null=True))
    def get_draining(self, row: Any) -> Any:
        """The change that waits until what runs has ended, for those who may read changes."""
        user = self.context["request"].user
        if not row.waiting or not may_view(user, PendingChange):
            return None
        return DrainingSerializer(row.waiting[0], context=self.context).data


class VersionSerializer(ShownModelSerializer[Version]):
    """A version without its drawing."""

    workflow = ShownField("cuid")
    created_by = AccountField()
    entity_name_type = ShownField("cuid", allow_null=True)
    primary_record_type_id = ShownField("cuid", source="primary_record_type", allow_null=True)
    live_executions = serializers.IntegerField(source="live_count", read_only=True)

    class Meta:
        model = Version
        fields = [
            "workflow",
            "number",
            "notes",
            "created_at",
            "created_by",
            "in_force",
            "checksum",
            "entity_name",
            "entity_name_type",
            "primary_record_type_id",
            "live_executions",
        ]
        read_only_fields = fields


class DrawnVersionSerializer(VersionSerializer):
    """A version with its drawing."""

    nodes = serializers.SerializerMethodField()
    edges = serializers.SerializerMethodField()

    class Meta(VersionSerializer.Meta):
        fields = [*VersionSerializer.Meta.fields, "source", "nodes", "edges"]
        read_only_fields = fields

    @extend_schema_field({"type": "array", "items": {"type": "object"}})
    def get_nodes(self, version: Version) -> Any:
        """The nodes of the source."""
        return version.source.get("nodes")

    @extend_schema_field({"type": "array", "items": {"type": "object"}})
    def get_edges(self, version: Version) -> Any:
        """The edges of the source."""
        return version.source.get("edges")


class GraphSerializer(InstructionSerializer):
    """A drawing to save. What it must look like, the service says."""

    nodes = AnyField(required=False)
    edges = AnyField(required=False)
    notes = StrictCharField(required=False, allow_blank=True, default="")
    allow_unknown = StrictBooleanField(
        default=False, help_text="Save a graph that names groups or users that do not exist."
    )


class DependencySerializer(serializers.Serializer[Any]):
    """A workflow that calls another, or is called by it."""

    cuid = serializers.CharField()
    title = serializers.CharField()
    direct = serializers.BooleanField()
    live_executions = serializers.IntegerField()
    url = serializers.URLField()


class DependenciesSerializer(serializers.Serializer[Any]):
    """Who calls a workflow and whom it calls, directly or through others."""

    dependent_workflows = DependencySerializer(many=True)
    referenced_workflows = DependencySerializer(many=True)


class WorkflowsField(serializers.ListField):
    """Workflows by their cuids, read in one query."""

    child = StrictCharField()

    def to_internal_value(self, data: Any) -> list[Workflow]:
        """Return the workflows in the order of the cuids."""
        cuids = super().to_internal_value(data)
        found = {
            row.cuid: row
            for row in Workflow.objects.filter(
                cuid__in=[cuid for cuid in cuids if not unstorable(cuid)]
            )
        }
        if missing := {
            index: [ErrorDetail(f"No workflow has the cuid {quoted(cuid)}.", "does_not_exist")]
            for index, cuid in enumerate(cuids)
            if cuid not in found
        }:
            raise serializers.ValidationError(missing)  # type: ignore[arg-type]
        return [found[cuid] for cuid in cuids]


class GivenVersionSerializer(serializers.Serializer[Any]):
    """A version that a change has given a workflow."""

    workflow = serializers.CharField(source="workflow.cuid")
    number = serializers.IntegerField()
