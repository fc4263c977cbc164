"""Entities and executions: what can be asked of them and done to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from executions import services
from executions.api.bulk import BulkActions
from executions.api.filters import ExecutionFilter, FindingFilter, InventoryModelFilter
from executions.api.serializers import (
    CancelSerializer,
    DecisionSerializer,
    ExecutionSerializer,
    FindingSerializer,
    InventoryModelSerializer,
    ListedExecutionSerializer,
    PostponeSerializer,
    ReassignSerializer,
    SkipSerializer,
    StartSerializer,
    StepSerializer,
    SubmitSerializer,
    VotingSerializer,
)
from executions.inbox import inbox
from executions.models import (
    OPERATE,
    START,
    SUBMIT,
    Execution,
    Finding,
    InventoryModel,
    Step,
)
from workflows.api.base.edit_options import MADE_ONCE, edit
from workflows.api.base.resources import EditableResource, Resource
from workflows.db import raw_rows
from workflows.db.json_values import quoted, unstorable

LISTS = ("list", "mine")
SEE_STEPS = ("executions.view_execution", "executions.view_step")


class FindingViewSet(EditableResource):
    """Findings."""

    queryset = Finding.objects.select_related("entity_name_type", "inventory_model")
    serializer_class = FindingSerializer
    filterset_class = FindingFilter
    search_fields = ["title", "=cuid"]
    ordering_fields = ["title", "created_at", "updated_at"]


class InventoryModelViewSet(EditableResource):
    """Inventory models."""

    queryset = InventoryModel.objects.select_related("primary_record_type")
    serializer_class = InventoryModelSerializer
    filterset_class = InventoryModelFilter
    search_fields = ["title", "=cuid"]
    ordering_fields = ["title", "created_at", "updated_at"]
    pointer_names: ClassVar = {"primary_record_type": "record_type"}


class ExecutionViewSet(BulkActions, mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Executions: started, read, submitted to and cancelled."""

    queryset = Execution.objects.all()
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilter
    search_fields = ["=cuid", "workflow__title", "entity__title"]
    ordering_fields = ["status", "started_at", "updated_at", "ended_at"]

    def get_queryset(self) -> QuerySet[Any]:
        """Executions with what a list shows of them."""
        related = ("workflow", "version", "entity", "parent", "root", "started_by")
        executions = super().get_queryset().select_related(*related)
        return executions.defer("version__source", "entity__fields")

    def get_object(self) -> Any:
        """The execution that the URL names; what is not needed to act on it is read when asked."""
        cuid = self.kwargs["cuid"]
        names = ("id", "cuid", "status", "workflow_id", "root_id", "parent_id")
        row = None
        if not unstorable(cuid):
            submits = self.action == "submit"
            row = services.read(cuid) if submits else raw_rows.by_cuid(Execution, cuid, names)
        if row is None:
            raise NotFound(f"No execution has the cuid {quoted(cuid)}.")
        self.check_object_permissions(self.request, row)
        return row

    def get_serializer_class(self) -> Any:
        """Lists leave steps and pins out."""
        if self.action == "steps":
            return StepSerializer
        return ListedExecutionSerializer if self.action in LISTS else ExecutionSerializer

    def get_throttles(self) -> list[Any]:
        """A start is counted as such."""
        if self.action == "create":
            self.throttle_scope = "start"
        return list(super().get_throttles())

    def answer(self, execution: Execution, status_code: int = status.HTTP_200_OK) -> Response:
        """Return an execution as the database has it now."""
        return Response(self.get_serializer(execution).data, status_code)

    @extend_schema(
        request=StartSerializer, parameters=MADE_ONCE, responses={201: ExecutionSerializer}
    )
    @edit
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Start a workflow on an entity."""
        asked = StartSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        execution = services.start(
            values["workflow"],
            values["entity"],
            by=request.user,
            scheduled_for=values["scheduled_for"],
        )
        return self.answer(execution, status.HTTP_201_CREATED)

    @extend_schema(request=SubmitSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=SUBMIT)
    @edit
    def submit(self, request: Request, cuid: str) -> Response:
        """Submit the form of an open step; answers what stands after all that follows."""
        return self._do(request, SubmitSerializer, services.submit)

    @extend_schema(request=SubmitSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=SUBMIT)
    @edit
    def draft(self, request: Request, cuid: str) -> Response:
        """Keep what a form holds so far; it is judged when it is submitted."""
        return self._do(request, SubmitSerializer, services.save_draft)

    @extend_schema(request=VotingSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=SUBMIT)
    @edit
    def approve(self, request: Request, cuid: str) -> Response:
        """Vote for it; who has voted already changes their mind."""
        return self._do(request, VotingSerializer, services.vote, approves=True)

    @extend_schema(request=VotingSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=SUBMIT)
    @edit
    def reject(self, request: Request, cuid: str) -> Response:
        """Vote against it."""
        return self._do(request, VotingSerializer, services.vote, approves=False)

    @extend_schema(request=DecisionSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=OPERATE)
    @edit
    def wake(self, request: Request, cuid: str) -> Response:
        """Let a step that sleeps go on before its time."""
        return self._do(request, DecisionSerializer, services.wake)

    @extend_schema(request=DecisionSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=OPERATE)
    @edit
    def retry(self, request: Request, cuid: str) -> Response:
        """Begin an open step again: an incident, a wait, a webhook, or a call that is tried."""
        return self._do(request, DecisionSerializer, services.retry)

    @extend_schema(request=SkipSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=OPERATE)
    @edit
    def skip(self, request: Request, cuid: str) -> Response:
        """Close an open step that nobody has done, and go on by the exit that is named."""
        return self._do(request, SkipSerializer, services.skip)

    @extend_schema(request=PostponeSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=OPERATE)
    @edit
    def postpone(self, request: Request, cuid: str) -> Response:
        """Move the date of a wait or of a scheduled start, or the deadline of a step."""
        return self._do(request, PostponeSerializer, services.postpone)

    @extend_schema(request=ReassignSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=OPERATE)
    @edit
    def reassign(self, request: Request, cuid: str) -> Response:
        """Replace the groups and users that an open step asks."""
        return self._do(request, ReassignSerializer, services.reassign)

    @extend_schema(
        request=CancelSerializer, parameters=MADE_ONCE, responses={201: ExecutionSerializer}
    )
    @action(detail=True, methods=["post"], needs=(OPERATE, START), throttle_scope="start")
    @edit
    def restart(self, request: Request, cuid: str) -> Response:
        """Start anew from the beginning; what is live is cancelled. Answers the new one."""
        asked = CancelSerializer(data=request.data)
        execution = self.get_object()
        asked.is_valid(raise_exception=True)
        again = services.restart(execution, by=request.user, **asked.validated_data)
        return self.answer(again, status.HTTP_201_CREATED)

    def _do(
        self, request: Request, serializer: Any, service: Callable[..., Execution], **how: Any
    ) -> Response:
        execution = self.get_object()
        asked = serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        service(execution, by=request.user, **how, **asked.validated_data)
        return self.answer(execution)

    @extend_schema(responses=ListedExecutionSerializer(many=True))
    @action(detail=False, lists=True)
    def mine(self, request: Request) -> Response:
        """The inbox: executions that wait for something that this user may do."""
        executions = self.filter_queryset(self.get_queryset().filter(pk__in=inbox(request.user)))
        page = self.paginate_queryset(executions)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(request=CancelSerializer, parameters=MADE_ONCE, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs=OPERATE)
    @edit
    def cancel(self, request: Request, cuid: str) -> Response:
        """Cancel an execution and all that it has started."""
        return self._do(request, CancelSerializer, services.cancel)

    @extend_schema(responses=StepSerializer(many=True))
    @action(detail=True, lists=True, needs=SEE_STEPS, filter_backends=[], filterset_class=None)
    def steps(self, request: Request, cuid: str) -> Response:
        """The history of an execution: its visits to nodes, in their order."""
        steps = Step.objects.filter(execution=self.get_object())
        steps = steps.select_related("closed_by", "child").prefetch_related("votes")
        page = self.paginate_queryset(steps)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)
