"""Schedules: until when their occurrences have been served, and the starts that they have made."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from executions.models.entity import Entity
from executions.models.leased_row import DueQuerySet
from workflows.models import Workflow


class ScheduleQuerySet(DueQuerySet["Schedule"]):
    """Schedules. A worker serves one under the lock of its row, a batch of entities at a time."""


class Schedule(models.Model):
    """The schedule of an active workflow, and how far its occurrences have been served.

    Occurrences after ``served_until`` are due. While a worker serves them, ``window_end`` is the
    latest time that counts and ``last_entity`` the entity up to which starts have been queued, so
    that any worker can continue. An occurrence before the schedule was set never counts.
    """

    workflow = models.OneToOneField(Workflow, models.CASCADE, related_name="+")
    trigger_data = models.JSONField()
    served_until = models.DateTimeField()
    window_end = models.DateTimeField(null=True)
    last_entity = models.BigIntegerField(default=0)
    due_at = models.DateTimeField(db_index=True)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["due_at", "pk"]

    def __str__(self) -> str:
        return f"Schedule of workflow {self.workflow_id}"


class ScheduledStart(models.Model):
    """The record that a schedule has started a workflow on an entity for one occurrence.

    Its key makes sure that no occurrence starts the workflow twice on an entity.
    """

    workflow = models.ForeignKey(Workflow, models.CASCADE, related_name="+", db_index=False)
    entity = models.ForeignKey(Entity, models.CASCADE, related_name="+")
    occurrence = models.DateTimeField()
    at = models.DateTimeField(default=timezone.now, db_default=Now(), db_index=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workflow", "entity", "occurrence"], name="executions_scheduled_once"
            )
        ]

    def __str__(self) -> str:
        return f"Workflow {self.workflow_id} on entity {self.entity_id}: {self.occurrence}"
