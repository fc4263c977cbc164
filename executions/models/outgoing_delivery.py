"""Webhook deliveries: a row per event and webhook, and a row per attempt to deliver it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from executions.models.leased_row import LeasedQuerySet, LeasedRow
from executions.models.subscription import Subscription
from workflows.db.cuid import LENGTH, new_cuid
from workflows.values import moments

REDELIVER = "executions.redeliver_outgoingdelivery"
"""The permission to repeat a delivery."""


class OutgoingDeliveryQuerySet(LeasedQuerySet["OutgoingDelivery"]):
    """Deliveries that workers claim."""

    def waiting(self) -> OutgoingDeliveryQuerySet:
        """Return the deliveries that wait to be sent to an active webhook."""
        return self.filter(
            state=OutgoingDelivery.State.WAITING, subscription__state=Subscription.State.ACTIVE
        )


class OutgoingDelivery(LeasedRow):
    """One event for one webhook. A database trigger writes it in the transaction of the event.

    ``due_at`` is the time of the next attempt. The subscription has no database key: an execution
    must neither lock it nor fail because it has just been deleted.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Delivered"
        GIVEN_UP = "given_up", "Given up"

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    subscription = models.ForeignKey(
        Subscription,
        models.CASCADE,
        related_name="deliveries",
        db_constraint=False,
        verbose_name="webhook",
    )
    event = models.CharField(max_length=64)
    data = models.JSONField(default=dict)
    at = models.DateTimeField(help_text="The time of the event.")
    state = models.CharField(max_length=32, choices=State.choices, default=State.WAITING)
    due_at = models.DateTimeField()
    attempt = models.PositiveIntegerField(default=0)
    settled_at = models.DateTimeField(null=True, blank=True)

    objects = OutgoingDeliveryQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        verbose_name = "webhook delivery"
        verbose_name_plural = "webhook deliveries"
        default_permissions = ("view",)
        permissions: ClassVar = [("redeliver_outgoingdelivery", "Can deliver events again")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "delivered", "given_up"]),
                name="executions_outgoing_state",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"], condition=Q(state="waiting"), name="executions_outgoing_due"
            ),
            models.Index(fields=["at"], name="executions_outgoing_at"),
        ]

    def __str__(self) -> str:
        return f"{self.event} at {moments.format_moment(self.at)}"


class DeliveryAttempt(models.Model):
    """One attempt of a delivery, with the answer or the error."""

    delivery = models.ForeignKey(OutgoingDelivery, models.CASCADE, related_name="attempts")
    at = models.DateTimeField()
    milliseconds = models.PositiveIntegerField()
    status = models.PositiveIntegerField(null=True, blank=True)
    answer = models.TextField(blank=True, help_text="The beginning of the answer.")
    error = models.TextField(blank=True, help_text="The reason why there is no answer.")

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.status or self.error)
