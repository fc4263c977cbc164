"""Files of forms in the API: uploading, listing and downloading them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse
from django.utils.datastructures import MultiValueDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from executions import services
from executions.api.execution_parts import ExecutionPart
from executions.models import SUBMIT, VIEW_STEPS, FormFile
from workflows.api.base.edit_options import DRY_RUN, EDIT_PARAMETERS, IDEMPOTENCY_KEY, edit
from workflows.api.base.resources import find_by_cuid
from workflows.api.base.strict_fields import (
    AccountNameField,
    OutputModelSerializer,
    StrictCharField,
    StrictSerializer,
)
from workflows.api.base.strict_requests import takes_parameters

MEDIA = "multipart/form-data"


class FileSerializer(OutputModelSerializer[FormFile]):
    """A file of the form of a step."""

    size = serializers.IntegerField(read_only=True)
    uploaded_by = AccountNameField()

    class Meta:
        model = FormFile
        fields = [
            *("cuid", "step", "field", "name", "size", "content_type", "sha256"),
            *("uploaded_by", "uploaded_at", "attached_at"),
        ]
        read_only_fields = fields


class UploadSerializer(StrictSerializer):
    """A file, and the field of the open form that it is for."""

    # The service refuses an empty file.
    file = serializers.FileField(allow_empty_file=True)
    field = StrictCharField()
    node = StrictCharField(required=False)
    step = StrictCharField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require a step or a node."""
        if "step" not in attrs and "node" not in attrs:
            detail = serializers.Field.default_error_messages["required"]
            raise serializers.ValidationError({"step": [detail]}, code="required")
        return attrs


class AnyMediaType(BaseContentNegotiation):
    """No negotiation: the content of a file has one form only."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the renderer of problems."""
        return JSONRenderer(), JSONRenderer.media_type


class FileViewSet(ExecutionPart):
    """The files of an execution: ``executions/<cuid>/files/``."""

    queryset = FormFile.objects.none()
    serializer_class = FileSerializer
    parser_classes = [MultiPartParser]
    lookup_url_kwarg = "file"

    def get_permissions(self) -> Any:
        """Return the permissions: who may read the steps may read their files."""
        self.needs = VIEW_STEPS if self.request.method in SAFE_METHODS else (SUBMIT,)
        return super().get_permissions()

    def get_queryset(self) -> QuerySet[Any]:
        """Return the files of the execution that the user may read, the oldest first."""
        rows = FormFile.objects.filter(execution=self.find_execution())
        return rows.readable_by(self.request.user).select_related("uploaded_by").order_by("pk")

    def get_object(self) -> Any:
        """Return the file of the URL."""
        return find_by_cuid(self.get_queryset(), self.kwargs["file"])

    @extend_schema(
        operation_id="executions_upload",
        request={MEDIA: UploadSerializer},
        parameters=EDIT_PARAMETERS,
        responses={201: FileSerializer},
    )
    @takes_parameters(DRY_RUN.name)
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        """Store the content outside of transactions, then write the file."""
        execution = self.find_execution()
        body = UploadSerializer(data=_plain(request.data))
        body.is_valid(raise_exception=True)
        sent = services.Upload(execution, by=request.user, **body.validated_data)
        if IDEMPOTENCY_KEY.name not in request.headers:
            # A repeated request may find the form closed: its stored response counts.
            services.check_upload(sent)
        with services.stored(execution, sent.file) as content:
            return self._add(request, sent, content, **kwargs)

    create.supports_dry_run = True  # type: ignore[attr-defined]

    @edit
    def _add(self, request: Request, sent: Any, content: Any, **kwargs: Any) -> Response:
        row = services.add_file(sent, content)
        url = reverse("api:file-detail", [sent.execution.cuid, row.cuid], request=request)
        data = self.get_serializer(row).data
        return Response(data, status.HTTP_201_CREATED, headers={"Location": url})

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True, content_negotiation_class=AnyMediaType)
    def content(self, request: Request, *args: Any, **kwargs: Any) -> FileResponse:
        """Return the content of a file as an attachment."""
        return services.download(self.get_object())


def _plain(data: Any) -> Any:
    """Return the parts of a form by name; a repeated name has a list, which no field accepts."""
    if not isinstance(data, MultiValueDict):
        return data
    return {name: row[0] if len(row) == 1 else row for name, row in data.lists()}
