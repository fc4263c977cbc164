"""The versions of a workflow."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from workflows import editing
from workflows.api.base.edit_options import ALLOW_UNKNOWN, EDIT_PARAMETERS, edit, is_requested
from workflows.api.base.live_counts import count_live_executions, count_on_older_versions
from workflows.api.base.resources import (
    OPTIONAL_IF_MATCH,
    Resource,
    check_precondition,
    find_by_cuid,
)
from workflows.api.base.strict_fields import (
    AccountNameField,
    AnyJSONField,
    DryRunSerializer,
    OutputModelSerializer,
    RelatedValueField,
    StrictBooleanField,
    StrictCharField,
)
from workflows.api.base.strict_requests import takes_parameters
from workflows.db.json_values import checksum
from workflows.graph.warnings import INCOMPLETE_JOIN, UNWRITTEN_FIELD
from workflows.models import Version, Workflow

_NO_VERSION = _("Workflow “%(title)s” (%(cuid)s) has no version %(number)s.")


class VersionSerializer(OutputModelSerializer[Version]):
    """A version without its graph."""

    workflow = RelatedValueField("cuid")
    created_by = AccountNameField()
    entity_name_type = RelatedValueField("cuid", allow_null=True)
    primary_record_type_id = RelatedValueField(
        "cuid", source="primary_record_type", allow_null=True
    )
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


class VersionWithGraphSerializer(VersionSerializer):
    """A version with its graph."""

    older_live_executions = serializers.IntegerField(
        source="older_count",
        read_only=True,
        help_text="The live executions that the workflow has started on older versions. They can "
        "be moved to this one.",
    )
    source = serializers.JSONField(  # type: ignore[assignment]
        source="source_with_positions", read_only=True
    )
    nodes = serializers.SerializerMethodField()
    edges = serializers.SerializerMethodField()

    class Meta(VersionSerializer.Meta):
        fields = [
            *VersionSerializer.Meta.fields,
            "older_live_executions",
            *("source", "nodes", "edges"),
        ]
        read_only_fields = fields

    @extend_schema_field({"type": "array", "items": {"type": "object"}})
    def get_nodes(self, version: Version) -> Any:
        """Return the nodes of the source."""
        return version.source_with_positions.get("nodes")

    @extend_schema_field({"type": "array", "items": {"type": "object"}})
    def get_edges(self, version: Version) -> Any:
        """Return the edges of the source."""
        return version.source.get("edges")


class GraphWarningSerializer(serializers.Serializer[Any]):
    """A warning about a graph that was saved."""

    pointer = serializers.CharField(help_text="The place in the graph, as a JSON pointer.")
    code = serializers.CharField(
        help_text=f"The code of the warning: {UNWRITTEN_FIELD} or {INCOMPLETE_JOIN}."
    )
    detail = serializers.CharField(help_text="A sentence for people.")


class SavedVersionSerializer(VersionWithGraphSerializer):
    """A version that was saved, with the warnings about its graph."""

    warnings = serializers.SerializerMethodField(
        help_text="Places of the graph that can run, but probably not as expected."
    )

    class Meta(VersionWithGraphSerializer.Meta):
        fields = [*VersionWithGraphSerializer.Meta.fields, "warnings"]
        read_only_fields = fields

    @extend_schema_field(GraphWarningSerializer(many=True))
    def get_warnings(self, version: Version) -> Any:
        """Return the warnings about the graph."""
        found = editing.graph_warnings(version.workflow, version.source)
        return GraphWarningSerializer(found, many=True).data


class GraphSerializer(DryRunSerializer):
    """A graph to save; the service validates nodes and edges."""

    nodes = AnyJSONField(required=False)
    edges = AnyJSONField(required=False)
    notes = StrictCharField(required=False, allow_blank=True, default="")
    allow_unknown = StrictBooleanField(
        default=False,
        help_text="Save the graph even if it names groups or users that do not exist.",
    )


class VersionViewSet(mixins.ListModelMixin, Resource):
    """The versions of a workflow."""

    queryset = Version.objects.all()
    serializer_class = VersionWithGraphSerializer
    ordering_fields = ["number", "created_at"]

    def get_queryset(self) -> QuerySet[Any]:
        """Return the workflow's versions with everything that their representation needs."""
        every: QuerySet[Any] = super().get_queryset()
        versions: QuerySet[Any] = (
            every.filter(workflow__cuid=self.kwargs.get("cuid"))
            .select_related("workflow", "created_by", "entity_name_type", "primary_record_type")
            .annotate(live_count=count_live_executions("version"))
            .order_by("-number")
        )
        if self.action == "list":
            return versions.defer("source", "positions")
        counted: QuerySet[Any] = versions.annotate(older_count=count_on_older_versions())
        return counted

    def get_object(self) -> Version:
        """Return the version of the URL."""
        number = self.kwargs["version"]
        version: Version | None = self.get_queryset().filter(number=number).first()
        if version is None:
            workflow = self.get_workflow()
            values = {"title": workflow.title, "cuid": workflow.cuid, "number": number}
            raise NotFound(_NO_VERSION % values)
        return version

    def get_workflow(self) -> Workflow:
        """Return the workflow of the URL."""
        workflow: Workflow = find_by_cuid(Workflow.objects.all(), self.kwargs["cuid"])
        return workflow

    def etag(self, version: Version) -> str:
        """Return the ETag of a version; its checksum covers neither notes nor positions."""
        return f'"{checksum(version.checksum, version.notes, version.positions)}"'

    def answer(self, version: Version, status_code: int = status.HTTP_200_OK) -> Response:
        """Return a version with its graph and its ETag."""
        data = self.get_serializer(version).data
        headers = {"ETag": self.etag(version)}
        if status_code == status.HTTP_201_CREATED:
            arguments = [version.workflow.cuid, version.number]
            headers["Location"] = reverse("api:version-detail", arguments, request=self.request)
        return Response(data, status_code, headers=headers)

    @extend_schema(operation_id="workflow_versions_list", responses=VersionSerializer(many=True))
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return the versions without their graphs, latest first."""
        self.get_workflow()
        return super().list(request, *args, **kwargs)

    def get_serializer_class(self) -> Any:
        """Return the serializer; lists have no graphs."""
        serializers_of = {"list": VersionSerializer, "save_graph": SavedVersionSerializer}
        return serializers_of.get(str(self.action), VersionWithGraphSerializer)

    @extend_schema(operation_id="workflow_versions_retrieve")
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Return a version with its graph."""
        return self.answer(self.get_object())

    @extend_schema(
        operation_id="workflow_versions_save_graph",
        request=GraphSerializer,
        parameters=[OPTIONAL_IF_MATCH, ALLOW_UNKNOWN, *EDIT_PARAMETERS],
        responses={200: SavedVersionSerializer, 201: SavedVersionSerializer},
    )
    @takes_parameters("dry_run", "allow_unknown")
    @edit
    def save_graph(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Save a graph that is based on this version; 201 if it becomes a new version."""
        version = self.get_object()
        check_precondition(request, self.etag(version))
        serializer = GraphSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = dict(serializer.validated_data)
        notes = values.pop("notes")
        # Validated here; the value may also come from the query.
        values.pop("allow_unknown")

        saved = editing.save_graph(
            version.workflow,
            values,
            based_on=version.number,
            by=request.user,
            notes=notes,
            allow_unknown=is_requested(request, "allow_unknown"),
            # Checked again under the locks, when the version is the one that is replaced.
            check=lambda: check_precondition(request, self.etag(self.get_object())),
        )
        self.kwargs["version"] = saved.version.number if saved.version else version.number
        code = status.HTTP_201_CREATED if saved.created else status.HTTP_200_OK
        return self.answer(self.get_object(), code)
