"""Incoming webhooks: signed requests that start a workflow, or that a step waits for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from executions.webhooks import incoming, incoming_starts
from executions.webhooks.signed_requests import DeliveryRejected, read_delivery
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
            description="The time in seconds since 1970. It may be up to five minutes off.",
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


class DeliverySerializer(serializers.Serializer[Any]):
    """A request to start a workflow: the sender's own id, and the entity."""

    delivery = serializers.CharField(max_length=128)
    entity = serializers.CharField()


class TakenSerializer(serializers.Serializer[Any]):
    """The receipt of a delivery; ``taken`` is false when it has arrived before."""

    taken = serializers.BooleanField()


class TakenDeliverySerializer(TakenSerializer):
    """The receipt of a delivery, with the execution that it has started."""

    execution = serializers.CharField()


class DeliveryRefused(APIException):
    """A rejected delivery, as a problem."""

    def __init__(self, error: DeliveryRejected) -> None:
        super().__init__(str(error), CODES[error.status])
        self.status_code = error.status


class SignedView(KnownParameters, APIView):
    """A view for signed requests. The signature alone authenticates the sender."""

    takes_format = False
    authentication_classes = ()
    permission_classes = ()
    throttle_scope = "hook"

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Respond with JSON always: many senders cannot choose their Accept header."""
        return super().perform_content_negotiation(request, force=True)

    def deliver(self, request: Request, accept: Callable[..., R]) -> R:
        """Pass the request to ``accept``. Raise ``DeliveryRefused``."""
        try:
            return read_delivery(request, accept)
        except DeliveryRejected as error:
            raise DeliveryRefused(error) from error


class WorkflowWebhookView(SignedView):
    """The webhook of a workflow."""

    @extend_schema(
        operation_id="workflow_hook",
        auth=[],
        parameters=_headers("workflow cuid", "the workflow's trigger_data"),
        request=DeliverySerializer,
        responses={200: TakenDeliverySerializer, 201: TakenDeliverySerializer},
    )
    def post(self, request: Request, cuid: str) -> Response:
        """Start the workflow: 201, or 200 when this delivery has started it before."""
        execution, is_new = self.deliver(
            request, partial(incoming_starts.start_from_delivery, cuid)
        )
        receipt = TakenDeliverySerializer({"taken": is_new, "execution": execution})
        return Response(receipt.data, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)


class StepWebhookView(SignedView):
    """The webhook of a waiting step."""

    @extend_schema(
        operation_id="step_hook",
        auth=[],
        parameters=_headers("step cuid", "the node's data"),
        request=OpenApiTypes.ANY,
        responses=TakenSerializer,
        examples=[OpenApiExample("Result", {"verdict": "accepted"}, request_only=True)],
    )
    def post(self, request: Request, cuid: str) -> Response:
        """Pass the body to the step. The same body again changes nothing."""
        is_new = self.deliver(request, partial(incoming.deliver, cuid))
        return Response(TakenSerializer({"taken": is_new}).data)
