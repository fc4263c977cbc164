"""Workflows: settings that are live, beside versions that are frozen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models, router, transaction

from workflows import guards, trigger_types
from workflows.audit.audited_model import Audited, AuditedQuerySet, bulk_attempts
from workflows.audit.log import attempting, record
from workflows.db import locks
from workflows.db.composite_keys import KeyTarget
from workflows.db.cuid import LENGTH, new_cuid
from workflows.graph import START_TO_END
from workflows.models.creation_trigger import explaining_taken, on_field, refuse_new
from workflows.models.types import EntityContext

if TYPE_CHECKING:
    from workflows.editing.save_workflow import WorkflowEdit

CHANGE_CONTEXT = "workflows.change_entity_context"
"""The permission to change what a workflow works on, by whichever door."""


class WorkflowQuerySet(AuditedQuerySet):
    """Workflows; context, state and trigger do not change through bulk statements."""

    def update(self, **kwargs: Any) -> int:
        """Raises ``guards.UseTheService`` for the entity context, the state and the trigger.

        ``bulk_update`` and the asynchronous twins come through here.
        """
        with attempting(lambda: bulk_attempts(self, kwargs), using=self.db):
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

        Raises ``guards.UseTheService`` when conflicts would update what a bulk statement may
        not write, ``guards.InvalidTrigger`` and ``guards.TriggerTaken`` for what starts them.
        """
        from workflows.models.version import append_version

        rows = list(objs)
        names = update_fields or ()
        with attempting(lambda: bulk_attempts(rows, dict.fromkeys(names)), using=self.db):
            guards.refuse_bulk_write(names)
            refuse_new(rows, self.db)
        with transaction.atomic(using=self.db):
            created = super().bulk_create(
                rows, batch_size, ignore_conflicts, update_conflicts, update_fields, unique_fields
            )
            for workflow in self.filter(cuid__in=[row.cuid for row in created], versions=None):
                append_version(workflow, START_TO_END)
        return created

    def _lock_for_deletion(self) -> None:
        lock_for_deletion(list(self.values_list("pk", flat=True)), self.db)


