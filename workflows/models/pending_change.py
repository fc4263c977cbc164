"""Changes of entity context that are put on hold until what runs has ended."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.account_names import account_name, account_name_of
from workflows.models.types import EntityContext
from workflows.models.workflow import Workflow


class PendingChange(EntityContext):
    """Which context a group of workflows is to take once it is drained, who asked and when.

    While it waits, no new root starts on the group. It is withdrawn by being deleted; one
    that could not be made is kept with its reason until somebody does.
    """

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        APPLIED = "applied", "Applied"
        NOT_APPLIED = "not_applied", "Could not be applied"

    cuid = models.CharField(max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    state = models.CharField(max_length=32, choices=State.choices, default=State.WAITING)
    asked_at = models.DateTimeField(auto_now_add=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    asked_by_name = account_name()
    why = models.TextField(blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        constraints: ClassVar = [
            *EntityContext.Meta.constraints,
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "applied", "not_applied"]),
                name="workflows_pendingchange_state",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["state"],
                condition=Q(state="waiting"),
                name="workflows_pendingchange_wait",
            )
        ]

    def __str__(self) -> str:
        titles = ", ".join(f"“{row.title}”" for row in self.members.all())
        return f"{titles} to {self.context_type}"

    @property
    def asker(self) -> str:
        """The name of the account that asked for it; it outlives the account."""
        return account_name_of(self, "asked_by")


class PendingWorkflow(models.Model):
    """A workflow of a change on hold. One workflow waits for one change at a time."""

    change = models.ForeignKey(PendingChange, models.CASCADE, related_name="members")
    workflow = models.ForeignKey(Workflow, models.SET_NULL, null=True, related_name="pending")
    cuid = models.CharField(max_length=LENGTH)
    title = models.CharField(max_length=200)
    waiting = models.BooleanField(default=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workflow"], condition=Q(waiting=True), name="workflows_pending_once"
            )
        ]

    def __str__(self) -> str:
        return self.title


def find_draining(workflow_ids: Any) -> models.QuerySet[PendingWorkflow]:
    """What waits for these workflows to drain, with the changes that wait."""
    rows = PendingWorkflow.objects.filter(workflow_id__in=workflow_ids, waiting=True)
    return rows.select_related(
        "change__asked_by", "change__entity_name_type", "change__primary_record_type"
    )
