"""Types, workflows and versions: what can be asked of them and done to them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from workflows import editing
from workflows.api.base.edit_options import ALLOW_UNKNOWN, MADE_ONCE, edit, is_asked
from workflows.api.base.resources import (
    DB,
    MAY_IF_MATCH,
    EditableResource,
    Resource,
    check_precondition,
    find,
)
from workflows.api.base.strict_requests import takes_parameters
from workflows.api.entity_contexts import ContextActions
from workflows.api.filters import WorkflowFilter
from workflows.api.serializers import (
    DependenciesSerializer,
    DrawnVersionSerializer,
    FindingTypeSerializer,
    GraphSerializer,
    RecordTypeSerializer,
    VersionSerializer,
    WorkflowSerializer,
)
from workflows.db import locks
from workflows.db.json_values import checksum
from workflows.editing.context_edit import lock_for_edit
from workflows.models import FindingType, PendingWorkflow, RecordType, Version, Workflow


class FindingTypeViewSet(EditableResource):
    """What operators call the type of a finding."""

    queryset = FindingType.objects.all()
    serializer_class = FindingTypeSerializer
    search_fields = ["name", "description"]
    ordering_fields = ["name"]


class RecordTypeViewSet(EditableResource):
    """The types of inventory models."""

    queryset = RecordType.objects.all()
    serializer_class = RecordTypeSerializer
    search_fields = ["name", "description"]
    ordering_fields = ["name"]


def _live_count(relation: str) -> Coalesce:
    """How many live executions have the row, counted by the index of what is live."""
    executions: Any = Workflow._meta.get_field("executions").related_model
    live = executions.objects.live().filter(**{relation: OuterRef("pk")}).order_by()
    return Coalesce(Subquery(live.values(relation).annotate(n=Count("pk")).values("n")), 0)


class WorkflowViewSet(ContextActions, EditableResource):
    """Workflows: their settings, who depends on them, and changes of their entity context."""

    queryset = Workflow.objects.all()
    serializer_class = WorkflowSerializer
    filterset_class = WorkflowFilter
    search_fields = ["title", "description", "=cuid"]
    ordering_fields = ["title", "state", "created_at", "updated_at"]
    pointer_names: ClassVar = {"primary_record_type": "primary_record_type_id"}

    def get_queryset(self) -> QuerySet[Any]:
        """Workflows with all that their representation shows."""
        latest = Version.objects.filter(workflow=OuterRef("pk")).order_by("-number")
        workflows: QuerySet[Any] = super().get_queryset()
        shown: QuerySet[Any] = workflows.select_related(
            "entity_name_type", "primary_record_type"
        ).annotate(
            latest_number=Subquery(latest.values("number")[:1]),
            live_count=_live_count("workflow"),
        )
        waiting = PendingWorkflow.objects.filter(waiting=True).select_related("change__asked_by")
        return shown.prefetch_related(Prefetch("pending", waiting, to_attr="waiting"))

    def _locked(self) -> Any:
        # In the order of every editor, before its own row: the edit locks what it calls too.
        lock_for_edit([self.get_object().pk], DB, locks.Strength.NO_KEY_UPDATE)
        return super()._locked()

    @extend_schema(responses=DependenciesSerializer)
    @action(detail=True)
    def dependencies(self, request: Request, cuid: str) -> Response:
        """Who calls the workflow and whom it calls, directly or through others."""
        found = self.get_object().get_workflow_dependencies()
        shown = {
            direction: [
                {**row, "url": reverse("api:workflow-detail", [row["cuid"]], request=request)}
                for row in rows
            ]
            for direction, rows in found.items()
        }
        return Response(DependenciesSerializer(shown).data)


class VersionViewSet(mixins.ListModelMixin, Resource):
    """The versions of a workflow."""

    queryset = Version.objects.all()
    serializer_class = DrawnVersionSerializer
    ordering_fields = ["number", "created_at"]

    def get_queryset(self) -> QuerySet[Any]:
        """The workflow's versions with all that their representation shows."""
        every: QuerySet[Any] = super().get_queryset()
        versions: QuerySet[Any] = (
            every.filter(workflow__cuid=self.kwargs.get("cuid"))
            .select_related("workflow", "created_by", "entity_name_type", "primary_record_type")
            .annotate(live_count=_live_count("version"))
            .order_by("-number")
        )
        return versions.defer("source") if self.action == "list" else versions

    def get_object(self) -> Version:
        """Return the version that the URL names."""
        number = self.kwargs["version"]
        version: Version | None = self.get_queryset().filter(number=number).first()
        if version is None:
            workflow = self.workflow()
            raise NotFound(f"Workflow “{workflow}” ({workflow.cuid}) has no version {number}.")
        return version

    def workflow(self) -> Workflow:
        """Return the workflow that the URL names."""
        workflow: Workflow = find(Workflow.objects.all(), self.kwargs["cuid"])
        return workflow

    def etag(self, version: Version) -> str:
        """Return the ETag of a version; its checksum is over all of it but the notes."""
        return f'"{checksum(version.checksum, version.notes)}"'

    def answer(self, version: Version, status_code: int = status.HTTP_200_OK) -> Response:
        """Return a version with its drawing and its ETag."""
        data = self.get_serializer(version).data
        return Response(data, status_code, headers={"ETag": self.etag(version)})

    @extend_schema(operation_id="workflow_versions_list", responses=VersionSerializer(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer the versions, latest first, without their drawings."""
        self.workflow()
        return super().list(request, *args, **kwargs)

    def get_serializer_class(self) -> Any:
        """The list leaves the drawings out."""
        return VersionSerializer if self.action == "list" else DrawnVersionSerializer

    @extend_schema(operation_id="workflow_versions_retrieve")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer one version with its drawing."""
        return self.answer(self.get_object())

    @extend_schema(
        operation_id="workflow_versions_save_graph",
        request=GraphSerializer,
        parameters=[MAY_IF_MATCH, ALLOW_UNKNOWN, *MADE_ONCE],
        responses={200: DrawnVersionSerializer, 201: DrawnVersionSerializer},
    )
    @takes_parameters("dry_run", "allow_unknown")
    @edit
    def save_graph(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Save a graph that was drawn from this version: 201 where it has a new number."""
        version = self.get_object()
        check_precondition(request, self.etag(version))
        asked = GraphSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = dict(asked.validated_data)
        notes = values.pop("notes")
        # Of the body it is checked here; the query may have it too.
        values.pop("allow_unknown")

        saved = editing.save_graph(
            version.workflow,
            values,
            based_on=version.number,
            by=request.user,
            notes=notes,
            allow_unknown=is_asked(request, "allow_unknown"),
            # Under the locks the version is what the save will replace.
            check=lambda: check_precondition(request, self.etag(self.get_object())),
        )
        self.kwargs["version"] = saved.version.number if saved.version else version.number
        new = status.HTTP_201_CREATED if saved.created else status.HTTP_200_OK
        return self.answer(self.get_object(), new)
