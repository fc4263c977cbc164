"""Where signed POSTs come: one to a workflow starts it, one to a waiting step goes on with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from executions.api.serializers import (
    DeliverySerializer,
    TakenDeliverySerializer,
    TakenSerializer,
)
from executions.webhooks import incoming, incoming_starts
from executions.webhooks.signed_requests import NotTaken, taken
from workflows.api.base.strict_requests import KnownParameters

R = TypeVar("R")

CODES = {
    400: "invalid",
    401: "not_signed",
    404: "not_found",
    410: "hook_closed",
    413: "too_large",
    503: "unready",
}


def _headers(cuid: str, secret: str) -> list[OpenApiParameter]:
    return [
        OpenApiParameter(
            "X-Holdfast-Timestamp",
            location=OpenApiParameter.HEADER,
            description="The time in seconds since 1970, not more than five minutes off.",
            required=True,
        ),
        OpenApiParameter(
            "X-Holdfast-Signature",
            location=OpenApiParameter.HEADER,
            description=f"sha256= and the HMAC-SHA256, in hex, of <timestamp>.<{cuid}>.<raw body>"
            f" with the secret that {secret} names.",
            required=True,
        ),
    ]


class DeliveryRefused(APIException):
    """A delivery is not taken."""

    def __init__(self, error: NotTaken) -> None:
        super().__init__(str(error), CODES[error.status])
        self.status_code = error.status


class SignedView(KnownParameters, APIView):
    """Takes deliveries. Who delivers is known by the signature alone."""

    takes_format = False
    authentication_classes = ()
    permission_classes = ()
    throttle_scope = "hook"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Answer JSON, whatever a sender that did not choose its headers says it accepts."""
        return super().perform_content_negotiation(request, force=True)

    def deliver(self, request: Request, take: Callable[..., R]) -> R:
        """Give the request to ``take``. Raises ``DeliveryRefused``."""
        try:
            return taken(request, take)
        except NotTaken as error:
            raise DeliveryRefused(error) from error


class WorkflowHookView(SignedView):
    """The webhook of a workflow."""

    @extend_schema(
        operation_id="workflow_hook",
        auth=[],
        parameters=_headers("workflow cuid", "the workflow's trigger_data"),
        request=DeliverySerializer,
        responses={200: TakenDeliverySerializer, 201: TakenDeliverySerializer},
    )
    def post(self, request: Request, cuid: str) -> Response:
        """Start the workflow on an entity: 201; 200 where this delivery has done so before."""
        execution, is_new = self.deliver(request, partial(incoming_starts.start_by_delivery, cuid))
        answer = TakenDeliverySerializer({"taken": is_new, "execution": execution})
        return Response(answer.data, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class StepHookView(SignedView):
    """The webhook of a step that waits to be called."""

    @extend_schema(
        operation_id="step_hook",
        auth=[],
        parameters=_headers("step cuid", "the node's data"),
        request=OpenApiTypes.ANY,
        responses=TakenSerializer,
        examples=[OpenApiExample("Answer", {"verdict": "accepted"}, request_only=True)],
    )
    def post(self, request: Request, cuid: str) -> Response:
        """Give the step what it waits for; what was delivered before does nothing."""
        is_new = self.deliver(request, partial(incoming.deliver, cuid))
        return Response(TakenSerializer({"taken": is_new}).data)
