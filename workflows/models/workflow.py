"""Workflows: settings that are live, beside versions that are frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models, router, transaction

from workflows import guards, locks
from workflows.cuid import LENGTH, new_cuid
from workflows.graph import START_TO_END
from workflows.keys import KeyTarget
from workflows.models import calls
from workflows.models.types import CONTEXT_FIELDS, EntityContext

if TYPE_CHECKING:
    from workflows.models.edit import WorkflowEdit

_CONTEXT_NAMES = {*CONTEXT_FIELDS, *(f"{name}_id" for name in CONTEXT_FIELDS)}


class WorkflowQuerySet(models.QuerySet["Workflow"]):
    """Workflows; their entity context does not change through bulk statements."""

    def update(self, **kwargs: Any) -> int:
        """Raises ``guards.UseTheService`` for the entity context and the state."""
        if _CONTEXT_NAMES & set(kwargs):
            raise guards.UseTheService
        if "state" in kwargs:
            raise guards.UseTheService(
                "Change the state of a workflow with workflows.services.set_state()."
            )
        return super().update(**kwargs)


class Workflow(EntityContext):
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
    trigger = models.CharField(max_length=32, choices=Trigger.choices, default=Trigger.MANUAL)
    trigger_data = models.JSONField(default=dict, blank=True)
    state = models.CharField(
        max_length=32, choices=State.choices, default=State.DRAFT, db_index=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = WorkflowQuerySet.as_manager()

    _edit: WorkflowEdit | None = None

    class Meta:
        ordering: ClassVar = ["title", "pk"]
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
        ]

    def __str__(self) -> str:
        return self.title or self.cuid

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
        super().clean()
        if self.pk:
            from workflows.models.edit import WorkflowEdit

            using = self._state.db or router.db_for_read(Workflow, instance=self)
            stored = WorkflowEdit.stored(self.pk, using)
            if stored is not None:
                WorkflowEdit(self, stored, using).explain()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save; a legal change of context leaves a new version with it, a new workflow has one.

        Raises:
            guards.Refusal: what the edit would break, with its blockers.
        """
        from workflows.models.edit import WorkflowEdit
        from workflows.models.version import append_version

        using = kwargs.get("using") or router.db_for_write(Workflow, instance=self)
        with transaction.atomic(using=using):
            stored = WorkflowEdit.stored(self.pk, using) if self.pk else None
            if stored is None:
                guards.refuse_context_shape(self)
                super().save(*args, **kwargs)
                append_version(self, START_TO_END)
                return
            edit = WorkflowEdit(self, stored, using, kwargs.get("update_fields"))
            if edit.is_judged:
                edit.judge()
                edit = edit.under_lock()
            self._edit = edit
            try:
                super().save(*args, **kwargs)
            finally:
                self._edit = None
            edit.follow_up()

    def refuse_deletion(self) -> None:
        """Raises ``guards.Referenced`` or ``guards.HasExecutions``; takes the workflow's lock."""
        using = self._state.db or "default"
        rows = Workflow._base_manager.using(using)
        locks.lock_rows(rows.all(), [self.pk], locks.Strength.UPDATE)
        callers = rows.filter(versions__references__callee=self).exclude(pk=self.pk).distinct()
        guards.refuse_referenced(callers, edit="delete")
        guards.refuse_used(self.executions.all(), self.pins.all())

    def reaches(self, direction: calls.Direction) -> list[int]:
        """The ids of what this workflow reaches by latest versions, itself left out."""
        ids = calls.walk([self.pk], direction, self._state.db or "default")
        return [pk for pk in ids if pk != self.pk]
