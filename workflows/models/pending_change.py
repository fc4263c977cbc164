"""Pending changes of entity context, on hold until the blocking executions have ended."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.account_names import account_name_field, account_name_of
from workflows.models.types import EntityContext
from workflows.models.workflow import Workflow


class PendingChange(EntityContext):
    """A change of context of a group of workflows, applied when the group is drained.

    No new root execution starts on the group until then. Withdrawing a change deletes it. A change
    that could not be applied is kept with its reason until a user removes it.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        APPLIED = "applied", _("Applied")
        NOT_APPLIED = "not_applied", _("Could not be applied")

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    state = models.CharField(max_length=32, choices=State.choices, default=State.WAITING)
    asked_at = models.DateTimeField(auto_now_add=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    asked_by_name = account_name_field()
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
        """Return the name of the user who requested it, even if the account has been deleted."""
        return account_name_of(self, "asked_by")


class PendingWorkflow(models.Model):
    """A workflow of a pending change. A workflow has at most one change on hold."""

    change = models.ForeignKey(PendingChange, models.CASCADE, related_name="members")
    workflow = models.ForeignKey(Workflow, models.SET_NULL, null=True, related_name="pending")
    cuid = models.CharField("ID", max_length=LENGTH)
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
    """Return the rows of these workflows in changes on hold, with the changes."""
    rows = PendingWorkflow.objects.filter(workflow_id__in=workflow_ids, waiting=True)
    return rows.select_related(
        "change__asked_by", "change__entity_name_type", "change__primary_record_type"
    )
