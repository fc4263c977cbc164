"""Workflows: live settings and frozen versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Protocol

from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from workflows import guards, trigger_types
from workflows.audit.audited_model import Audited, AuditedQuerySet, bulk_attempts
from workflows.audit.log import recording_refusals
from workflows.db import locks
from workflows.db.composite_keys import KeyTarget
from workflows.db.cuid import LENGTH, new_cuid
from workflows.models import call_queries
from workflows.models.types import EntityContext

CHANGE_CONTEXT = "workflows.change_entity_context"
"""The permission to change the entity context of workflows, through any interface."""


class WorkflowEdits(Protocol):
    """The edits of workflows; ``workflows.editing.save_workflow`` is registered at app start."""

    def explain(self, workflow: Workflow) -> None:
        """Raise ``ValidationError`` with the guard's refusal on the field that was changed."""

    def save(
        self, workflow: Workflow, write: Callable[[], None], update_fields: Iterable[str] | None
    ) -> None:
        """Judge and save a workflow; append a version if its context changes; record the edit.

        Args:
            workflow: the workflow as it is to be saved.
            write: writes its row.
            update_fields: the names of the fields that are written; None for all.

        Raises:
            guards.Refusal: the edit would break something.
        """

    def refuse_new(self, workflows: Sequence[Workflow]) -> None:
        """Raise the guard's refusal when one of these new workflows has an invalid trigger."""

    def append_first_versions(self, workflows: Iterable[Workflow]) -> None:
        """Give each of these workflows its version 1."""


class WorkflowQuerySet(AuditedQuerySet):
    """Workflows; bulk statements do not change context, state and trigger."""

    def update(self, **kwargs: Any) -> int:
        """Update workflows. ``bulk_update`` and the asynchronous methods call this one.

        Raises:
            guards.UseTheService: it would write the entity context, the state or the trigger.
        """
        with recording_refusals(lambda: bulk_attempts(self, kwargs)):
            guards.refuse_bulk_write(kwargs)
        return super().update(**kwargs)

    def bulk_create(
        self,
        objs: Iterable[Workflow],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Any = None,
        unique_fields: Any = None,
    ) -> list[Workflow]:
        """Create workflows, each with its version 1.

        Raises:
            guards.UseTheService: a conflict would update a field that bulk statements may not
                write.
            guards.InvalidTrigger, guards.TriggerTaken: one of the triggers is not possible.
        """
        rows = list(objs)
        names = update_fields or ()
        with recording_refusals(lambda: bulk_attempts(rows, dict.fromkeys(names))):
            guards.refuse_bulk_write(names)
            Workflow.edits.refuse_new(rows)
        with transaction.atomic():
            created = super().bulk_create(
                rows, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
            )
            cuids = [row.cuid for row in created]
            Workflow.edits.append_first_versions(self.filter(cuid__in=cuids, versions=None))
        return created

    def _lock_for_deletion(self) -> None:
        lock_for_deletion(self.values_list("pk", flat=True))