class Workflow(Audited, EntityContext):
    """What operators draw and run. What executions need of it is frozen into versions."""

    class Trigger(models.TextChoices):
        MANUAL = "manual", "By hand"
        CREATED = "created", "When an entity is created"
        CHANGED = "changed", "When a field changes"
        WEBHOOK = "webhook", "By a signed webhook"

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        ACTIVE = "active", "Active"
        RETIRED = "retired", "Retired"

    cuid = models.CharField(max_length=LENGTH, unique=True, default=new_cuid, editable=False)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    trigger = models.CharField(
        max_length=32,
        choices=Trigger.choices,
        default=Trigger.MANUAL,
        help_text="What starts it while it is active. A person may start it whatever stands here.",
    )
    trigger_data = models.JSONField(
        default=dict,
        blank=True,
        help_text='When a field changes: {"fields": ["severity"], "rule": {"field": "severity", '
        '"op": "gte", "value": 3}}, both may be left out; a rule is what a condition has. By a '
        'signed webhook: {"secret": "NAME"}. Otherwise {}.',
    )
    state = models.CharField(
        max_length=32, choices=State.choices, default=State.DRAFT, db_index=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = WorkflowQuerySet.as_manager()

    _edit: WorkflowEdit | None = None

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
                condition=models.Q(trigger__in=["manual", "created", "changed", "webhook"]),
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
        """Whether it has its type's only registration for what is created."""
        return self.trigger == self.Trigger.CREATED and self.state != self.State.RETIRED

    @property
    def latest_version(self) -> Any:
        """The version with the highest number; a new execution would run it."""
        return self.versions.order_by("-number").first()

    def active_execution_count(self) -> int:
        """How many live executions run any version of this workflow."""
        return int(self.executions.live().count())

    def get_workflow_dependencies(self) -> dict[str, list[dict[str, Any]]]:
        """Who calls this workflow and whom it calls, directly or through others.

        Latest versions count, and older ones that a live execution holds.

        Returns:
            ``{"dependent_workflows": [...], "referenced_workflows": [...]}``, each entry
            ``{"cuid", "title", "direct", "live_executions"}``, by title.
        """
        from workflows.models.dependencies import dependencies

        return dependencies(self)

    def clean(self) -> None:
        """Raises a ``ValidationError`` with the guard's refusal on the field that changed."""
        from workflows.editing.save_workflow import WorkflowEdit

        with self._explaining():
            super().clean()
            using = self._state.db or router.db_for_read(Workflow, instance=self)
            stored = WorkflowEdit.stored(self.pk, using)
            if stored is not None:
                WorkflowEdit(self, stored, using).explain()
            else:
                with on_field():
                    refuse_new([self], using)

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a legal change of context leaves a new version with it, a new workflow has one.

        Raises:
            guards.Refusal: what the edit would break, with its blockers.
        """
        super().save(*args, **kwargs)

    def _write(self, database: str, *args: Any, **kwargs: Any) -> None:
        names = kwargs.get("update_fields")
        if names is None or "trigger_data" in names:
            self.trigger_data = trigger_types.normalized(self.trigger, self.trigger_data)
        super()._write(database, *args, **kwargs)

    @locks.retrying
    def _save(self, database: str, *args: Any, **kwargs: Any) -> None:
        from workflows.editing.save_workflow import WorkflowEdit

        if self._state.adding and not WorkflowEdit.stored(self.pk, database):
            self._save_new(database, *args, **kwargs)
        else:
            self._save_edit(database, *args, **kwargs)

    def _save_new(self, database: str, *args: Any, **kwargs: Any) -> None:
        from workflows.models.version import append_version

        with explaining_taken(lambda: refuse_new([self], database)), transaction.atomic(database):
            guards.refuse_context_shape(self)
            refuse_new([self], database)
            self._write(database, *args, **kwargs)
            append_version(self, START_TO_END)
            record(self._changes(None, None), using=database)

    def _save_edit(self, database: str, *args: Any, **kwargs: Any) -> None:
        from workflows.editing.save_workflow import WorkflowEdit

        def edited() -> WorkflowEdit:
            stored = WorkflowEdit.stored(self.pk, database)
            if stored is None:
                raise guards.Gone(f"The workflow “{self}” has been deleted.")
            edit = WorkflowEdit(self, stored, database, kwargs.get("update_fields"))
            edit.judge()
            return edit

        with explaining_taken(edited), transaction.atomic(using=database):
            edit = edited().under_lock()
            self._edit = edit
            try:
                self._write(database, *args, **kwargs)
            finally:
                self._edit = None
            edit.follow_up()
        # Generated by the database: read again when somebody asks.
        self.__dict__.pop("context_key", None)

    def refuse_deletion(self) -> None:
        """Raises ``guards.Referenced`` or ``guards.HasExecutions``; takes the workflow's lock."""
        using = self._state.db or "default"
        rows = Workflow._base_manager.using(using)
        lock_for_deletion([self.pk], using)
        callers = rows.filter(versions__references__callee=self).exclude(pk=self.pk).distinct()
        guards.refuse_referenced(callers, edit="delete")
        guards.refuse_used(self.executions.all())

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ``guards.Referenced`` or ``guards.HasExecutions``."""
        return super().delete(*args, **kwargs)

    def _lock_for_deletion(self, database: str) -> None:
        lock_for_deletion([self.pk] if self.pk else [], database)


def lock_for_deletion(ids: Iterable[int], using: str) -> None:
    """Lock workflows that are to go, before their versions are collected: what was saved
    meanwhile goes with them.
    """
    locks.limit_wait(using)
    rows = Workflow._base_manager.using(using)
    locks.lock_rows(rows.all(), ids, locks.Strength.UPDATE)
