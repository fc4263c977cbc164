"""Steps: the visits of an execution to its nodes."""

from __future__ import annotations

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from executions.models.execution import Execution
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.account_names import account_name, name_of


class StepState(models.TextChoices):
    """Where a visit is in its life."""

    OPEN = "open", "Open"
    INCIDENT = "incident", "Incident"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


OPEN: tuple[str, ...] = (StepState.OPEN.value, StepState.INCIDENT.value)
"""The states of a step at which its execution stands."""

OPEN_INDEX = "executions_open_step"
"""The index of the steps with these states."""


SLEEPING: tuple[str, ...] = ("wait", "start")
"""The types of the nodes whose open steps can be woken early."""
FOR_PEOPLE: tuple[str, ...] = ("user_action", "approval")
"""The types of the nodes that wait for somebody."""


class _Constant(models.Value):
    """A text that is written into the statement instead of being one of its parameters.

    SQLite does not use a partial index whose condition has an IN list for a list of parameters.
    """

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """The text in quotes."""
        return f"'{self.value}'", []


class StepQuerySet(models.QuerySet["Step"]):
    """Steps, by whether their execution stands there."""

    def open(self) -> StepQuerySet:
        """Only the steps at which an execution stands."""
        return self.filter(state__in=[_Constant(state) for state in OPEN])

    def for_people(self) -> StepQuerySet:
        """Only those that wait for somebody."""
        types = [_Constant(name) for name in FOR_PEOPLE]
        return self.filter(state=StepState.OPEN, type__in=types)

    def incidents(self) -> StepQuerySet:
        """Only those that wait for an operator."""
        return self.filter(state=StepState.INCIDENT)

    def overdue(self) -> StepQuerySet:
        """Only the open ones whose deadline has passed."""
        return self.open().filter(overdue=True)


class Step(models.Model):
    """One visit of an execution to a node: who, when, what went in and what came out."""

    State = StepState

    # Unique by a constraint: ``unique=True`` has PostgreSQL keep a second index for LIKE.
    cuid = models.CharField(max_length=LENGTH, default=new_cuid, editable=False)
    execution = models.ForeignKey(Execution, models.CASCADE, related_name="steps")
    node_id = models.CharField(max_length=128)
    type = models.CharField(max_length=64)
    label = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=32, choices=StepState.choices, default=StepState.OPEN)
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    overdue = models.BooleanField(default=False)
    notice = models.JSONField(
        null=True,
        blank=True,
        help_text="Whom the passing of the deadline was told, or why it could not be.",
    )
    attempt = models.IntegerField(default=1)
    # The candidates decide; this finds what waits for somebody without reading graphs.
    assignees = models.TextField(
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The key of the candidates that it asks; empty for everybody.",
    )
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="Who ended its waiting; empty where the execution passed without any.",
    )
    closed_by_name = account_name()
    input = models.JSONField(null=True, blank=True)
    output = models.JSONField(null=True, blank=True)
    handle = models.CharField(max_length=64, blank=True, help_text="The way it was left by.")
    incident = models.JSONField(null=True, blank=True)
    # One step for each child, by the partial index below: most steps have none.
    child = models.ForeignKey(
        Execution, models.SET_NULL, null=True, blank=True, related_name="+", db_index=False
    )

    objects = StepQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["cuid"], name="executions_step_cuid"),
            models.UniqueConstraint(
                fields=["child"], condition=Q(child__isnull=False), name="executions_step_child"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "incident", "done", "cancelled"]),
                name="executions_step_state",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["execution", "node_id"],
                condition=Q(state__in=OPEN),
                name=OPEN_INDEX,
            ),
            # What needs somebody, and is looked for among all that does not.
            models.Index(
                fields=["execution"], condition=Q(state="incident"), name="executions_incident"
            ),
            models.Index(
                fields=["execution"],
                condition=Q(overdue=True, state__in=OPEN),
                name="executions_overdue_step",
            ),
            models.Index(
                fields=["assignees", "execution"],
                condition=Q(state="open", type__in=FOR_PEOPLE),
                name="executions_asked_step",
            ),
            # For the deletion of a user; most steps are closed by nobody.
            models.Index(
                fields=["closed_by"],
                condition=Q(closed_by__isnull=False),
                name="executions_step_closed_by",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label or self.node_id} ({self.get_state_display()})"

    @property
    def closer(self) -> str:
        """The name of the account that ended its waiting; it outlives the account."""
        return name_of(self, "closed_by")

    @property
    def is_open(self) -> bool:
        """Whether the execution stands here."""
        return self.state in OPEN
