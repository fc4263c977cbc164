"""Comments on executions in the API."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from executions import services
from executions.api.execution_parts import ExecutionPart
from executions.models import COMMENT, MAX_TEXT_LENGTH, VIEW, Comment
from workflows.api.base.edit_options import EDIT_PARAMETERS, edit
from workflows.api.base.resources import find_by_cuid
from workflows.api.base.strict_fields import (
    AccountNameField,
    DryRunSerializer,
    OutputModelSerializer,
    StrictCharField,
)


class CommentSerializer(OutputModelSerializer[Comment]):
    """A comment; without its text if it was withdrawn."""

    step = serializers.SerializerMethodField()
    author = AccountNameField()
    text = serializers.CharField(source="visible_text", allow_null=True)
    withdrawn_by = AccountNameField()

    class Meta:
        model = Comment
        fields = ["cuid", "step", "author", "text", "at", "withdrawn_at", "withdrawn_by"]
        read_only_fields = fields

    def get_step(self, row: Comment) -> str | None:
        """Return the cuid of the step; null for a comment on the whole execution."""
        return row.step or None


class NewCommentSerializer(DryRunSerializer):
    """The text of a comment, and the step that it is about."""

    text = StrictCharField(max_length=MAX_TEXT_LENGTH, trim_whitespace=False)
    step = StrictCharField(required=False, allow_null=True, default=None)


class WithdrawalSerializer(DryRunSerializer):
    """The reason for withdrawing a comment."""

    # The service refuses a blank reason of an operator.
    why = StrictCharField(default="", allow_blank=True)


class CommentViewSet(ExecutionPart):
    """The comments on an execution: ``executions/<cuid>/comments/``."""

    queryset = Comment.objects.none()
    serializer_class = CommentSerializer
    lookup_url_kwarg = "comment"

    def get_permissions(self) -> Any:
        """Return the permissions: who may read the execution may read its comments."""
        self.needs = VIEW if self.request.method in SAFE_METHODS else (VIEW, COMMENT)
        return super().get_permissions()

    def get_queryset(self) -> QuerySet[Any]:
        """Return the comments on the execution, the oldest first."""
        return Comment.of(self.find_execution())

    def get_object(self) -> Any:
        """Return the comment of the URL."""
        return find_by_cuid(self.get_queryset(), self.kwargs["comment"])

    @extend_schema(
        operation_id="executions_comment",
        request=NewCommentSerializer,
        parameters=EDIT_PARAMETERS,
        responses={201: CommentSerializer},
    )
    @edit
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Comment on an execution."""
        execution = self.find_execution()
        body = NewCommentSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = services.comment(execution, by=request.user, **body.validated_data)
        url = reverse("api:comment-detail", [execution.cuid, row.cuid], request=request)
        data = self.get_serializer(row).data
        return Response(data, status.HTTP_201_CREATED, headers={"Location": url})

    @extend_schema(
        request=WithdrawalSerializer, parameters=EDIT_PARAMETERS, responses=CommentSerializer
    )
    @action(detail=True, methods=["post"])
    @edit
    def withdraw(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Hide the text of a comment."""
        row = self.get_object()
        body = WithdrawalSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = services.withdraw_comment(row, by=request.user, **body.validated_data)
        return Response(self.get_serializer(row).data)
