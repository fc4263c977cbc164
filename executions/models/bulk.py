"""Bulk operations on executions, with the result for each execution."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from executions.models.execution import Execution
from executions.models.leased_row import LeasedQuerySet, LeasedRow
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.account_names import account_name_field, account_name_of
from workflows.values import moments


class BulkKind(models.TextChoices):
    """The operation on each execution."""

    CANCEL = "cancel", "Cancel"
    RETRY = "retry", "Retry"
    WAKE = "wake", "Wake"
    MOVE = "move", "Move"


class BulkState(models.TextChoices):
    """The state of a bulk operation."""

    ASKED = "asked", "Not confirmed"
    WORKING = "working", "In progress"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped"


class ItemState(models.TextChoices):
    """The result for one execution."""

    WAITING = "waiting", "Remaining"
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"


class BulkOperationQuerySet(LeasedQuerySet["BulkOperation"]):
    """Bulk operations that workers claim."""

    def confirmed(self) -> BulkOperationQuerySet:
        """Return the operations that have been confirmed and have not ended."""
        return self.filter(state=BulkState.WORKING)


class BulkOperation(LeasedRow):
    """An operation on many executions, which are selected once and then confirmed.

    A worker claims it for a few executions at a time. The result of each execution is stored on
    its item, in the same transaction.
    """

    Kind = BulkKind
    State = BulkState

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    kind = models.CharField(max_length=32, choices=BulkKind.choices)
    state = models.CharField(max_length=32, choices=BulkState.choices, default=BulkState.ASKED)
    why = models.TextField(blank=True)
    options = models.JSONField(
        null=True, editable=False, help_text="The further arguments of a move."
    )
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    asked_by_name = account_name_field()
    asked_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(null=True)
    leased_until = models.DateTimeField(null=True)

    objects = BulkOperationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(kind__in=["cancel", "retry", "wake", "move"]),
                name="executions_bulk_kind",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["asked", "working", "done", "stopped"]),
                name="executions_bulk_state",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["due_at"], condition=Q(state="working"), name="executions_bulk_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, requested at {moments.format_moment(self.asked_at)}"

    @property
    def asker(self) -> str:
        """The name of the account that requested it, kept after the account is deleted."""
        return account_name_of(self, "asked_by")


class BulkItem(models.Model):
    """One execution of a bulk operation."""

    State = ItemState

    operation = models.ForeignKey(
        BulkOperation, models.CASCADE, related_name="items", db_index=False
    )
    # Without a database key: thousands of them would lock their executions at commit, in no
    # particular order.
    execution = models.ForeignKey(Execution, models.CASCADE, related_name="+", db_constraint=False)
    state = models.CharField(max_length=32, choices=ItemState.choices, default=ItemState.WAITING)
    code = models.CharField(max_length=64, blank=True)
    detail = models.TextField(blank=True)

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        verbose_name = "bulk operation item"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["operation", "execution"], name="executions_bulkitem_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "done", "refused"]),
                name="executions_bulkitem_state",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["operation", "state", "id"], name="executions_bulkitem_by_state")
        ]

    def __str__(self) -> str:
        return f"{self.execution_id}: {self.get_state_display()}"
