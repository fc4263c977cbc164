"""Executions: runs of a version on an entity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import BooleanField, Case, F, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from executions import guards
from executions.models.closure import Closure, ClosureMember
from executions.models.entity import Entity
from executions.workflow_manager import WorkflowManager
from workflows.db.bounded_count import ids_or_query
from workflows.db.composite_keys import CompositeForeignKey, SummaryIndex
from workflows.db.cuid import LENGTH, new_cuid
from workflows.db.json_values import storage_problem
from workflows.models import Version, Workflow
from workflows.models.account_names import account_name_field, account_name_of
from workflows.models.write_once_rows import WriteOnceQuerySet


class Status(models.TextChoices):
    """The status of an execution."""

    SCHEDULED = "scheduled", "Scheduled"
    ACTIVE = "active", "Active"
    WAITING = "waiting", "Waiting"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


LIVE: tuple[str, ...] = (Status.SCHEDULED.value, Status.ACTIVE.value, Status.WAITING.value)
"""The statuses of live executions."""

SUBMIT = "executions.submit_execution"
"""The permission to submit forms and to vote, at steps without assignees."""
VIEW = "executions.view_execution"
VIEW_STEPS = (VIEW, "executions.view_step")
"""The permissions to read the steps of executions, with their values and files."""
OPERATE = "executions.change_execution"
"""The permission to intervene in executions: cancel, retry, skip, wake."""
START = "executions.add_execution"
"""The permission to start executions."""


LOOKED_UP = 3
"""The number of words of a search whose matching titles are looked up beforehand."""


class ExecutionQuerySet(WriteOnceQuerySet["Execution"]):
    """Executions, with filters for live ones and for a search."""

    def refuse_writing(self, names: Iterable[str]) -> None:
        """Raise ``guards.ExecutionFrozen`` for frozen fields and for the status."""
        guards.refuse_bulk_rewrite(self.model, names)

    def live(self) -> ExecutionQuerySet:
        """Return only executions that are scheduled, active or waiting."""
        return self.filter(live_key__isnull=False)

    def matching(self, words: Iterable[str]) -> ExecutionQuerySet:
        """Return only the executions that match every word: in the title of the workflow, in the
        title of the entity, or as the cuid.
        """
        found = self
        for place, word in enumerate(dict.fromkeys(words)):
            if storage_problem(word):
                return self.none()
            workflows: Any = Workflow.objects.filter(title__icontains=word)
            entities: Any = Entity.objects.filter(title__icontains=word)
            # Each lookup takes a query, and a search may have many words.
            if place < LOOKED_UP:
                workflows, entities = ids_or_query(workflows), ids_or_query(entities)
            found = found.filter(
                Q(cuid=word.lower()) | Q(workflow__in=workflows) | Q(entity__in=entities)
            )
        return found


class Execution(models.Model):
    """A run of a version. While it is live, keys bind it to the context of version and entity."""

    Status = Status
    FROZEN: ClassVar = (
        "workflow_id",
        "version_id",
        "entity_id",
        "context_key",
        "root_id",
        "parent_id",
        "closure_id",
        "item",
        "passed",
    )

    # Unique by a constraint: ``unique=True`` has PostgreSQL keep a second index for LIKE.
    cuid = models.CharField("ID", max_length=LENGTH, default=new_cuid, editable=False)
    # The composite key below covers it. A deferred key would lock at commit, out of order.
    workflow = models.ForeignKey(
        Workflow, models.DO_NOTHING, related_name="executions", db_constraint=False, db_index=False
    )
    # Their indexes below separate live and ended executions.
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
        help_text="The root of the tree of executions; empty for the root itself.",
    )
    # The composite keys below cover it.
    closure = models.ForeignKey(
        Closure,
        models.DO_NOTHING,
        null=True,
        blank=True,
        editable=False,
        related_name="executions",
        db_constraint=False,
        db_index=False,
        help_text="The pinned versions of a root; empty for children and if nothing is called.",
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
        max_length=200, blank=True, help_text="The stage that the workflow has set."
    )
    progress = models.FloatField(null=True, blank=True, help_text="The progress in percent.")
    message = models.TextField(blank=True, help_text="The reason why it failed or was cancelled.")
    started_at = models.DateTimeField()
    updated_at = models.DateTimeField(
        default=timezone.now,
        db_default=Now(),
        help_text="The time of the last change. For a root: of any execution in its tree.",
    )
    scheduled_for = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    started_by_name = account_name_field()
    item = models.PositiveIntegerField(
        null=True,
        blank=True,
        editable=False,
        help_text="For a child of a call with for_each: the index of its item, from 0.",
    )
    variables = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        editable=False,
        help_text="The data of the execution, beside the fields of its entity.",
    )
    passed = models.JSONField(
        null=True,
        blank=True,
        editable=False,
        help_text="The nodes that it passed from its start to its first wait (models.visits).",
    )

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
            CompositeForeignKey(
                name="executions_execution_closure_fk",
                fields=["closure", "live_key"],
                to_fields=["id", "context_key"],
            ),
            # Ended executions, too, keep their closure.
            CompositeForeignKey(
                name="executions_execution_closure_id_fk", fields=["closure"], to_fields=["id"]
            ),
        ]
        indexes: ClassVar = [
            # One index for all and for live ones, because each index costs every write.
            models.Index(fields=["version", "live_key"], name="executions_of_version"),
            models.Index(fields=["entity", "live_key"], name="executions_of_entity"),
            models.Index(
                fields=["workflow", "id"],
                condition=Q(live_key__isnull=False),
                name="executions_live_workflow",
            ),
            # For the orders and filters of lists, each with the id as the tie-breaker.
            models.Index(fields=["workflow", "id"], name="executions_by_workflow"),
            models.Index(fields=["status", "id"], name="executions_by_status"),
            models.Index(fields=["started_at", "id"], name="executions_by_start"),
            models.Index(
                fields=["ended_at", "id"],
                condition=Q(ended_at__isnull=False),
                name="executions_by_end",
            ),
            # Changes with each advance: a B-tree index would prevent HOT updates.
            SummaryIndex(fields=["updated_at"], name="executions_by_update"),
            # Most executions have neither.
            models.Index(
                fields=["parent"], condition=Q(parent__isnull=False), name="executions_children"
            ),
            models.Index(
                fields=["root"], condition=Q(root__isnull=False), name="executions_descendants"
            ),
            models.Index(
                fields=["closure", "live_key"],
                condition=Q(closure__isnull=False),
                name="executions_of_closure",
            ),
        ]

    def __str__(self) -> str:
        return self.cuid

    def clean(self) -> None:
        """Raise ``guards.ExecutionFrozen`` or ``guards.ExecutionEnded`` for a forbidden change."""
        super().clean()
        if self.pk:
            guards.refuse_rewrite(self, self.FROZEN, None)

    @property
    def starter(self) -> str:
        """The name of the account that started it, kept after the account is deleted."""
        return account_name_of(self, "started_by")

    @property
    def root_or_self_id(self) -> int:
        """The id of the root of the tree."""
        return self.root_id or self.pk

    @property
    def pins(self) -> QuerySet[ClosureMember]:
        """The pinned version of each callee, fixed when the root started; read-only."""
        if self.root_id is None:
            return ClosureMember.objects.filter(closure=self.closure_id)
        return ClosureMember.objects.filter(closure__executions=self.root_id)

    def get_workflow_manager(self) -> WorkflowManager:
        """Return the manager of the graph and context that this execution started with.

        Raises:
            graph.WorkflowValidationError: the frozen source is damaged.
        """
        return WorkflowManager(self.version)
