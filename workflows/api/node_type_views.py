"""The node types, from which a graph editor builds its palette and forms."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base.resources import IF_NONE_MATCH, Resource, respond_unless_known
from workflows.db.json_values import checksum, quoted
from workflows.graph import node_types


class NodeTypeSerializer(serializers.Serializer[Any]):
    """A node type, described for graph editors."""

    name = serializers.CharField(help_text="The type of a node.")
    title = serializers.CharField()
    description = serializers.CharField()
    ends = serializers.BooleanField(help_text="A node of this type has no next step.")
    forks = serializers.BooleanField(help_text="An execution takes all outgoing edges at once.")
    handles = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        source="exits",
        help_text="The names of the exits, used as sourceHandle of edges. Empty for one unnamed "
        "exit (or none, if the node ends). Null if the data of the node name the exits.",
    )
    optional_handles = serializers.ListField(
        child=serializers.CharField(),
        source="optional_exits",
        help_text="The names of further exits that need no edge. A step leaves only by those that "
        "have one.",
    )
    schema = serializers.DictField(
        source="data_schema.text", help_text="The JSON Schema (2020-12) of the data of a node."
    )


class NodeTypeViewSet(Resource):
    """The node types of this installation. Every user may view them."""

    serializer_class = NodeTypeSerializer
    filter_backends = []
    lookup_field = "name"

    @extend_schema(
        operation_id="node_types_list",
        parameters=[IF_NONE_MATCH],
        responses=NodeTypeSerializer(many=True),
    )
    def list(self, request: Request) -> Response:
        """Return all node types, ordered by name."""
        rows: Any = [row for _, row in sorted(node_types().items())]
        page = self.paginate_queryset(rows)
        response = self.get_paginated_response(NodeTypeSerializer(page, many=True).data)
        return _respond_with_etag(request, response)

    @extend_schema(operation_id="node_types_retrieve", parameters=[IF_NONE_MATCH])
    def retrieve(self, request: Request, name: str) -> Response:
        """Return a node type."""
        row = node_types().get(name)
        if row is None:
            raise NotFound(_("No node type has the name %(name)s.") % {"name": quoted(name)})
        return _respond_with_etag(request, Response(NodeTypeSerializer(row).data))


def _respond_with_etag(request: Request, response: Response) -> Response:
    if response.streaming:
        return response
    response.headers["ETag"] = f'"{checksum(response.data)}"'
    return respond_unless_known(request, response)
