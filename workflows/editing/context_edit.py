"""A set of workflows that takes another entity context together: judged, made way for, written.

One workflow saved and a group changed together take the same steps in the same order: judge
by plain reads, lock, read again, judge, release the versions, write, append.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from django.db.models import Exists, QuerySet

from workflows import guards
from workflows.audit.audited_model import changed
from workflows.audit.log import record, values_of
from workflows.db import locks
from workflows.models import call_queries
from workflows.models.creation_trigger import takers
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
from workflows.refusals import Attempt, BlockingWorkflow


class ContextChange:
    """A set of workflows that is to take another entity context together."""

    def __init__(
        self,
        workflows: Iterable[Workflow],
        context: Context,
        using: str,
        *,
        starting: bool | None = None,
    ) -> None:
        """``starting``: whether they start on creation then, where the same edit changes that."""
        self.workflows = [row for row in workflows if row.context != context]
        self.starting = [
            row
            for row in self.workflows
            if (row.starts_on_creation if starting is None else starting)
        ]
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
        return set(call_queries.walk(self.ids, "callers", self.using)) - set(self.ids)

    @cached_property
    def _connected(self) -> set[int]:
        return set(call_queries.connected(self.ids, self.context.key, self.using))

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
        return self._crossings

    @cached_property
    def _crossings(self) -> Sequence[guards.Crossing]:
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

    def takers(self) -> Sequence[BlockingWorkflow]:
        """The workflows that would start on creation beside another one, after the change."""
        if not self.starting:
            return ()
        inside = self.starting if len(self.starting) > 1 else []
        outside = takers(self.using, [self.context.key], self.ids)
        return [_named(row) for row in [*inside, *outside]]

    def named(self) -> Sequence[BlockingWorkflow]:
        """The set itself."""
        return [_named(row) for row in self.workflows]

    def group(self) -> Sequence[BlockingWorkflow]:
        """The smallest set around this one that has no crossings."""
        return self._group

    @cached_property
    def _group(self) -> Sequence[BlockingWorkflow]:
        rows = (
            Workflow._base_manager.using(self.using)
            .filter(pk__in=self._connected)
            .order_by("title", "pk")
        )
        return [_named(row) for row in rows]

    def group_executions(self) -> QuerySet[Any]:
        """The live executions of that set, beside those of this one and its dependents."""
        # All that is live on a dependent is among the dependents' already.
        beside = self._connected - set(self.ids) - self._dependents
        others: QuerySet[Any] = self._live().filter(workflow_id__in=beside)
        return others.exclude(pk__in=self.dependent_executions().values("pk"))

    def _live(self) -> Any:
        model: Any = Workflow._meta.get_field("executions").related_model
        return model.objects.using(self.using).live()

    def judge(self, *, drained: bool = False) -> None:
        """Raises the guard's refusal when the change would strand or break something.

        ``drained``: live executions are waited for, so they are no obstacle.
        """
        if self.workflows:
            guards.refuse_context_change(self, drained=drained)

    def is_blocked(self) -> bool:
        """Whether live executions stand in the way; the short question, without their names."""
        return self.own_executions().exists() or self.dependent_executions().exists()

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

    def changes(self, *, by: Any = None, why: str = "") -> list[Attempt]:
        """What changes in each workflow, or would, for the audit log."""
        after = dict(zip(CONTEXT_FIELDS, self.context.described, strict=True))
        return [
            attempt
            for row in self.workflows
            for attempt in changed(row, values_of(row, CONTEXT_FIELDS), after, by=by, why=why)
        ]


def change_together(
    ids: Iterable[int],
    context: Context,
    using: str,
    *,
    by: Any = None,
    why: str = "",
    check: Callable[[ContextChange], None] | None = None,
) -> list[Version]:
    """Give these workflows this context, inside the transaction that is open; their versions.

    ``check`` is asked before the guard, and again under the locks.

    Raises:
        guards.Refusal: what the change would strand or break.
        guards.Gone: one of the workflows has been deleted.
    """
    wanted = sorted(set(ids))

    def judged() -> ContextChange:
        change = ContextChange(workflows_of(wanted, using), context, using)
        if check is not None:
            check(change)
        change.judge()
        return change

    judged()
    lock_for_edit(wanted, using)
    change = judged()
    change.make_way()
    Workflow._base_manager.using(using).filter(pk__in=change.ids).update(
        entity_name=context.entity_name,
        entity_name_type_id=context.entity_name_type_id,
        primary_record_type_id=context.primary_record_type_id,
    )
    versions = change.roll_forward(by=by, notes=why)
    record(change.changes(by=by, why=why), using=using)
    return versions


def workflows_of(ids: Iterable[int], using: str) -> list[Workflow]:
    """These workflows as they are now. Raises ``guards.Gone`` when one has been deleted."""
    wanted = set(ids)
    rows = Workflow._base_manager.using(using).filter(pk__in=wanted).order_by("pk")
    found = list(rows.select_related("entity_name_type", "primary_record_type"))
    if len(found) != len(wanted):
        raise guards.Gone("One of the workflows has been deleted.")
    return found


class AnyChange(ContextChange):
    """Whatever other context a workflow might take: what refuses them all, who moves along."""

    def __init__(self, workflow: Workflow, using: str) -> None:
        super().__init__([workflow], Context("", None, None), using)
        self.field = "entity_name_type"

    def crossings(self) -> Sequence[guards.Crossing]:
        """None: which calls would cross is not known before a context is chosen."""
        return ()

    def takers(self) -> Sequence[BlockingWorkflow]:
        """None: who starts on creation there is not known before a context is chosen."""
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
