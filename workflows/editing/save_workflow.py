"""Saving a workflow: judge, lock, judge again, write, append a version, record.

This module implements ``workflows.models.workflow.WorkflowEdits``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, ValidationError
from django.db import transaction

from workflows import guards
from workflows.audit.audited_model import change_attempts
from workflows.audit.log import Action, make_attempt, read_values, record
from workflows.db import locks
from workflows.editing.context_change import ContextChange, lock_for_edit
from workflows.editing.creation_trigger import (
    attach_to_trigger_field,
    explain_taken_trigger,
    find_creation_workflows,
    refuse_new,
)
from workflows.graph import START_TO_END
from workflows.models import Version, Workflow
from workflows.models.types import CONTEXT_FIELDS, Context
from workflows.models.version import append_version, release_superseded
from workflows.refusals import Attempt

__all__ = ["WorkflowEdit", "append_first_versions", "explain", "refuse_new", "save"]


def explain(workflow: Workflow) -> None:
    """Raise ``ValidationError`` with the guard's refusal on the field that was changed."""
    edit = WorkflowEdit.read(workflow)
    if edit is not None:
        edit.explain()
        return
    with attach_to_trigger_field():
        refuse_new([workflow])


def save(
    workflow: Workflow, write: Callable[[], None], update_fields: Iterable[str] | None
) -> None:
    """Judge and save a workflow; append a version if its context changes; record the edit.

    Args:
        workflow: the workflow as it is to be saved.
        write: writes its row.
        update_fields: the names of the fields that are written; None for all.

    Raises:
        guards.Refusal: the edit would break something.
    """
    if workflow._state.adding and WorkflowEdit.read(workflow) is None:
        _save_new(workflow, write)
    else:
        _save_changes(workflow, write, update_fields)


def append_first_versions(workflows: Iterable[Workflow]) -> None:
    """Give each of these workflows its version 1."""
    for workflow in workflows:
        append_version(workflow, START_TO_END)


def _save_new(workflow: Workflow, write: Callable[[], None]) -> None:
    with explain_taken_trigger(lambda: refuse_new([workflow])), transaction.atomic():
        guards.refuse_context_shape(workflow)
        refuse_new([workflow])
        write()
        append_first_versions([workflow])
        record([make_attempt(workflow, Action.CREATED, after=read_values(workflow))])


def _save_changes(
    workflow: Workflow, write: Callable[[], None], update_fields: Iterable[str] | None
) -> None:
    def judge() -> WorkflowEdit:
        edit = WorkflowEdit.read(workflow, update_fields)
        if edit is None:
            raise guards.workflow_deleted(workflow)
        edit.judge()
        return edit

    with explain_taken_trigger(judge), transaction.atomic():
        edit = judge().lock()
        edit.judge()
        edit.release_versions()
        workflow._is_checked = True
        try:
            write()
        finally:
            workflow._is_checked = False
        edit.update_versions()
        record(edit.attempts())
    # The database generates it, and an update does not return it: it is read when it is needed.
    workflow.__dict__.pop("context_key", None)


