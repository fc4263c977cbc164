"""Changes of entity context: their impact, and changing several workflows together."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import editing
from workflows.api.base.edit_options import EDIT_PARAMETERS, edit
from workflows.api.base.refusal_json import (
    BlockersField,
    ErrorsField,
    RemediesField,
    build_url,
    serialize_blockers,
    serialize_problem,
    serialize_remedies,
    serialize_workflow,
)
from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import (
    CuidField,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictSerializer,
)
from workflows.api.base.strict_requests import FORMAT, takes_parameters
from workflows.api.pending_changes import PendingChangeSerializer
from workflows.api.workflow_serializers import WorkflowSerializer, WorkflowsField
from workflows.models import CHANGE_CONTEXT, EntityName, FindingType, RecordType

TIMES = ("now", "drained")
"""The times at which a change can be applied."""


class ContextSerializer(StrictSerializer):
    """The new entity context."""

    entity_name = StrictChoiceField(EntityName.choices, required=False)
    entity_name_type = CuidField(
        queryset=FindingType.objects.all(), allow_null=True, required=False
    )
    primary_record_type_id = CuidField(
        source="primary_record_type",
        queryset=RecordType.objects.all(),
        allow_null=True,
        required=False,
    )

    def get_context_values(self) -> dict[str, Any]:
        """Return the context as keyword arguments of the services."""
        names = ("entity_name_type", "entity_name", "primary_record_type")
        return {name: self.validated_data.get(name) for name in names}


class ContextChangeSerializer(ContextSerializer):
    """A new entity context for a group of workflows, now or when they are drained."""

    workflows = WorkflowsField(allow_empty=False, max_length=1000)
    when = StrictChoiceField(TIMES, default="now")
    dry_run = StrictBooleanField(default=False)
    token = StrictCharField(
        required=False,
        allow_null=True,
        help_text="The token of an impact. The change is refused if the impact has changed since.",
    )
    why = StrictCharField(default="", allow_blank=True)


class ImpactQuerySerializer(ContextSerializer):
    """The new context, and the other workflows that would change together."""

    workflows = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        help_text="Cuids of other workflows that would change together with this one, separated "
        "by commas.",
    )

    def validate_workflows(self, value: str) -> list[Any]:
        """Return the workflows with these cuids."""
        cuids = [cuid.strip() for cuid in value.split(",") if cuid.strip()]
        field = WorkflowsField()
        try:
            return field.to_internal_value(cuids)
        except serializers.ValidationError as error:
            details: Any = error.detail
            leaves = details.values() if isinstance(details, dict) else [details]
            raise serializers.ValidationError([one for leaf in leaves for one in leaf]) from None


class NewVersionSerializer(serializers.Serializer[Any]):
    """A version that a change has created."""

    workflow = serializers.CharField(source="workflow.cuid")
    number = serializers.IntegerField()


class ContextChangeResultSerializer(serializers.Serializer[Any]):
    """The result of a change of entity context."""

    workflows = WorkflowSerializer(many=True)
    versions = NewVersionSerializer(many=True)
    pending = PendingChangeSerializer(allow_null=True)
    on_hold = serializers.BooleanField()
    dry_run = serializers.BooleanField()


class PlannedVersionSerializer(serializers.Serializer[Any]):
    """A version that a change would create."""

    workflow = serializers.CharField(source="workflow.cuid")
    number = serializers.IntegerField()
    replaces = serializers.BooleanField()


class WorkflowLinkSerializer(serializers.Serializer[Any]):
    """The cuid, title and URL of a workflow."""

    cuid = serializers.CharField()
    title = serializers.CharField()
    url = serializers.URLField()


class ImpactSerializer(serializers.Serializer[Any]):
    """The impact of a change that has not been made."""

    allowed = serializers.BooleanField()
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)
    errors = ErrorsField()  # type: ignore[assignment]
    blockers = BlockersField()
    group = WorkflowLinkSerializer(many=True)
    remedies = RemediesField()
    versions = PlannedVersionSerializer(many=True)
    token = serializers.CharField()


class ContextActions(Resource):
    """The actions of workflows that concern their entity context."""

    @extend_schema(
        parameters=[
            ImpactQuerySerializer,
            OpenApiParameter("entity_name_type", description="The cuid of a finding type."),
            OpenApiParameter("primary_record_type_id", description="The cuid of a record type."),
        ],
        responses=ImpactSerializer,
    )
    @action(detail=True, filter_backends=[], filterset_class=None)
    @takes_parameters(*ImpactQuerySerializer().fields)
    def impact(self, request: Request, cuid: str) -> Response:
        """Return the impact of a change of entity context, without changing anything."""
        query = {k: v for k, v in request.query_params.items() if k != FORMAT}
        serializer = ImpactQuerySerializer(data=query)
        serializer.is_valid(raise_exception=True)
        workflows = [self.get_object(), *serializer.validated_data["workflows"]]
        context = editing.resolve_context(**serializer.get_context_values())
        found = editing.impact(workflows, context)
        refusal = found.refusal
        data = {
            "allowed": found.is_allowed,
            "code": refusal.code if refusal else None,
            "detail": str(refusal.message) if refusal else None,
            "errors": [serialize_problem(row) for row in refusal.problems] if refusal else [],
            "blockers": serialize_blockers(refusal, request),
            "group": [serialize_workflow(row, request) for row in found.group],
            "remedies": serialize_remedies(refusal),
            "versions": found.versions,
            "token": found.token,
        }
        return Response(ImpactSerializer(data).data)

    @extend_schema(
        request=ContextChangeSerializer,
        parameters=EDIT_PARAMETERS,
        responses={200: ContextChangeResultSerializer, 202: ContextChangeResultSerializer},
    )
    @action(
        detail=False,
        methods=["post"],
        url_path="change-entity-context",
        needs=CHANGE_CONTEXT,
    )
    @edit
    def change_entity_context(self, request: Request) -> Response:
        """Change the entity context of workflows, all or none; 202 if the change is on hold."""
        serializer = ContextChangeSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        changed = editing.change_entity_context(
            values["workflows"],
            **serializer.get_context_values(),
            by=request.user,
            why=values["why"],
            when=values["when"],
            dry_run=values["dry_run"],
            token=values.get("token"),
        )
        workflows = self.get_queryset().filter(pk__in=[row.pk for row in changed.workflows])
        pending = changed.pending
        if pending is not None:
            # Its last blocker may have ended meanwhile.
            pending.refresh_from_db()
        data = {
            "workflows": workflows,
            "versions": changed.versions,
            "pending": pending,
            "on_hold": changed.on_hold,
            "dry_run": values["dry_run"],
        }
        body = ContextChangeResultSerializer(data, context=self.get_serializer_context()).data
        if pending is None:
            return Response(body)
        headers = {"Location": build_url("pending-change", pending.cuid, request)}
        return Response(body, status.HTTP_202_ACCEPTED, headers=headers)
