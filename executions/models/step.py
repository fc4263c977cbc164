"""Steps: the visits of an execution to nodes at which it waits or has waited.

Nodes that it passes without waiting have no row: see ``models.visits``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from executions.models.execution import Execution
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models.account_names import account_name_field, account_name_of


class StepState(models.TextChoices):
    """The state of a step."""

    OPEN = "open", "Open"
    INCIDENT = "incident", "Incident"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


OPEN: tuple[str, ...] = (StepState.OPEN.value, StepState.INCIDENT.value)
"""The states of open steps."""

OPEN_INDEX = "executions_open_step"
"""The index of the steps with these states."""


SLEEPING: tuple[str, ...] = ("wait", "start")
"""The node types whose wait can be skipped."""
USER_ACTION = "user_action"
"""The node type that waits for a form."""
FOR_PEOPLE: tuple[str, ...] = (USER_ACTION, "approval")
"""The node types that wait for people."""


FOR_EACH, ITEM, ITEMS = "for_each", "item", "items"
"""Keys of the input of steps: of an item, the cuid of its call and its index; of its call, the
number of items."""


class _Constant(models.Value):
    """A text that becomes part of the SQL instead of a parameter.

    SQLite uses a partial index with an IN list in its condition only for literals.
    """

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """Return the quoted text."""
        return f"'{self.value}'", []


class StepQuerySet(models.QuerySet["Step"]):
    """Steps, with filters for open ones."""

    def open(self) -> StepQuerySet:
        """Return only the open steps."""
        return self.filter(state__in=[_Constant(state) for state in OPEN])

    def for_people(self) -> StepQuerySet:
        """Return only the open steps that wait for people."""
        types = [_Constant(name) for name in FOR_PEOPLE]
        return self.filter(state=StepState.OPEN, type__in=types)

    def incidents(self) -> StepQuerySet:
        """Return only the steps with an incident."""
        return self.filter(state=StepState.INCIDENT)

    def overdue(self) -> StepQuerySet:
        """Return only the open steps whose deadline has passed."""
        return self.open().filter(overdue=True)


class Step(models.Model):
    """A visit of an execution to a node, with its data, times and people.

    ``origin`` is set while an advance is in memory: the stored step whose end led to this visit,
    or the new execution; None for a step that was stored before. ``passed_child`` is the
    cuid of the child of a passed node. ``ran_on`` is the id and the number of the version of the
    visit, as far as ``models.visits`` has read it.
    """

    State = StepState
    origin: Step | Execution | None = None
    passed_child: str = ""
    ran_on: tuple[int, int] | None = None

    # Unique by a constraint: ``unique=True`` has PostgreSQL keep a second index for LIKE.
    cuid = models.CharField("ID", max_length=LENGTH, default=new_cuid, editable=False)
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
        help_text="The recipients of the overdue notice, or the reason why it was not sent.",
    )
    attempt = models.IntegerField(default=1)
    # Used to find the steps of a user without reading graphs. The candidates decide.
    assignees = models.TextField(
        blank=True,
        default="",
        db_default="",
        editable=False,
        help_text="The key of the candidates; empty if everybody may do the step.",
    )
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="The user who closed the step; empty if it did not wait.",
    )
    closed_by_name = account_name_field()
    # Without a database key: a claim must not lock the row of its account.
    claimed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The user who has claimed the step.",
    )
    claimed_at = models.DateTimeField(null=True, blank=True)
    input = models.JSONField(null=True, blank=True)
    output = models.JSONField(null=True, blank=True)
    handle = models.CharField(max_length=64, blank=True, help_text="The exit that was taken.")
    incident = models.JSONField(null=True, blank=True)
    passed = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="The nodes that were passed when this step was closed (models.visits).",
    )
    # Unique by the partial index below. Most steps have no child.
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
            # For the few steps that need attention, among many that do not.
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
            # For the orders of the list of tasks; steps without a deadline come last.
            models.Index(
                fields=["due_at", "id"],
                condition=Q(state__in=OPEN, due_at__isnull=False),
                name="executions_open_by_due",
            ),
            models.Index(
                fields=["id"],
                condition=Q(state__in=OPEN, due_at__isnull=True),
                name="executions_open_without_due",
            ),
            models.Index(
                fields=["opened_at", "id"],
                condition=Q(state__in=OPEN),
                name="executions_open_by_opening",
            ),
            # For the deletion of a user. Most steps have no such user.
            models.Index(
                fields=["closed_by"],
                condition=Q(closed_by__isnull=False),
                name="executions_step_closed_by",
            ),
            # For the open steps of a user, and for the deletion of a user.
            models.Index(
                fields=["claimed_by", "state"],
                condition=Q(claimed_by__isnull=False),
                name="executions_step_claimer",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label or self.node_id} ({self.get_state_display()})"

    @property
    def closer(self) -> str:
        """The name of the account that closed it, kept after the account is deleted."""
        return account_name_of(self, "closed_by")

    @property
    def cast_votes(self) -> Iterable[Any]:
        """The votes; none for a passed node."""
        return self.votes.all() if self.pk else ()

    @property
    def version_number(self) -> int | None:
        """The number of the version that the execution ran at this visit."""
        return None if self.ran_on is None else self.ran_on[1]

    @property
    def child_cuid(self) -> str | None:
        """The cuid of the child that the step called, if any."""
        return self.passed_child or (self.child.cuid if self.child else None)

    @property
    def is_open(self) -> bool:
        """True for the states open and incident."""
        return self.state in OPEN