class WorkflowEdit:
    """The changes that one save makes to a stored workflow."""

    def __init__(
        self, workflow: Workflow, stored: Workflow, update_fields: Iterable[str] | None = None
    ) -> None:
        """Compare the workflow that is to be saved with the stored one.

        Args:
            workflow: the workflow as it is to be saved.
            stored: the workflow as it is in the database.
            update_fields: the names of the fields that are written; None for all.
        """
        self.workflow = workflow
        self.stored = stored
        self.update_fields = None if update_fields is None else set(update_fields)
        self.context = self._new_context()
        self.state = self._source_of("state").state
        self.trigger = self._source_of("trigger").trigger
        self.trigger_data = self._source_of("trigger_data").trigger_data
        self.context_change = ContextChange(
            [stored], self.context, starts_on_creation=self._starts_on_creation
        )

    @classmethod
    def read(
        cls, workflow: Workflow, update_fields: Iterable[str] | None = None
    ) -> WorkflowEdit | None:
        """Compare the workflow with the database; return None if it is not stored."""
        if workflow.pk is None:
            return None
        rows = Workflow._base_manager.select_related("entity_name_type", "primary_record_type")
        stored = rows.filter(pk=workflow.pk).first()
        return None if stored is None else cls(workflow, stored, update_fields)

    def _writes(self, name: str) -> bool:
        return self.update_fields is None or bool({name, f"{name}_id"} & self.update_fields)

    def _source_of(self, name: str) -> Workflow:
        return self.workflow if self._writes(name) else self.stored

    def _new_context(self) -> Context:
        # A save may write only some of the fields, so each one has a source of its own.
        by_name, by_finding_type, by_record_type = map(self._source_of, CONTEXT_FIELDS)
        try:
            finding_type = by_finding_type.entity_name_type
            record_type = by_record_type.primary_record_type
        except ObjectDoesNotExist:
            raise guards.NoSuchType from None
        entity_name = by_name.entity_name
        own_type = finding_type if entity_name == "Finding" else record_type
        return Context(
            entity_name,
            by_finding_type.entity_name_type_id,
            by_record_type.primary_record_type_id,
            own_type.cuid if own_type else "",
        )

    @property
    def concerns_executions(self) -> bool:
        """Return True if the save changes the context or the state."""
        return bool(self.context_change.workflows) or self.state != self.stored.state

    @property
    def _starts_on_creation(self) -> bool:
        created = self.trigger == Workflow.Trigger.CREATED
        return created and self.state != Workflow.State.RETIRED

    @property
    def _retires(self) -> bool:
        retired = Workflow.State.RETIRED
        return self.state == retired and self.stored.state != retired

    @property
    def _reactivates(self) -> bool:
        retired = Workflow.State.RETIRED
        return self.state != retired and self.stored.state == retired

    # Judgement

    def judge(self) -> None:
        """Raise the refusal of the first rule that the edit would break, with its changes."""
        try:
            self._judge()
        except guards.Refusal as refusal:
            refusal.attempts = self.attempts()
            raise

    def _judge(self) -> None:
        if self._writes("cuid") and self.workflow.cuid != self.stored.cuid:
            guards.refuse_bulk_write(["cuid"])
        if self.context_change.workflows:
            guards.refuse_context_shape(self.workflow)
            guards.refuse_context_change(self.context_change, drained=False)
        if self._retires:
            self._judge_retirement()
        if self._reactivates:
            self._judge_calls()
        self._judge_trigger()
        if self.state == Workflow.State.ACTIVE:
            self._judge_secrets()

    def _judge_retirement(self) -> None:
        latest = Version.objects.filter(in_force=True).latest_of_each()
        callers = (
            Workflow._base_manager.filter(
                versions__in=latest.filter(references__callee=self.workflow)
            )
            .exclude(state=Workflow.State.RETIRED)
            .exclude(pk=self.workflow.pk)
        )
        guards.refuse_referenced(callers, edit="retire")

    def _judge_calls(self) -> None:
        # The callees may have changed or retired while the workflow was retired.
        latest = self.stored.latest_version
        rows = Workflow._base_manager.filter(callers__version=latest)
        callees = {
            row.cuid: row for row in rows.select_related("entity_name_type", "primary_record_type")
        }
        guards.refuse_calls(latest.source, self.context, callees)

    def _judge_trigger(self) -> None:
        stored = self.stored
        # Compared as text, because in Python True equals 1.
        if (self.trigger, repr(self.trigger_data)) != (stored.trigger, repr(stored.trigger_data)):
            guards.refuse_trigger(self)
        if self._starts_on_creation and not stored.starts_on_creation:
            guards.refuse_taken_trigger(
                find_creation_workflows([self.context.key], without=[stored.pk])
            )

    def _judge_secrets(self) -> None:
        # A draft may name secrets that do not exist yet.
        stored = self.stored
        if stored.state != Workflow.State.ACTIVE:
            guards.refuse_unknown_secrets(stored.latest_version.source)
        elif (self.trigger, self.trigger_data) == (stored.trigger, stored.trigger_data):
            return
        guards.refuse_unknown_secret_of_trigger(self)

    def explain(self) -> None:
        """Judge for a form: raise ``ValidationError`` with the refusal on the changed field."""
        try:
            with attach_to_trigger_field():
                self.judge()
        except guards.Refusal as refusal:
            field: str = NON_FIELD_ERRORS
            if self.context_change.workflows:
                field = self.context_change.field
            elif self.state != self.stored.state:
                field = "state"
            raise ValidationError({field: refusal}) from None

    # Steps

    def lock(self) -> WorkflowEdit:
        """Take the locks of an editor and read the stored workflow again.

        Raises:
            guards.RowDeleted: the workflow has been deleted.
        """
        if self.concerns_executions:
            lock_for_edit([self.workflow.pk])
        else:
            rows = Workflow._base_manager.all()
            locks.lock_rows(rows, [self.workflow.pk], locks.Strength.NO_KEY_UPDATE)
        edit = WorkflowEdit.read(self.workflow, self.update_fields)
        if edit is None:
            raise guards.workflow_deleted(self.workflow)
        if edit.concerns_executions and not self.concerns_executions:
            # Somebody has changed a field that this save would now change back.
            raise locks.TryAgain
        return edit

    def release_versions(self) -> None:
        """Release the versions that bind the workflow to its old context."""
        if self.context_change.workflows:
            self.context_change.release_versions()

    def update_versions(self) -> None:
        """After the write: append a version with a new context; follow a change of state."""
        if self.context_change.workflows:
            self.context_change.append_versions()
        if self._retires:
            release_superseded([self.workflow.pk])
        if self._reactivates:
            latest = self.workflow.latest_version
            Version._base_manager.filter(pk=latest.pk, in_force=False).update(in_force=True)
            # An edit that retires or deletes a callee in an older snapshot does not see the calls.
            callees = Workflow._base_manager.filter(callers__version=latest)
            locks.outdate(callees, "updated_at")

    def attempts(self) -> list[Attempt]:
        """Return the changes of the save for the audit log."""
        before = read_values(self.stored)
        return change_attempts(
            self.workflow, before, read_values(self.workflow, self.update_fields)
        )
