"""Moves of live executions in the API: the plan, the move, and the moves of an execution."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from executions import services
from executions.models import OPERATE, Move
from executions.services.move_reports import report_move
from workflows.api.base.edit_options import EDIT_PARAMETERS, edit, is_dry_run
from workflows.api.base.resources import Resource
from workflows.api.base.strict_fields import (
    AccountNameField,
    DryRunSerializer,
    ObjectField,
    OutputModelSerializer,
    RelatedValueField,
    StrictBooleanField,
    StrictCharField,
    StrictIntegerField,
)


class MoveOptionsSerializer(DryRunSerializer):
    """The version to move to, where the open steps continue, and the reason."""

    version = StrictIntegerField(
        source="to",
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        help_text="The number of the version of the root; null for the latest.",
    )
    mapping = ObjectField(
        default=dict,
        help_text="The new node by the id of the old one, for steps that do not stay at theirs. "
        'A value is a node id, or {"node": …, "restart_step": true}. A key of a called workflow '
        "begins with its cuid and a slash.",
    )
    retime = StrictBooleanField(
        default=False,
        help_text="Compute due times again where the settings of the new node differ.",
    )
    token = StrictCharField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The token of a plan: refuse if anything has changed since.",
    )
    # The service refuses a blank reason. A plan needs none.
    why = StrictCharField(default="", allow_blank=True)


class MovedExecutionSerializer(serializers.Serializer[Any]):
    """The versions of one execution before and after a move."""

    execution = serializers.CharField()
    workflow = serializers.CharField()
    from_version = serializers.IntegerField()
    to_version = serializers.IntegerField(
        allow_null=True, help_text="Null if the execution is not moved, but cancelled."
    )


class PlannedStepSerializer(serializers.Serializer[Any]):
    """An open step with its present and its new node."""

    step = serializers.CharField()
    execution = serializers.CharField()
    node = serializers.CharField()
    type = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    to_node = serializers.CharField()
    to_type = serializers.CharField()
    to_label = serializers.CharField()
    restart_step = serializers.BooleanField()


class ObstacleSerializer(serializers.Serializer[Any]):
    """A reason why a tree cannot be moved, and what to do about it."""

    code = serializers.CharField()
    detail = serializers.CharField()
    remedy = serializers.CharField()
    pointer = serializers.CharField()
    execution = serializers.CharField(allow_null=True)
    step = serializers.CharField(allow_null=True)
    node = serializers.CharField(allow_null=True)


class MovePlanSerializer(serializers.Serializer[Any]):
    """The plan of a move, or its result (``moved``)."""

    execution = serializers.CharField()
    moved = serializers.BooleanField()
    token = serializers.CharField(help_text="Identifies the state that was planned.")
    from_version = serializers.IntegerField()
    to_version = serializers.IntegerField(allow_null=True)
    executions = MovedExecutionSerializer(many=True)
    kept = PlannedStepSerializer(many=True)
    mapped = PlannedStepSerializer(many=True)
    obstacles = ObstacleSerializer(many=True)


class MoveSerializer(OutputModelSerializer[Move]):
    """A move of an execution in the past."""

    from_version = RelatedValueField("number")
    to_version = RelatedValueField("number")
    by = AccountNameField()
    steps = serializers.ListField(
        child=serializers.DictField(),
        help_text="The steps that went to another node, or began again.",
    )

    class Meta:
        model = Move
        fields = ["from_version", "to_version", "at", "by", "why", "steps"]
        read_only_fields = fields


class MoveActions(Resource):
    """The routes ``executions/<cuid>/move/`` and ``executions/<cuid>/moves/``."""

    @extend_schema(
        request=MoveOptionsSerializer, parameters=EDIT_PARAMETERS, responses=MovePlanSerializer
    )
    @action(detail=True, methods=["post"], needs=OPERATE)
    @edit
    def move(self, request: Request, cuid: str) -> Response:
        """Move the tree of a root to another version; a dry run returns the plan."""
        body = MoveOptionsSerializer(data=request.data)
        execution = self.get_object()
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        if is_dry_run(request):
            planned = services.plan_move(
                execution, to=values["to"], mapping=values["mapping"], retime=values["retime"]
            )
            return Response(report_move(planned))
        return Response(report_move(services.move(execution, by=request.user, **values)))

    @extend_schema(responses=MoveSerializer(many=True))
    @action(detail=True, lists=True, filter_backends=[], filterset_class=None)
    def moves(self, request: Request, cuid: str) -> Response:
        """List the moves of an execution, the first one first."""
        rows = Move.objects.filter(execution=self.get_object())
        rows = rows.select_related("from_version", "to_version", "by").order_by("pk")
        rows = rows.defer("from_version__source", "to_version__source")
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
