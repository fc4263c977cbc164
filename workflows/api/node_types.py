"""The node types: what a front end draws its palette and its forms from."""

from __future__ import annotations

from typing import Any

from django.utils.http import parse_etags
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from workflows.api.base.resources import Resource
from workflows.db.json_values import checksum, quoted
from workflows.graph import node_types

IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    location=OpenApiParameter.HEADER,
    description="The ETag of what is known already: 304 where it is still so.",
)


class NodeTypeSerializer(serializers.Serializer[Any]):
    """A type of nodes, as those who draw with it need to know it."""

    name = serializers.CharField(help_text="The type of a node.")
    title = serializers.CharField()
    description = serializers.CharField()
    ends = serializers.BooleanField(help_text="Nothing follows such a node.")
    forks = serializers.BooleanField(help_text="All its edges are taken at once.")
    handles = serializers.ListField(
        child=serializers.CharField(),
        allow_null=True,
        source="exits",
        help_text="The names of its exits, each the sourceHandle of an edge; empty for one exit "
        "without a name (or none, where it ends), null where the data of the node name them.",
    )
    schema = serializers.DictField(
        source="data_schema.text", help_text="The JSON Schema (2020-12) of the data of a node."
    )


class NodeTypeViewSet(Resource):
    """The node types, which are the program's: every user may read them."""

    serializer_class = NodeTypeSerializer
    filter_backends = []
    lookup_field = "name"

    @extend_schema(
        operation_id="node_types_list",
        parameters=[IF_NONE_MATCH],
        responses=NodeTypeSerializer(many=True),
    )
    def list(self, request: Request) -> Response:
        """Every node type, by its name."""
        rows: Any = [row for _, row in sorted(node_types().items())]
        page = self.paginate_queryset(rows)
        shown = self.get_paginated_response(NodeTypeSerializer(page, many=True).data)
        return _unless_known(request, shown)

    @extend_schema(operation_id="node_types_retrieve", parameters=[IF_NONE_MATCH])
    def retrieve(self, request: Request, name: str) -> Response:
        """One node type."""
        row = node_types().get(name)
        if row is None:
            raise NotFound(f"No node type has the name {quoted(name)}.")
        return _unless_known(request, Response(NodeTypeSerializer(row).data))


def _unless_known(request: Request, answer: Response) -> Response:
    if answer.streaming:
        return answer
    etag = f'"{checksum(answer.data)}"'
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if etag in known or "*" in known:
        answer = Response(status=status.HTTP_304_NOT_MODIFIED)
    answer.headers["ETag"] = etag
    return answer
