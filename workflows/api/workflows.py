"""Workflows: settings, dependencies and changes of their entity context."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from workflows import running
from workflows.api.base.live_counts import count_live_executions
from workflows.api.base.resources import EditableResource
from workflows.api.base.strict_fields import MomentField
from workflows.api.context_changes import ContextActions
from workflows.api.list_filters import WorkflowFilter
from workflows.api.workflow_serializers import WorkflowSerializer
from workflows.db import locks
from workflows.editing.context_change import lock_for_edit
from workflows.models import PendingWorkflow, Version, Workflow


def represented_workflows() -> QuerySet[Any]:
    """Return all workflows with everything that ``WorkflowSerializer`` needs."""
    latest = Version.objects.filter(workflow=OuterRef("pk")).order_by("-number")
    workflows: QuerySet[Any] = Workflow.objects.select_related(
        "entity_name_type", "primary_record_type"
    ).annotate(
        latest_number=Subquery(latest.values("number")[:1]),
        live_count=count_live_executions("workflow"),
    )
    waiting = PendingWorkflow.objects.filter(waiting=True).select_related("change__asked_by")
    return workflows.prefetch_related(Prefetch("pending", waiting, to_attr="waiting"))


class DependencySerializer(serializers.Serializer[Any]):
    """A workflow that calls another, or is called by it."""

    cuid = serializers.CharField()
    title = serializers.CharField()
    direct = serializers.BooleanField()
    live_executions = serializers.IntegerField()
    url = serializers.URLField()


class DependenciesSerializer(serializers.Serializer[Any]):
    """The callers and callees of a workflow, direct and indirect."""

    dependent_workflows = DependencySerializer(many=True)
    referenced_workflows = DependencySerializer(many=True)


class OccurrenceSerializer(serializers.Serializer[Any]):
    """A time at which a schedule starts executions."""

    at = MomentField()
    entities = serializers.IntegerField(
        allow_null=True,
        help_text="The number of entities for which it starts, by their fields now; null if you "
        "may not view them. Up to 1000 are counted.",
    )


class OccurrencesSerializer(serializers.Serializer[Any]):
    """The next occurrences of a workflow's schedule."""

    time_zone = serializers.CharField(help_text="The time zone of the schedule.")
    occurrences = OccurrenceSerializer(many=True, help_text="The times, the next one first.")
    warnings = serializers.ListField(
        child=serializers.CharField(),
        help_text="Sentences about what may be wrong with the schedule.",
    )


class WorkflowViewSet(ContextActions, EditableResource):
    """Workflows: settings, dependencies and changes of their entity context."""

    queryset = Workflow.objects.all()
    serializer_class = WorkflowSerializer
    filterset_class = WorkflowFilter
    search_fields = ["title", "description", "=cuid"]
    ordering_fields = ["title", "state", "created_at", "updated_at"]
    pointer_names: ClassVar = {"primary_record_type": "primary_record_type_id"}

    def get_queryset(self) -> QuerySet[Any]:
        """Return workflows with everything that their representation needs."""
        return represented_workflows()

    def _lock_row(self) -> Any:
        # In the lock order of editors: an edit also locks the callees.
        lock_for_edit([self.get_object().pk], locks.Strength.NO_KEY_UPDATE)
        return super()._lock_row()

    @extend_schema(responses=DependenciesSerializer)
    @action(detail=True)
    def dependencies(self, request: Request, cuid: str) -> Response:
        """Return the callers and callees of the workflow, direct and indirect."""
        found = self.get_object().get_workflow_dependencies()
        data = {
            direction: [
                {**row, "url": reverse("api:workflow-detail", [row["cuid"]], request=request)}
                for row in rows
            ]
            for direction, rows in found.items()
        }
        return Response(DependenciesSerializer(data).data)

    @extend_schema(responses=OccurrencesSerializer)
    @action(detail=True)
    def occurrences(self, request: Request, cuid: str) -> Response:
        """Return the next ten occurrences of the workflow's schedule."""
        preview = running.registered.preview_schedule(self.get_object(), request.user)
        data = {
            "time_zone": timezone.get_default_timezone_name(),
            "occurrences": preview.occurrences if preview else [],
            "warnings": preview.warnings if preview else [],
        }
        return Response(OccurrencesSerializer(data).data)
