"""Executions: one run of one version on one entity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import BooleanField, Case, F, Q, TextField, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from executions import guards
from executions.models.entity import Entity
from workflows.db.bounded_count import few_or_all
from workflows.db.composite_keys import CompositeForeignKey, KeyTarget, SummaryIndex
from workflows.db.cuid import LENGTH, new_cuid
from workflows.db.json_values import unstorable
from workflows.models import Version, Workflow
from workflows.models.account_names import account_name, name_of
from workflows.models.write_once_rows import WrittenOnceQuerySet

if TYPE_CHECKING:
    from executions.engine.manager import WorkflowManager


class Status(models.TextChoices):
    """Where an execution is in its life."""

    SCHEDULED = "scheduled", "Scheduled"
    ACTIVE = "active", "Active"
    WAITING = "waiting", "Waiting"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


LIVE: tuple[str, ...] = (Status.SCHEDULED.value, Status.ACTIVE.value, Status.WAITING.value)
"""The statuses of an execution that still has something to do."""

SUBMIT = "executions.submit_execution"
"""The permission to fill in forms and to vote, where the step does not name others."""
OPERATE = "executions.change_execution"
"""The permission to decide on an execution's course: cancel, retry, skip, wake."""
START = "executions.add_execution"
"""The permission to start one."""


LOOKED_UP = 3
"""For how many words of a search titles are looked up before executions are."""


class ExecutionQuerySet(WrittenOnceQuerySet["Execution"]):
    """Executions, by whether they still have something to do."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raises ``guards.ExecutionFrozen`` for what it started with, and for its status."""
        guards.refuse_bulk_rewrite(self.model, names)

    def live(self) -> ExecutionQuerySet:
        """Only executions that are scheduled, active or waiting."""
        return self.filter(live_key__isnull=False)

    def matching(self, words: Iterable[str]) -> ExecutionQuerySet:
        """Only executions that have every word in the title of their workflow or entity, or as
        their cuid.
        """
        found = self
        for place, word in enumerate(dict.fromkeys(words)):
            if unstorable(word):
                return self.none()
            workflows: Any = Workflow.objects.filter(title__icontains=word)
            entities: Any = Entity.objects.filter(title__icontains=word)
            # Reading ids takes a statement, and a search may have any number of words.
            if place < LOOKED_UP:
                workflows, entities = few_or_all(workflows), few_or_all(entities)
            found = found.filter(
                Q(cuid=word.lower()) | Q(workflow__in=workflows) | Q(entity__in=entities)
            )
        return found


class Execution(models.Model):
    """One run. While it is live, its keys bind it to its version's and its entity's context."""

    Status = Status
    FROZEN: ClassVar = (
        "workflow_id",
        "version_id",
        "entity_id",
        "context_key",
        "root_id",
        "parent_id",
    )

    # Unique by a constraint: ``unique=True`` has PostgreSQL keep a second index for LIKE.
    cuid = models.CharField(max_length=LENGTH, default=new_cuid, editable=False)
    # The composite key below says the same; a deferred one beside it would lock at commit,
    # out of order.
    workflow = models.ForeignKey(
        Workflow, models.DO_NOTHING, related_name="executions", db_constraint=False, db_index=False
    )
    # Their indexes below tell what is live apart.
    version = models.ForeignKey(
        Version, models.DO_NOTHING, related_name="executions", db_index=False
    )
    entity = models.ForeignKey(Entity, models.DO_NOTHING, related_name="executions", db_index=False)
    parent = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, related_name="children", db_index=False
    )
    root = models.ForeignKey(
        "self",
        models.CASCADE,
        null=True,
        blank=True,
        related_name="descendants",
        db_index=False,
        help_text="The execution that the whole tree was started with; empty on that one.",
    )
    status = models.CharField(max_length=32, choices=Status.choices, default=Status.ACTIVE)
    context_key = models.TextField(editable=False)
    live = models.GeneratedField(
        expression=Case(When(status__in=LIVE, then=Value(True)), default=Value(False)),
        output_field=BooleanField(),
        db_persist=True,
    )
    live_key = models.GeneratedField(
        expression=Case(When(status__in=LIVE, then=F("context_key")), default=Value(None)),
        output_field=TextField(null=True),
        db_persist=True,
    )
    stage = models.CharField(
        max_length=200, blank=True, help_text="How far it has come, as the workflow tells it."
    )
    progress = models.FloatField(null=True, blank=True, help_text="In percent.")
    message = models.TextField(blank=True, help_text="Why it failed or was cancelled.")
    started_at = models.DateTimeField()
    updated_at = models.DateTimeField(
        default=timezone.now,
        db_default=Now(),
        help_text="When it, or of a root anything that it has started, went on last.",
    )
    scheduled_for = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    started_by_name = account_name()

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-pk"]
        permissions: ClassVar = [("submit_execution", "Can fill in forms and vote")]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status__in=[*LIVE, "completed", "failed", "cancelled"]),
                name="executions_execution_status",
            ),
            models.UniqueConstraint(fields=["cuid"], name="executions_execution_cuid"),
            KeyTarget(fields=["id", "live"], name="executions_execution_live"),
            CompositeForeignKey(
                name="executions_execution_version_fk",
                fields=["version", "workflow", "live_key"],
                to_fields=["id", "workflow", "held_key"],
            ),
            CompositeForeignKey(
                name="executions_execution_entity_fk",
                fields=["entity", "live_key"],
                to_fields=["id", "context_key"],
            ),
        ]
        indexes: ClassVar = [
            # One for all of them and those that are live: each partial index costs every write.
            models.Index(fields=["version", "live_key"], name="executions_of_version"),
            models.Index(fields=["entity", "live_key"], name="executions_of_entity"),
            models.Index(
                fields=["workflow", "id"],
                condition=Q(live_key__isnull=False),
                name="executions_live_workflow",
            ),
            # What lists are ordered by and filtered by, each with what tells equals apart.
            models.Index(fields=["workflow", "id"], name="executions_by_workflow"),
            models.Index(fields=["status", "id"], name="executions_by_status"),
            models.Index(fields=["started_at", "id"], name="executions_by_start"),
            models.Index(
                fields=["ended_at", "id"],
                condition=Q(ended_at__isnull=False),
                name="executions_by_end",
            ),
            # Written at each advance, where any other index would have all of them written.
            SummaryIndex(fields=["updated_at"], name="executions_by_update"),
            # Most have neither.
            models.Index(
                fields=["parent"], condition=Q(parent__isnull=False), name="executions_children"
            ),
            models.Index(
                fields=["root"], condition=Q(root__isnull=False), name="executions_descendants"
            ),
        ]

    def __str__(self) -> str:
        return self.cuid

    def clean(self) -> None:
        """Raises ``guards.ExecutionFrozen`` or ``guards.Ended`` for what cannot be changed."""
        super().clean()
        if self.pk:
            guards.refuse_frozen(self, self.FROZEN, None)

    @property
    def starter(self) -> str:
        """The name of the account that started it; it outlives the account."""
        return name_of(self, "started_by")

    @property
    def root_or_self_id(self) -> int:
        """The id of the execution that the whole tree was started with."""
        return self.root_id or self.pk

    def get_workflow_manager(self) -> WorkflowManager:
        """What walks this execution, on the graph and the context that it started with.

        Raises:
            graph.WorkflowValidationError: the frozen source itself is damaged.
        """
        from executions.engine.manager import WorkflowManager

        return WorkflowManager(self.version)