class Workflow(Audited, EntityContext):
    """A workflow's live settings. Everything that executions need is frozen into its versions."""

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("Manual")
        CREATED = "created", _("When an entity is created")
        CHANGED = "changed", _("When a field changes")
        WEBHOOK = "webhook", _("Signed webhook")
        SCHEDULE = "schedule", _("On a schedule")

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        ACTIVE = "active", _("Active")
        RETIRED = "retired", _("Retired")

    cuid = models.CharField("ID", max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    trigger = models.CharField(
        max_length=32,
        choices=Trigger.choices,
        default=Trigger.MANUAL,
        help_text=_(
            "Starts the workflow while it is active. Users can always start it manually as well."
        ),
    )
    trigger_data = models.JSONField(
        default=dict,
        blank=True,
        help_text=_(
            'When a field changes: {"fields": ["severity"], "rule": {"field": "severity", '
            '"op": "gte", "value": 3}}; both are optional, and a rule has the form of a '
            'condition. Signed webhook: {"secret": "NAME"}. On a schedule: {"cron": "0 9 1 */3 *"} '
            'or {"every": "P1Y", "from_field": "validated_on"}, each with an optional rule. '
            "Other triggers: {}."
        ),
    )
    state = models.CharField(
        max_length=32, choices=State.choices, default=State.DRAFT, db_index=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = WorkflowQuerySet.as_manager()

    edits: ClassVar[WorkflowEdits]

    _is_checked = False
    """True while ``edits.save`` writes the row, so that the signal does not judge it again."""

    class Meta:
        ordering: ClassVar = ["title", "pk"]
        permissions: ClassVar = [
            ("change_entity_context", "Can change the finding type of workflows, now or on hold")
        ]
        constraints: ClassVar = [
            *EntityContext.Meta.constraints,
            KeyTarget(fields=["id", "context_key"], name="workflows_workflow_context"),
            models.CheckConstraint(
                condition=models.Q(state__in=["draft", "active", "retired"]),
                name="workflows_workflow_state",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    trigger__in=["manual", "created", "changed", "webhook", "schedule"]
                ),
                name="workflows_workflow_trigger",
            ),
            models.UniqueConstraint(
                fields=["context_key"],
                condition=models.Q(trigger="created") & ~models.Q(state="retired"),
                name="workflows_workflow_created",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["context_key"],
                condition=models.Q(trigger="changed", state="active"),
                name="workflows_workflow_changed",
            )
        ]

    def __str__(self) -> str:
        return self.title or self.cuid

    @property
    def starts_on_creation(self) -> bool:
        """Return True if the workflow starts when an entity of its type is created."""
        return self.trigger == self.Trigger.CREATED and self.state != self.State.RETIRED

    @property
    def latest_version(self) -> Any:
        """Return the version with the highest number, which a new execution would run."""
        return self.versions.order_by("-number").first()

    def active_execution_count(self) -> int:
        """Count the live executions of all versions of this workflow."""
        return int(self.executions.live().count())

    def get_workflow_dependencies(self) -> dict[str, list[dict[str, Any]]]:
        """Return the workflows that call this one and those that it calls, also through others.

        Latest versions count, and older ones that live executions run or have pinned.

        Returns:
            ``{"dependent_workflows": [...], "referenced_workflows": [...]}``, each entry
            ``{"cuid", "title", "direct", "live_executions"}``, by title.
        """
        callers = self.callers.filter(in_force=True).values_list("version__workflow_id", flat=True)
        callees = self.versions.filter(references__in_force=True).values_list(
            "references__callee_id", flat=True
        )
        return {
            "dependent_workflows": self._describe(
                call_queries.follow_calls([self.pk], "callers", in_use=True), set(callers)
            ),
            "referenced_workflows": self._describe(
                call_queries.follow_calls([self.pk], "callees", in_use=True), set(callees)
            ),
        }

    def _describe(self, ids: list[int], direct: set[int]) -> list[dict[str, Any]]:
        rows = (
            Workflow._base_manager.filter(pk__in=[pk for pk in ids if pk != self.pk])
            .annotate(live=models.Count("executions", filter=models.Q(executions__live=True)))
            .order_by("title", "pk")
        )
        return [
            {
                "cuid": row.cuid,
                "title": row.title,
                "direct": row.pk in direct,
                "live_executions": row.live,
            }
            for row in rows
        ]

    def clean(self) -> None:
        """Raise ``ValidationError`` with the guard's refusal on the field that was changed."""
        with self._adding_attempts():
            super().clean()
            self.edits.explain(self)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the workflow.

        A new workflow gets its version 1. A change of context appends a version with the new
        context.

        Raises:
            guards.Refusal: the edit would break something; it names the blockers.
        """
        super().save(*args, **kwargs)

    @locks.retrying
    def _save(self, *args: Any, **kwargs: Any) -> None:
        def write() -> None:
            self._write(*args, **kwargs)

        self.edits.save(self, write, kwargs.get("update_fields"))

    def _write(self, *args: Any, **kwargs: Any) -> None:
        names = kwargs.get("update_fields")
        if names is None or "trigger_data" in names:
            self.trigger_data = trigger_types.normalize(self.trigger, self.trigger_data)
        super()._write(*args, **kwargs)

    def refuse_deletion(self) -> None:
        """Lock the workflow and judge its deletion.

        Raises:
            guards.HasCallers: a stored version calls it.
            guards.HasExecutions: executions have run on it.
        """
        lock_for_deletion([self.pk])
        rows = Workflow._base_manager.filter(versions__references__callee=self)
        guards.refuse_referenced(rows.exclude(pk=self.pk).distinct(), edit="delete")
        guards.refuse_executions(self.executions.all())

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the workflow. Raises what ``refuse_deletion`` raises."""
        return super().delete(*args, **kwargs)

    def _lock_for_deletion(self) -> None:
        lock_for_deletion([self.pk] if self.pk else [])


def lock_for_deletion(ids: Iterable[int]) -> None:
    """Lock workflows before Django collects their versions, so that it misses none of them."""
    locks.limit_wait()
    locks.lock_rows(Workflow._base_manager.all(), ids, locks.Strength.UPDATE)
