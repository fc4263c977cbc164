"""Jobs: background work for open steps."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Case, F, IntegerField, Q, When

from executions.models.leased_row import LeasedQuerySet, LeasedRow
from executions.models.step import Step
from workflows.values import moments


class JobKind(models.TextChoices):
    """The work that a job does."""

    TIMER = "timer", "Wake the step"
    DEADLINE = "deadline", "Mark the step as overdue"
    MAIL = "mail", "Send the mail"
    CALL = "call", "Make the call"
    OVERDUE = "overdue", "Send the overdue notice"


PERFORMED: tuple[str, ...] = (
    JobKind.MAIL.value,
    JobKind.CALL.value,
    JobKind.OVERDUE.value,
)
"""The jobs that call other systems. They run without locks; only their result needs one."""

TIMERS = Q(kind__in=[JobKind.TIMER.value, JobKind.DEADLINE.value])
"""The lane of the jobs that only advance an execution."""
CALLS = Q(kind__in=list(PERFORMED))
"""The lane of the jobs in ``PERFORMED``, which may be slow."""


class JobQuerySet(LeasedQuerySet["Job"]):
    """Jobs that workers claim."""

    # A job that ends each of its workers must not do so for ever: a takeover is an attempt.
    takeover: ClassVar = {
        "attempt": F("attempt")
        + Case(When(leased_until__isnull=False, then=1), default=0, output_field=IntegerField())
    }


class Job(LeasedRow):
    """Background work that is due for an open step. Wake-up messages carry no data.

    The result of a call is taken only from the worker that claimed the job last. A job is deleted
    when it is done.
    """

    Kind = JobKind

    step = models.ForeignKey(Step, models.CASCADE, related_name="jobs", db_index=False)
    kind = models.CharField(max_length=32, choices=JobKind.choices)
    due_at = models.DateTimeField()
    attempt = models.PositiveIntegerField(default=0)
    result = models.JSONField(
        null=True,
        blank=True,
        help_text="The result of the call, until the execution continues with it.",
    )

    objects = JobQuerySet.as_manager()

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
        return f"{self.get_kind_display()} at {moments.format_moment(self.due_at)}"
