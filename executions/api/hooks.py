"""Where a signed POST starts a workflow: ``POST workflows/<cuid>/hook/``."""

from __future__ import annotations

from functools import partial

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from executions import services
from executions.api.serializers import DeliverySerializer, TakenDeliverySerializer
from executions.hooks import NotTaken, taken

CODES = {400: "invalid", 401: "not_signed", 404: "not_found", 413: "too_large", 503: "unready"}
HEADERS = [
    OpenApiParameter(
        "X-Holdfast-Timestamp",
        location=OpenApiParameter.HEADER,
        description="The time in seconds since 1970, not more than five minutes off.",
        required=True,
    ),
    OpenApiParameter(
        "X-Holdfast-Signature",
        location=OpenApiParameter.HEADER,
        description="sha256= and the HMAC-SHA256, in hex, of <timestamp>.<workflow cuid>.<raw body>"
        " with the secret that the workflow's trigger_data names.",
        required=True,
    ),
]


class DeliveryRefused(APIException):
    """A delivery is not taken."""

    def __init__(self, error: NotTaken) -> None:
        super().__init__(str(error), CODES[error.status])
        self.status_code = error.status


class WorkflowHookView(APIView):
    """The webhook of a workflow. Who delivers is known by the signature alone."""

    authentication_classes = ()
    permission_classes = ()

    @extend_schema(
        operation_id="workflow_hook",
        auth=[],
        parameters=HEADERS,
        request=DeliverySerializer,
        responses={200: TakenDeliverySerializer, 201: TakenDeliverySerializer},
    )
    def post(self, request: Request, cuid: str) -> Response:
        """Start the workflow on an entity: 201; 200 where this delivery has done so before."""
        try:
            execution, is_new = taken(request, partial(services.start_by_delivery, cuid))
        except NotTaken as error:
            raise DeliveryRefused(error) from error
        answer = TakenDeliverySerializer({"taken": is_new, "execution": execution.cuid})
        return Response(answer.data, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK)
