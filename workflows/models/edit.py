"""Edits of settings that executions stand on: judged, made way for, followed up.

One workflow saved and a group changed together take the same steps in the same order:
judge by plain reads, lock, read again, judge, release the versions, write, append.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Exists, QuerySet

from workflows import guards, locks
from workflows.models import calls
from workflows.models.types import CONTEXT_FIELDS, Context
from workflows.models.version import (
    Reference,
    Version,
    append_version,
    later,
    release_all,
    release_superseded,
)
from workflows.models.workflow import Workflow
from workflows.refusals import BlockingWorkflow


class ContextChange:
    """A set of workflows that is to take another entity context together."""

    def __init__(self, workflows: Iterable[Workflow], context: Context, using: str) -> None:
        self.workflows = [row for row in workflows if row.context != context]
        self.ids = sorted(row.pk for row in self.workflows)
        self.context = context
        self.using = using
        self.field = next(
            (
                name
                for name, attname in zip(
                    CONTEXT_FIELDS,
                    ("entity_name", "entity_name_type_id", "primary_record_type_id"),
                    strict=True,
                )
                for row in self.workflows
                if getattr(row.context, attname) != getattr(context, attname)
            ),
            CONTEXT_FIELDS[0],
        )

    # Judged by one reading of who calls whom; after the locks, another instance reads again.

    @cached_property
    def _dependents(self) -> set[int]:
        return set(calls.walk(self.ids, "callers", self.using)) - set(self.ids)

    @cached_property
    def _connected(self) -> list[int]:
        return calls.connected(self.ids, self.context.key, self.using)

    def own_executions(self) -> QuerySet[Any]:
        """The live executions of the set."""
        own: QuerySet[Any] = self._live().filter(workflow_id__in=self.ids)
        return own

    def dependent_executions(self) -> QuerySet[Any]:
        """The live executions outside the set that can reach it."""
        live = self._live().order_by().values("pk")
        pin: Any = Workflow._meta.get_field("pins").related_model
        pins = pin.objects.using(self.using).live().order_by()
        reaching = live.filter(workflow_id__in=self._dependents).union(
            pins.filter(callee_id__in=self.ids).values("root_id"),
            live.filter(version__references__callee_id__in=self.ids),
        )
        dependent: QuerySet[Any] = self._live().filter(pk__in=reaching)
        return dependent.exclude(workflow_id__in=self.ids)

    def crossings(self) -> Sequence[guards.Crossing]:
        """The calls of latest versions across the set's border into another context."""
        calls_now = (
            Reference._base_manager.using(self.using)
            .filter(in_force=True, version__in_force=True)
            .exclude(Exists(later(self.using, "version__")))
            .exclude(version__workflow__state=Workflow.State.RETIRED)
            .select_related(
                "callee__entity_name_type",
                "callee__primary_record_type",
                "version__workflow__entity_name_type",
                "version__workflow__primary_record_type",
            )
            .defer("version__source")
            .order_by("pk")
        )
        key = self.context.key
        into = calls_now.filter(callee_id__in=self.ids).exclude(version__workflow_id__in=self.ids)
        out_of = calls_now.filter(version__workflow_id__in=self.ids).exclude(callee_id__in=self.ids)
        found = []
        for reference in out_of.exclude(callee__context_key=key):
            callee = reference.callee
            found.append(self._crossing(reference, callee, own_type_is_callers=True))
        for reference in into.exclude(version__workflow__context_key=key):
            caller = reference.version.workflow
            found.append(self._crossing(reference, caller, own_type_is_callers=False))
        return found

    def _crossing(
        self, reference: Reference, other: Workflow, *, own_type_is_callers: bool
    ) -> guards.Crossing:
        new, kept = self.context, other.described_context()
        return guards.Crossing(
            caller=_named(reference.version.workflow),
            callee=_named(reference.callee),
            caller_context=new if own_type_is_callers else kept,
            callee_context=kept if own_type_is_callers else new,
            other=_named(other),
        )

    def group(self) -> Sequence[BlockingWorkflow]:
        """The smallest set around this one that has no crossings."""
        rows = Workflow._base_manager.using(self.using).filter(pk__in=self._connected)
        rows = rows.order_by("title", "pk")
        return [_named(row) for row in rows]

    def group_executions(self) -> QuerySet[Any]:
        """The live executions of that set, beside those of this one and its dependents."""
        # All that is live on a dependent is among the dependents' already.
        beside = set(self._connected) - set(self.ids) - self._dependents
        others: QuerySet[Any] = self._live().filter(workflow_id__in=beside)
        return others.exclude(pk__in=self.dependent_executions().values("pk"))

    def _live(self) -> Any:
        model: Any = Workflow._meta.get_field("executions").related_model
        return model.objects.using(self.using).live()

    def judge(self) -> None:
        """Raises the guard's refusal when the change would strand or break something."""
        if self.workflows:
            guards.refuse_context_change(self)

    def make_way(self) -> None:
        """Release the versions that bind these workflows to their old context."""
        release_superseded(self.ids, self.using)
        release_all(self.ids, self.using)

    def roll_forward(self, *, by: Any = None, notes: str = "") -> list[Version]:
        """Give each workflow, which has its new context by now, a version with it."""
        versions = []
        for workflow in Workflow._base_manager.using(self.using).filter(pk__in=self.ids):
            latest = workflow.latest_version
            versions.append(
                append_version(workflow, latest.source, latest=latest, by=by, notes=notes)[0]
            )
        return versions


