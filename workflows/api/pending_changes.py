"""Changes of entity context that are on hold."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import editing
from workflows.api.base.edit_options import DRY_RUN, edit
from workflows.api.base.refusal_json import build_url
from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import (
    AccountNameField,
    OutputModelSerializer,
    RelatedValueField,
)
from workflows.api.list_filters import PendingChangeFilter
from workflows.models import CHANGE_CONTEXT, PendingChange


class PendingMemberSerializer(serializers.Serializer[Any]):
    """A workflow of a pending change."""

    cuid = serializers.CharField()
    title = serializers.CharField()
    url = serializers.SerializerMethodField(
        help_text="The URL of the workflow; null if it was deleted."
    )

    def get_url(self, row: Any) -> str | None:
        """Return the URL of the workflow, or None if it was deleted."""
        if row.workflow_id is None:
            return None
        return build_url("workflow", row.cuid, self.context.get("request"))


class PendingChangeSerializer(OutputModelSerializer[PendingChange]):
    """A pending change: its workflows, the new context, who requested it, and its outcome."""

    workflows = PendingMemberSerializer(source="members", many=True, read_only=True)
    entity_name_type = RelatedValueField("cuid", allow_null=True)
    primary_record_type_id = RelatedValueField(
        "cuid", source="primary_record_type", allow_null=True
    )
    asked_by = AccountNameField()

    class Meta:
        model = PendingChange
        fields = [
            "cuid",
            "state",
            "workflows",
            "entity_name",
            "entity_name_type",
            "primary_record_type_id",
            "asked_at",
            "asked_by",
            "why",
            "settled_at",
            "code",
            "reason",
        ]
        read_only_fields = fields


class PendingChangeViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Changes that wait for executions to end, and their outcomes."""

    queryset = PendingChange.objects.select_related(
        "asked_by", "entity_name_type", "primary_record_type"
    ).prefetch_related("members")
    serializer_class = PendingChangeSerializer
    filterset_class = PendingChangeFilter
    search_fields: ClassVar = ["=cuid", "members__title", "why"]
    ordering_fields: ClassVar = ["asked_at", "settled_at", "state"]

    def get_permissions(self) -> Any:
        """Return the permissions; a withdrawal needs those of the change itself."""
        self.needs = CHANGE_CONTEXT if self.action == "destroy" else None
        return super().get_permissions()

    @extend_schema(parameters=[DRY_RUN])
    @edit
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Withdraw a change, or dismiss one that could not be applied."""
        editing.withdraw(self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
