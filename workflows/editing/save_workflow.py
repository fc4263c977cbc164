"""One save of a workflow: judged, locked, judged again, written, followed up."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.exceptions import NON_FIELD_ERRORS, ObjectDoesNotExist, ValidationError

from workflows import guards
from workflows.audit.audited_model import changed
from workflows.audit.log import record, values_of
from workflows.db import locks
from workflows.editing.context_edit import ContextChange, lock_for_edit
from workflows.models.creation_trigger import on_field, takers
from workflows.models.types import CONTEXT_FIELDS, Context
from workflows.models.version import Version, release_superseded
from workflows.models.workflow import Workflow
from workflows.refusals import Attempt


class WorkflowEdit:
    """One save of a workflow that is there already: what it changes, and what that takes."""

    def __init__(
        self,
        workflow: Workflow,
        stored: Workflow,
        using: str,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        self.workflow = workflow
        self.stored_row = stored
        self.using = using
        self.update_fields = None if update_fields is None else set(update_fields)
        self.context = self._context_after()
        self.state = workflow.state if self._writes("state") else stored.state
        self.trigger = workflow.trigger if self._writes("trigger") else stored.trigger
        self.trigger_data = (
            workflow.trigger_data if self._writes("trigger_data") else stored.trigger_data
        )
        self.change = ContextChange([stored], self.context, using, starting=self._starts)

    @staticmethod
    def stored(pk: int | None, using: str) -> Workflow | None:
        """The workflow as the database has it now."""
        if pk is None:
            return None
        return (
            Workflow._base_manager.using(using)
            .select_related("entity_name_type", "primary_record_type")
            .filter(pk=pk)
            .first()
        )

    def _writes(self, name: str) -> bool:
        return self.update_fields is None or bool({name, f"{name}_id"} & self.update_fields)

    def _context_after(self) -> Context:
        rows = [self.workflow if self._writes(name) else self.stored_row for name in CONTEXT_FIELDS]
        try:
            finding_type = rows[1].entity_name_type
            record_type = rows[2].primary_record_type
        except ObjectDoesNotExist:
            raise guards.NoSuchType from None
        kind = finding_type if rows[0].entity_name == "Finding" else record_type
        return Context(
            rows[0].entity_name,
            rows[1].entity_name_type_id,
            rows[2].primary_record_type_id,
            kind.cuid if kind else "",
        )

    @property
    def is_judged(self) -> bool:
        """Whether the save touches anything that an execution could stand on."""
        return bool(self.change.workflows) or self.state != self.stored_row.state

    @property
    def _starts(self) -> bool:
        created = self.trigger == Workflow.Trigger.CREATED
        return created and self.state != Workflow.State.RETIRED

    @property
    def _retires(self) -> bool:
        retired = Workflow.State.RETIRED
        return self.state == retired and self.stored_row.state != retired

    @property
    def _returns(self) -> bool:
        retired = Workflow.State.RETIRED
        return self.state != retired and self.stored_row.state == retired

    def judge(self) -> None:
        """Raises the refusal of the first rule that the edit would break; it knows the edit."""
        try:
            self._judge()
        except guards.Refusal as refusal:
            refusal.attempts = self.changes()
            raise

    def _judge(self) -> None:
        if self._writes("cuid") and self.workflow.cuid != self.stored_row.cuid:
            guards.refuse_bulk_write(["cuid"])
        if self.change.workflows:
            guards.refuse_context_shape(self.workflow)
            self.change.judge()
        if self._retires:
            latest = Version.objects.using(self.using).filter(in_force=True).latest_of_each()
            callers = (
                Workflow._base_manager.using(self.using)
                .filter(versions__in=latest.filter(references__callee=self.workflow))
                .exclude(state=Workflow.State.RETIRED)
                .exclude(pk=self.workflow.pk)
            )
            guards.refuse_referenced(callers, edit="retire")
        if self._returns:
            self._judge_return()
        self._judge_trigger()
        if self.state == Workflow.State.ACTIVE:
            self._judge_secrets()

    def _judge_secrets(self) -> None:
        """What an active workflow and its trigger name exists; a draft may wait for it."""
        stored = self.stored_row
        if stored.state != Workflow.State.ACTIVE:
            guards.refuse_unknown_secrets(stored.latest_version.source)
        elif (self.trigger, self.trigger_data) == (stored.trigger, stored.trigger_data):
            return
        guards.refuse_unknown_secret_of_trigger(self)

    def _judge_trigger(self) -> None:
        stored = self.stored_row
        # As text: to Python, true equals 1.
        if (self.trigger, repr(self.trigger_data)) != (stored.trigger, repr(stored.trigger_data)):
            guards.refuse_trigger(self)
        if self._starts and not stored.starts_on_creation:
            guards.refuse_taken(takers(self.using, [self.context.key], [stored.pk]))

    def _judge_return(self) -> None:
        """A retired workflow's callees may have changed or retired since it was let go."""
        latest = self.stored_row.latest_version
        callees = {
            row.cuid: row
            for row in Workflow._base_manager.using(self.using)
            .filter(callers__version=latest)
            .select_related("entity_name_type", "primary_record_type")
        }
        guards.refuse_calls(latest.source, self.context, callees)

    def explain(self) -> None:
        """``judge()`` for a form: the refusal stands on the field that was changed."""
        try:
            with on_field():
                self.judge()
        except guards.Refusal as refusal:
            field: str = NON_FIELD_ERRORS
            if self.change.workflows:
                field = self.change.field
            elif self.state != self.stored_row.state:
                field = "state"
            raise ValidationError({field: refusal}) from None

    def under_lock(self) -> WorkflowEdit:
        """Take the locks of an editor and look again.

        Raises ``guards.Gone`` when the workflow has been deleted meanwhile.
        """
        if self.is_judged:
            lock_for_edit([self.workflow.pk], self.using)
        else:
            rows = Workflow._base_manager.using(self.using)
            locks.lock_rows(rows.all(), [self.workflow.pk], locks.Strength.NO_KEY_UPDATE)
        stored = self.stored(self.workflow.pk, self.using)
        if stored is None:
            raise guards.Gone(f"The workflow “{self.workflow}” has been deleted.")
        again = WorkflowEdit(self.workflow, stored, self.using, self.update_fields)
        if again.is_judged and not self.is_judged:
            # Others changed what this instance would now change back.
            raise locks.TryAgain
        return again

    def enforce(self) -> None:
        """Judge under the lock, and release what binds the workflow to its old context."""
        self.judge()
        if self.change.workflows:
            self.change.make_way()

    def changes(self) -> list[Attempt]:
        """What the save changes, or would, for the audit log."""
        before = values_of(self.stored_row)
        return changed(self.workflow, before, values_of(self.workflow, self.update_fields))

    def follow_up(self) -> None:
        """After the write: the version with the new context, what a change of state takes, and
        the entry in the audit log.
        """
        if self.change.workflows:
            self.change.roll_forward()
        if self._retires:
            release_superseded([self.workflow.pk], self.using)
        if self._returns:
            latest = self.workflow.latest_version
            Version._base_manager.using(self.using).filter(pk=latest.pk, in_force=False).update(
                in_force=True
            )
            # Whoever retires or deletes one in an older snapshot does not see that it is called.
            callees = Workflow._base_manager.using(self.using).filter(callers__version=latest)
            locks.outdate(callees, "updated_at")
        record(self.changes(), using=self.using)
