"""Changes of entity context: their impact, made together, put on hold and withdrawn."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from workflows import editing
from workflows.api.base.edit_options import DRY_RUN, MADE_ONCE, edit
from workflows.api.base.refusals import (
    BlockersField,
    ErrorsField,
    RemediesField,
    blockers_data,
    problem_data,
    remedies_data,
    url_of,
    workflow_data,
)
from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import (
    AccountField,
    CuidField,
    ShownField,
    ShownModelSerializer,
    StrictBooleanField,
    StrictCharField,
    StrictChoiceField,
    StrictSerializer,
)
from workflows.api.base.strict_requests import FORMAT, takes_parameters
from workflows.api.filters import PendingChangeFilter
from workflows.api.serializers import (
    GivenVersionSerializer,
    WorkflowSerializer,
    WorkflowsField,
)
from workflows.models import CHANGE_CONTEXT, EntityName, FindingType, PendingChange, RecordType


class ContextSerializer(StrictSerializer):
    """An entity context to take."""

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

    def context_of(self) -> dict[str, Any]:
        """The context, as the services take it."""
        names = ("entity_name_type", "entity_name", "primary_record_type")
        return {name: self.validated_data.get(name) for name in names}


class ContextChangeSerializer(ContextSerializer):
    """Another entity context for a group of workflows, now or once they are drained."""

    workflows = WorkflowsField(allow_empty=False, max_length=1000)
    when = StrictChoiceField(["now", "drained"], default="now")
    dry_run = StrictBooleanField(default=False)
    token = StrictCharField(
        required=False,
        allow_null=True,
        help_text="What an impact answered: the change is refused when what it saw has changed.",
    )
    why = StrictCharField(default="", allow_blank=True)


class ImpactQuerySerializer(ContextSerializer):
    """Which context is asked about, and which workflows would take it along."""

    workflows = serializers.CharField(
        required=False,
        default="",
        allow_blank=True,
        help_text="Cuids, separated by commas: those that would change together with this one.",
    )

    def validate_workflows(self, value: str) -> list[Any]:
        """The workflows with these cuids."""
        cuids = [cuid.strip() for cuid in value.split(",") if cuid.strip()]
        field = WorkflowsField()
        try:
            return field.to_internal_value(cuids)
        except serializers.ValidationError as error:
            details: Any = error.detail
            leaves = details.values() if isinstance(details, dict) else [details]
            raise serializers.ValidationError([one for leaf in leaves for one in leaf]) from None


class PendingMemberSerializer(serializers.Serializer[Any]):
    """A workflow of a change on hold."""

    cuid = serializers.CharField()
    title = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="The address, while the workflow is there.")

    def get_url(self, row: Any) -> str | None:
        """The address, while the workflow is there."""
        if row.workflow_id is None:
            return None
        return url_of("workflow", row.cuid, self.context.get("request"))


class PendingChangeSerializer(ShownModelSerializer[PendingChange]):
    """A change on hold: what is to change, who asked, when, and what came of it."""

    workflows = PendingMemberSerializer(source="members", many=True, read_only=True)
    entity_name_type = ShownField("cuid", allow_null=True)
    primary_record_type_id = ShownField("cuid", source="primary_record_type", allow_null=True)
    asked_by = AccountField()

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


class ContextChangedSerializer(serializers.Serializer[Any]):
    """What came of a change of entity context."""

    workflows = WorkflowSerializer(many=True)
    versions = GivenVersionSerializer(many=True)
    pending = PendingChangeSerializer(allow_null=True)
    on_hold = serializers.BooleanField()
    dry_run = serializers.BooleanField()


class GivenSerializer(serializers.Serializer[Any]):
    """A version that a change would give a workflow."""

    workflow = serializers.CharField(source="workflow.cuid")
    number = serializers.IntegerField()
    replaces = serializers.BooleanField()


class NamedSerializer(serializers.Serializer[Any]):
    """A workflow by its name."""

    cuid = serializers.CharField()
    title = serializers.CharField()
    url = serializers.URLField()


class ImpactSerializer(serializers.Serializer[Any]):
    """What a change would meet; nothing has been changed."""

    allowed = serializers.BooleanField()
    code = serializers.CharField(allow_null=True)
    detail = serializers.CharField(allow_null=True)
    errors = ErrorsField()  # type: ignore[assignment]
    blockers = BlockersField()
    group = NamedSerializer(many=True)
    remedies = RemediesField()
    versions = GivenSerializer(many=True)
    token = serializers.CharField()


class ContextActions(Resource):
    """What can be asked of workflows about their entity context, and done to it."""

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
        """Say what a change of entity context would meet, and write nothing."""
        query = {k: v for k, v in request.query_params.items() if k != FORMAT}
        asked = ImpactQuerySerializer(data=query)
        asked.is_valid(raise_exception=True)
        workflows = [self.get_object(), *asked.validated_data["workflows"]]
        context = editing.resolve_context(**asked.context_of())
        found = editing.impact(workflows, context)
        refusal = found.refusal
        shown = {
            "allowed": found.allowed,
            "code": refusal.code if refusal else None,
            "detail": str(refusal.message) if refusal else None,
            "errors": [problem_data(row) for row in refusal.problems] if refusal else [],
            "blockers": blockers_data(refusal, request),
            "group": [workflow_data(row, request) for row in found.group],
            "remedies": remedies_data(refusal),
            "versions": found.versions,
            "token": found.token,
        }
        return Response(ImpactSerializer(shown).data)

    @extend_schema(
        request=ContextChangeSerializer,
        parameters=MADE_ONCE,
        responses={200: ContextChangedSerializer, 202: ContextChangedSerializer},
    )
    @action(
        detail=False,
        methods=["post"],
        url_path="change-entity-context",
        needs=CHANGE_CONTEXT,
    )
    @edit
    def change_entity_context(self, request: Request) -> Response:
        """Give workflows another entity context together: all of them or none; 202 on hold."""
        asked = ContextChangeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        changed = editing.change_entity_context(
            values["workflows"],
            **asked.context_of(),
            by=request.user,
            why=values["why"],
            when=values["when"],
            dry_run=values["dry_run"],
            token=values.get("token"),
        )
        workflows = self.get_queryset().filter(pk__in=[row.pk for row in changed.workflows])
        pending = changed.pending
        if pending is not None:
            # Its last blocker may have ended in the same moment.
            pending.refresh_from_db()
        shown = {
            "workflows": workflows,
            "versions": changed.versions,
            "pending": pending,
            "on_hold": changed.on_hold,
            "dry_run": values["dry_run"],
        }
        body = ContextChangedSerializer(shown, context=self.get_serializer_context()).data
        if pending is None:
            return Response(body)
        headers = {"Location": url_of("pending-change", pending.cuid, request)}
        return Response(body, status.HTTP_202_ACCEPTED, headers=headers)


class PendingChangeViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Changes that wait until what runs has ended, and what came of them."""

    queryset = PendingChange.objects.select_related(
        "asked_by", "entity_name_type", "primary_record_type"
    ).prefetch_related("members")
    serializer_class = PendingChangeSerializer
    filterset_class = PendingChangeFilter
    search_fields: ClassVar = ["=cuid", "members__title", "why"]
    ordering_fields: ClassVar = ["asked_at", "settled_at", "state"]

    def get_permissions(self) -> Any:
        """Who may put a change on hold may withdraw it."""
        self.needs = CHANGE_CONTEXT if self.action == "destroy" else None
        return super().get_permissions()

    @extend_schema(parameters=[DRY_RUN])
    @edit
    def destroy(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Withdraw a change, or put away one that could not be made."""
        editing.withdraw(self.get_object(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)