class AnyChange(ContextChange):
    """Whatever other context a workflow might take: what refuses them all, who moves along."""

    def __init__(self, workflow: Workflow, using: str) -> None:
        super().__init__([workflow], Context("", None, None), using)
        self.field = "entity_name_type"

    def crossings(self) -> Sequence[guards.Crossing]:
        """None: which calls would cross is not known before a context is chosen."""
        return ()

    def refusal(self) -> guards.Refusal | None:
        """What the guard would answer to every change, or None."""
        try:
            self.judge()
        except guards.Refusal as refusal:
            return refusal
        return None


def lock_for_edit(
    ids: Iterable[int], using: str, strength: locks.Strength = locks.Strength.UPDATE
) -> None:
    """Lock workflows for an edit, in the one order in which editors do.

    What they call is locked too: a new version's references share it at commit, and editors
    who meet there only would wait for each other.
    """
    own = sorted(set(ids))
    rows = Workflow._base_manager.using(using)
    callees = Reference._base_manager.using(using).filter(
        version__workflow_id__in=own, in_force=True
    )
    retired = Reference._base_manager.using(using).filter(
        version__in=Version.objects.using(using).filter(workflow_id__in=own).latest_of_each()
    )
    called = {
        *callees.values_list("callee_id", flat=True),
        *retired.values_list("callee_id", flat=True),
    }
    locks.limit_wait(using)
    locks.lock_rows(rows.all(), {*own, *called}, locks.Strength.NO_KEY_UPDATE)
    if strength == locks.Strength.UPDATE:
        locks.lock_rows(rows.all(), own, strength)


def _named(workflow: Workflow) -> BlockingWorkflow:
    return BlockingWorkflow(workflow.cuid, workflow.title)


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
        self.change = ContextChange([stored], self.context, using)

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
    def _retires(self) -> bool:
        retired = Workflow.State.RETIRED
        return self.state == retired and self.stored_row.state != retired

    @property
    def _returns(self) -> bool:
        retired = Workflow.State.RETIRED
        return self.state != retired and self.stored_row.state == retired

    def judge(self) -> None:
        """Raises the refusal of the first rule that the edit would break."""
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
            self.judge()
        except guards.Refusal as refusal:
            field = self.change.field if self.change.workflows else "state"
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

    def follow_up(self) -> None:
        """After the write: the version with the new context, and what a change of state takes."""
        if self.change.workflows:
            self.change.roll_forward()
        if self._retires:
            release_superseded([self.workflow.pk], self.using)
        if self._returns:
            latest = self.workflow.latest_version
            Version._base_manager.using(self.using).filter(pk=latest.pk, in_force=False).update(
                in_force=True
            )
