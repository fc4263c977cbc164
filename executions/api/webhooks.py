"""Outgoing webhooks and their deliveries in the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from executions.models import (
    EVENTS,
    REDELIVER,
    TEST,
    DeliveryAttempt,
    OutgoingDelivery,
    Subscription,
)
from executions.webhooks import subscriptions
from executions.webhooks.outgoing import visible_payload
from workflows.api.base.edit_options import DRY_RUN, EDIT_PARAMETERS, edit, edit_without_replay
from workflows.api.base.filter_operators import (
    ListFilters,
    Operators,
    ValuesFilter,
    moment_operators,
    text_operators,
    value_operators,
)
from workflows.api.base.refusal_json import build_url
from workflows.api.base.resources import EditableResource, Resource, find_by_cuid
from workflows.api.base.strict_fields import (
    CuidField,
    DryRunSerializer,
    MomentField,
    ObjectField,
    OutputModelSerializer,
    RelatedValueField,
    StrictChoiceField,
    StrictModelSerializer,
)
from workflows.db import locks
from workflows.models import FindingType, Workflow

MANAGE = "executions.change_subscription"


class WebhookSerializer(StrictModelSerializer[Subscription]):
    """A webhook: the address, and the events that are sent there."""

    events = serializers.ListField(child=StrictChoiceField(choices=list(EVENTS)), min_length=1)
    workflow = CuidField(queryset=Workflow.objects.all(), allow_null=True, required=False)
    entity_name_type = CuidField(
        queryset=FindingType.objects.all(), allow_null=True, required=False
    )

    class Meta:
        model = Subscription
        fields = [
            "cuid",
            "url",
            "description",
            "events",
            "workflow",
            "entity_name_type",
            "state",
            "disabled_because",
            "given_up_in_a_row",
            "created_at",
        ]
        read_only_fields = ["cuid", "disabled_because", "given_up_in_a_row", "created_at"]


class NewWebhookSerializer(WebhookSerializer):
    """A webhook with its secret, which no later response contains."""

    secret = serializers.CharField(
        read_only=True, help_text="The secret that signs deliveries. Store it: it is shown once."
    )

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]

    def to_representation(self, row: Any) -> dict[str, Any]:
        """Return the webhook with its new secret."""
        return {**super().to_representation(row), "secret": row.secret}


class EmptyRequestSerializer(DryRunSerializer):
    """A body that has only ``dry_run``."""


class AttemptSerializer(OutputModelSerializer[DeliveryAttempt]):
    """An attempt to send a delivery: the response, or the error."""

    class Meta:
        model = DeliveryAttempt
        fields = ["at", "milliseconds", "status", "answer", "error"]
        # A writable number would be described with the limits of one database.
        read_only_fields = fields


class WebhookDeliverySerializer(OutputModelSerializer[OutgoingDelivery]):
    """A webhook delivery; its cuid is the header ``webhook-id``."""

    webhook = RelatedValueField("cuid", source="subscription")
    due_at = serializers.SerializerMethodField()
    payload = serializers.SerializerMethodField()
    attempts = AttemptSerializer(many=True)

    class Meta:
        model = OutgoingDelivery
        fields = [
            "cuid",
            "webhook",
            "event",
            "at",
            "state",
            "due_at",
            "settled_at",
            "payload",
            "attempts",
        ]
        read_only_fields = fields

    @extend_schema_field(MomentField(allow_null=True))
    def get_due_at(self, row: OutgoingDelivery) -> Any:
        """Return the time of the next attempt; null when there is none."""
        waits = row.state == OutgoingDelivery.State.WAITING
        return MomentField().to_representation(row.due_at) if waits else None

    @extend_schema_field(ObjectField())
    def get_payload(self, row: OutgoingDelivery) -> dict[str, Any]:
        """Return the body of the delivery, as far as the user may read it."""
        return visible_payload(row, self.context["request"].user)


class WebhookFilter(ListFilters):
    """Filters by state, workflow and finding type."""

    state = ValuesFilter(Subscription.State.choices)
    workflow = ValuesFilter(field_name="workflow__cuid")
    entity_name_type = ValuesFilter(field_name="entity_name_type__cuid")

    operators: ClassVar[Mapping[str, Operators]] = {
        "workflow": value_operators("workflow__cuid", is_nullable=True),
        "entity_name_type": value_operators("entity_name_type__cuid", is_nullable=True),
        "created_at": moment_operators("created_at"),
        "url": text_operators("url"),
    }


class DeliveryFilter(ListFilters):
    """Filters by state and event."""

    state = ValuesFilter(OutgoingDelivery.State.choices)
    event = ValuesFilter([(name, name) for name in (*EVENTS, TEST)])

    operators: ClassVar[Mapping[str, Operators]] = {
        "created_at": moment_operators("created_at"),
    }


def _deliveries() -> QuerySet[OutgoingDelivery]:
    attempts = Prefetch("attempts", DeliveryAttempt.objects.order_by("pk"))
    return OutgoingDelivery.objects.select_related("subscription").prefetch_related(attempts)


class WebhookViewSet(EditableResource):
    """The resource ``webhooks/``."""

    queryset = Subscription.objects.select_related("workflow", "entity_name_type")
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    search_fields: ClassVar = ["url", "description", "=cuid"]
    ordering_fields: ClassVar = ["created_at", "url", "state"]

    @extend_schema(parameters=[DRY_RUN], responses={201: NewWebhookSerializer})
    @edit_without_replay
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Create a webhook, and respond with its secret.

        There is no Idempotency-Key, which would store the response with the secret.
        """
        return self._create_with_secret(request.data)

    @locks.retrying
    def _create_with_secret(self, data: Any) -> Response:
        with transaction.atomic():
            serializer = self.get_serializer(data=data)
            serializer.is_valid(raise_exception=True)
            row = serializer.save()
            secret = subscriptions.create_secret(row)
            return self._respond_with_secret(row, secret, status.HTTP_201_CREATED)

    @extend_schema(
        request=EmptyRequestSerializer, parameters=[DRY_RUN], responses=NewWebhookSerializer
    )
    @action(detail=True, methods=["post"], url_path="rotate-secret", needs=MANAGE)
    @edit_without_replay
    def rotate_secret(self, request: Request, cuid: str) -> Response:
        """Replace the secret, and respond with the new one. Both sign for a day.

        There is no Idempotency-Key, as for ``create``.
        """
        EmptyRequestSerializer(data=request.data).is_valid(raise_exception=True)
        row = self.get_object()
        return self._respond_with_secret(row, subscriptions.rotate_secret(row, by=request.user))

    def _respond_with_secret(self, row: Any, secret: str, status_code: int = 200) -> Response:
        row = self.get_queryset().get(pk=row.pk)
        row.secret = secret
        data = NewWebhookSerializer(row, context=self.get_serializer_context()).data
        headers = {"ETag": self.etag(row), "Cache-Control": "no-store"}
        if status_code == status.HTTP_201_CREATED:
            headers["Location"] = build_url("webhook", row.cuid, self.request)
        return Response(data, status_code, headers=headers)

    @extend_schema(
        request=EmptyRequestSerializer,
        parameters=EDIT_PARAMETERS,
        responses={201: WebhookDeliverySerializer},
    )
    @action(detail=True, methods=["post"], needs=MANAGE)
    @edit
    def test(self, request: Request, cuid: str) -> Response:
        """Queue the event ``webhook.test``, and respond with its delivery."""
        EmptyRequestSerializer(data=request.data).is_valid(raise_exception=True)
        row = subscriptions.send_test_event(self.get_object())
        serializer = WebhookDeliverySerializer(row, context=self.get_serializer_context())
        return Response(serializer.data, status.HTTP_201_CREATED)

    @extend_schema(responses=WebhookDeliverySerializer(many=True))
    @action(
        detail=True,
        lists=True,
        serializer_class=WebhookDeliverySerializer,
        queryset=_deliveries(),
        needs=("executions.view_subscription", "executions.view_outgoingdelivery"),
        filterset_class=DeliveryFilter,
        search_fields=(),
        ordering_fields=("at",),
    )
    def deliveries(self, request: Request, cuid: str) -> Response:
        """List the deliveries of a webhook, newest first."""
        webhook = find_by_cuid(Subscription.objects.all(), cuid)
        rows = self.filter_queryset(self.get_queryset().filter(subscription=webhook))
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class OutgoingDeliveryViewSet(mixins.RetrieveModelMixin, Resource):
    """The resource ``webhook-deliveries/``."""

    queryset = OutgoingDelivery.objects.all()
    serializer_class = WebhookDeliverySerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[Any]:
        """Return the deliveries with their attempts."""
        return _deliveries()

    @extend_schema(
        request=EmptyRequestSerializer,
        parameters=EDIT_PARAMETERS,
        responses=WebhookDeliverySerializer,
    )
    @action(detail=True, methods=["post"], needs=REDELIVER)
    @edit
    def redeliver(self, request: Request, cuid: str) -> Response:
        """Queue the delivery again, with its old id."""
        EmptyRequestSerializer(data=request.data).is_valid(raise_exception=True)
        subscriptions.redeliver(self.get_object())
        return Response(self.get_serializer(self.get_object()).data)
