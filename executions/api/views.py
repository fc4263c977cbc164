"""Entities and executions: what can be asked of them and done to them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from executions import services
from executions.api.filters import ExecutionFilter, FindingFilter, InventoryModelFilter
from executions.api.serializers import (
    CancelSerializer,
    ExecutionSerializer,
    FindingSerializer,
    InventoryModelSerializer,
    ListedExecutionSerializer,
    StartSerializer,
    StepSerializer,
    SubmitSerializer,
)
from executions.models import Execution, Finding, InventoryModel, Step
from workflows.api.resources import EditableResource, Resource


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


class ExecutionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Resource):
    """Executions: started, read, submitted to and cancelled."""

    queryset = Execution.objects.all()
    serializer_class = ExecutionSerializer
    filterset_class = ExecutionFilter
    search_fields = ["=cuid", "workflow__title", "entity__title"]
    ordering_fields = ["status", "started_at", "ended_at"]

    def get_queryset(self) -> QuerySet[Any]:
        """Executions with what their representation shows; the list's leaves the fields out."""
        executions = (
            super()
            .get_queryset()
            .select_related("workflow", "version", "entity", "parent", "root", "started_by")
            .defer("version__source")
        )
        if self.action == "list":
            return executions.defer("version__source", "entity__fields")
        return executions.prefetch_related("children")

    def get_serializer_class(self) -> Any:
        """The list leaves steps and pins out."""
        return ListedExecutionSerializer if self.action == "list" else ExecutionSerializer

    def answer(self, execution: Execution, status_code: int = status.HTTP_200_OK) -> Response:
        """Return an execution as the database has it now."""
        row = self.get_queryset().get(pk=execution.pk)
        return Response(self.get_serializer(row).data, status_code)

    @extend_schema(request=StartSerializer, responses={201: ExecutionSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Start a workflow on an entity."""
        asked = StartSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        execution = services.start(values["workflow"], values["entity"], by=request.user)
        return self.answer(execution, status.HTTP_201_CREATED)

    @extend_schema(request=SubmitSerializer, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs="executions.change_execution")
    def submit(self, request: Request, cuid: str) -> Response:
        """Submit the form of an open step; answers what stands after all that follows."""
        execution = self.get_object()
        asked = SubmitSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        services.submit(execution, by=request.user, **asked.validated_data)
        return self.answer(execution)

    @extend_schema(request=CancelSerializer, responses=ExecutionSerializer)
    @action(detail=True, methods=["post"], needs="executions.change_execution")
    def cancel(self, request: Request, cuid: str) -> Response:
        """Cancel an execution and all that it has started."""
        execution = self.get_object()
        asked = CancelSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        services.cancel(execution, by=request.user, **asked.validated_data)
        return self.answer(execution)

    @extend_schema(responses=StepSerializer(many=True))
    @action(detail=True, filter_backends=[], filterset_class=None)
    def steps(self, request: Request, cuid: str) -> Response:
        """The history of an execution: its visits to nodes, in their order."""
        steps = Step.objects.filter(execution=self.get_object())
        page = self.paginate_queryset(steps.select_related("closed_by", "child"))
        return self.get_paginated_response(StepSerializer(page, many=True).data)
