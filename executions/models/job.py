"""Jobs: what the background has to come back to."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from executions.models.step import Step
from workflows.values import moments


class JobKind(models.TextChoices):
    """What is to be done."""

    TIMER = "timer", "Wake the step"
    DEADLINE = "deadline", "Mark the step as overdue"
    MAIL = "mail", "Send the mail"
    CALL = "call", "Make the call"
    OVERDUE = "overdue", "Tell that the step is overdue"


PERFORMED: tuple[str, ...] = (
    JobKind.MAIL.value,
    JobKind.CALL.value,
    JobKind.OVERDUE.value,
)
"""What reaches outside: performed without a lock, and only its result is taken under one."""


class Job(models.Model):
    """An open step that something is due for. The row is the truth; a message only wakes.

    Whoever serves it holds it until ``leased_until``. Each claim raises ``fence``: a result is
    taken only from whoever claimed last. A job that is done is deleted.
    """

    Kind = JobKind

    step = models.ForeignKey(Step, models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=32, choices=JobKind.choices)
    due_at = models.DateTimeField()
    attempt = models.PositiveIntegerField(default=0)
    leased_until = models.DateTimeField(null=True, blank=True)
    fence = models.BigIntegerField(default=0)
    result = models.JSONField(
        null=True,
        blank=True,
        help_text="The result of the call, until the execution has taken it.",
    )

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["due_at", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["step", "kind"], name="executions_job_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["timer", "deadline", "mail", "call", "overdue"]),
                name="executions_job_kind",
            ),
        ]
        indexes: ClassVar = [models.Index(fields=["due_at"], name="executions_job_due")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {moments.shown(self.due_at)}"
