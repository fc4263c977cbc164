"""Triggered starts: due starts, and deliveries that have started an execution."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from executions.models.entity import Entity
from executions.models.execution import Execution
from executions.models.leased_row import DueQuerySet
from workflows.db.cuid import LENGTH
from workflows.models import Workflow
from workflows.models.account_names import account_name_field, account_name_of


class TriggeredStartQuerySet(DueQuerySet["TriggeredStart"]):
    """Triggered starts. They are served under the lock of their entity, without a lease."""


class TriggeredStart(models.Model):
    """A start that an edit of an entity or a schedule has triggered.

    It is written in the transaction of the edit, executed right after the commit, or later by a
    worker, and deleted when it is done or refused. The workflow has no database key: editing an
    entity must neither lock it nor wait for its editors. It may be deleted before the start is
    due. ``occurrence`` is the time for which a schedule has triggered it.
    """

    workflow = models.ForeignKey(
        Workflow, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    entity = models.ForeignKey(Entity, models.CASCADE, related_name="+")
    trigger = models.CharField(max_length=32)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    asked_by_name = account_name_field()
    due_at = models.DateTimeField(db_index=True)
    occurrence = models.DateTimeField(null=True)
    attempt = models.PositiveIntegerField(default=0)

    objects = TriggeredStartQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["due_at", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workflow", "entity", "occurrence"],
                name="executions_triggered_start_occurrence",
            )
        ]

    def __str__(self) -> str:
        return f"{self.trigger}: workflow {self.workflow_id} on {self.entity}"

    @property
    def asker(self) -> str:
        """The name of the account that triggered it, kept after the account is deleted."""
        return account_name_of(self, "asked_by")


class Delivery(models.Model):
    """A POST to the webhook of a workflow that has started an execution.

    A repeated delivery with the same id returns that execution. The row is kept when the
    execution is deleted: a sender that missed the answer must not start the workflow twice.
    """

    workflow = models.ForeignKey(
        Workflow, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    delivery = models.CharField(max_length=128)
    execution = models.OneToOneField(Execution, models.SET_NULL, null=True, related_name="+")
    execution_cuid = models.CharField(max_length=LENGTH, default="", db_default="")
    entity_cuid = models.CharField(max_length=LENGTH, default="", db_default="")
    at = models.DateTimeField(default=timezone.now, db_default=Now())

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        verbose_name_plural = "deliveries"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workflow", "delivery"], name="executions_delivery_once"
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["at"], condition=Q(execution=None), name="executions_delivery_left"
            )
        ]

    def __str__(self) -> str:
        return self.delivery
