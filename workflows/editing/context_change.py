"""The rules and the steps of a change of entity context, for one workflow or a group.

``change_context``, ``drain`` and ``save_workflow`` take the same steps: judge by plain reads, lock,
read and judge again, release the versions of the old context, write, append versions with the new
one, record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import compress
from typing import Any

from django.db.models import Exists, QuerySet
from django.utils.translation import gettext

from workflows import guards, running
from workflows.audit.audited_model import change_attempts
from workflows.audit.log import read_values, record
from workflows.db import locks
from workflows.editing.creation_trigger import find_creation_workflows
from workflows.models import Reference, Version, Workflow, call_queries
from workflows.models.pending_change import find_draining
from workflows.models.types import CONTEXT_FIELDS, Context
from workflows.models.version import (
    append_version,
    later_versions,
    release_all,
    release_superseded,
)
from workflows.refusals import Attempt, BlockingWorkflow


class ContextChange:
    """A change that gives a set of workflows another entity context.

    An instance reads the calls once. After taking locks, make a new one.
    """

    def __init__(
        self,
        workflows: Iterable[Workflow],
        context: Context,
        *,
        starts_on_creation: bool | None = None,
    ) -> None:
        """Compare the workflows with the new context; those that have it already are left out.

        Args:
            workflows: the workflows as they are stored.
            context: their new context.
            starts_on_creation: whether they start on creation after the edit; by default, whether
                they do now.
        """
        requested = list(workflows)
        self.requested_ids = sorted({row.pk for row in requested})
        current = [row.context for row in requested]
        changed = [row != context for row in current]
        self.workflows = list(compress(requested, changed))
        self.ids = sorted(row.pk for row in self.workflows)
        self.context = context
        self.field = _first_changed_field(list(compress(current, changed)), context)
        self._creation_workflows = [
            row
            for row in self.workflows
            if (row.starts_on_creation if starts_on_creation is None else starts_on_creation)
        ]

    # Facts for the rule, guards.refuse_context_change()

    def own_executions(self) -> QuerySet[Any]:
        """Return the live executions of the set."""
        return running.registered.live_executions().filter(workflow_id__in=self.ids)

    def dependent_executions(self) -> QuerySet[Any]:
        """Return the live executions outside the set that can reach it."""
        executions = running.registered
        live = executions.live_executions().order_by().values("pk")
        reaching = live.filter(workflow_id__in=self._dependents).union(
            executions.live_executions_pinning(callee__in=self.ids).values("pk"),
            live.filter(version__references__callee_id__in=self.ids),
        )
        dependent = executions.live_executions().filter(pk__in=reaching)
        return dependent.exclude(workflow_id__in=self.ids)

    def group_executions(self) -> QuerySet[Any]:
        """Return the live executions of the group, without those of the set and its dependents."""
        # The live executions of a dependent are among the dependents' already.
        others = self._connected - set(self.ids) - self._dependents
        live = running.registered.live_executions().filter(workflow_id__in=others)
        return live.exclude(pk__in=self.dependent_executions().values("pk"))

    def crossings(self) -> Sequence[guards.Crossing]:
        """Return the calls of latest versions between the set and another context."""
        return self._crossings

    def trigger_conflicts(self) -> Sequence[BlockingWorkflow]:
        """Return the workflows that would start on creation beside another one."""
        own = self._creation_workflows
        if not own:
            return ()
        others = find_creation_workflows([self.context.key], without=self.ids)
        return [_named(row) for row in [*(own if len(own) > 1 else []), *others]]

    def members(self) -> Sequence[BlockingWorkflow]:
        """Return the workflows of the set."""
        return [_named(row) for row in self.workflows]

    def group(self) -> Sequence[BlockingWorkflow]:
        """Return the smallest set around this one that has no crossings."""
        return [_named(row) for row in self.group_rows]

    @cached_property
    def _dependents(self) -> set[int]:
        return set(call_queries.follow_calls(self.ids, "callers")) - set(self.ids)

    @cached_property
    def _connected(self) -> set[int]:
        return set(call_queries.find_connected(self.ids, self.context.key))

    @cached_property
    def group_rows(self) -> Sequence[Workflow]:
        """The workflows of ``group``."""
        rows = Workflow._base_manager.filter(pk__in=self._connected)
        return list(rows.order_by("title", "pk"))

    @cached_property
    def _crossings(self) -> Sequence[guards.Crossing]:
        calls = (
            Reference._base_manager.filter(in_force=True, version__in_force=True)
            .exclude(Exists(later_versions("version__")))
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
        outgoing = calls.filter(version__workflow_id__in=self.ids).exclude(callee_id__in=self.ids)
        incoming = calls.filter(callee_id__in=self.ids).exclude(version__workflow_id__in=self.ids)
        found = []
        for call in outgoing.exclude(callee__context_key=key):
            theirs = call.callee.described_context()
            found.append(_crossing(call, self.context, theirs, other=call.callee))
        for call in incoming.exclude(version__workflow__context_key=key):
            caller = call.version.workflow
            found.append(_crossing(call, caller.described_context(), self.context, other=caller))
        return found

    # Judgement

    def judge(self, *, drained: bool = False) -> None:
        """Raise the guard's refusal if the change would strand or break something.

        Args:
            drained: the change waits for the live executions, so they do not block it.
        """
        if self.workflows:
            guards.refuse_context_change(self, drained=drained)

    def judge_hold(self) -> None:
        """Judge whether the change can be put on hold.

        Raises:
            guards.IncompatibleEntityTypes: it would be refused even without live executions.
            guards.Draining: another change of one of the workflows is on hold.
        """
        guards.refuse_draining(list(find_draining(self.requested_ids)))
        self.judge(drained=True)

    def is_blocked(self) -> bool:
        """Return True if live executions block the change. Cheaper than ``judge``."""
        return self.own_executions().exists() or self.dependent_executions().exists()

    # Steps

    def release_versions(self) -> None:
        """Release the versions that bind these workflows to their old context."""
        release_superseded(self.ids)
        release_all(self.ids)

    def append_versions(self, *, by: Any = None, notes: str = "") -> list[Version]:
        """Append a version with the new context to each workflow, after its row was written."""
        versions = []
        for workflow in Workflow._base_manager.filter(pk__in=self.ids):
            latest = workflow.latest_version
            versions.append(
                append_version(workflow, latest.source, latest=latest, by=by, notes=notes)[0]
            )
        return versions

    def attempts(self, *, by: Any = None, why: str = "") -> list[Attempt]:
        """Return the changes of each workflow for the audit log."""
        after = dict(zip(CONTEXT_FIELDS, self.context.described, strict=True))
        return [
            attempt
            for row in self.workflows
            for attempt in change_attempts(
                row, read_values(row, CONTEXT_FIELDS), after, by=by, why=why
            )
        ]


def _first_changed_field(current: Sequence[Context], new: Context) -> str:
    attributes = ("entity_name", "entity_name_type_id", "primary_record_type_id")
    for name, attribute in zip(CONTEXT_FIELDS, attributes, strict=True):
        if any(getattr(row, attribute) != getattr(new, attribute) for row in current):
            return name
    return CONTEXT_FIELDS[0]


def change_together(
    ids: Iterable[int],
    context: Context,
    *,
    by: Any = None,
    why: str = "",
    check: Callable[[ContextChange], None] | None = None,
) -> list[Version]:
    """Give workflows another context, inside the caller's transaction.

    Args:
        ids: the workflows.
        context: their new context.
        by: the user who changes them.
        why: the reason, for the audit log and the notes of the versions.
        check: an additional rule; it is asked before the guard, and again under the locks.

    Returns:
        The new versions.

    Raises:
        guards.Refusal: the change would strand or break something.
        guards.RowDeleted: one of the workflows has been deleted.
    """

    def judge() -> ContextChange:
        change = ContextChange(read_workflows(ids), context)
        if check is not None:
            check(change)
        change.judge()
        return change

    ids = sorted(set(ids))
    judge()
    lock_for_edit(ids)
    change = judge()
    change.release_versions()
    Workflow._base_manager.filter(pk__in=change.ids).update(
        entity_name=context.entity_name,
        entity_name_type_id=context.entity_name_type_id,
        primary_record_type_id=context.primary_record_type_id,
    )
    versions = change.append_versions(by=by, notes=why)
    record(change.attempts(by=by, why=why))
    return versions


def read_workflows(ids: Iterable[int]) -> list[Workflow]:
    """Read these workflows with their types. Raise ``RowDeleted`` if one has been deleted."""
    wanted = set(ids)
    rows = Workflow._base_manager.filter(pk__in=wanted).order_by("pk")
    found = list(rows.select_related("entity_name_type", "primary_record_type"))
    if len(found) != len(wanted):
        raise guards.RowDeleted(gettext("One of the workflows has been deleted."))
    return found


def lock_for_edit(ids: Iterable[int], strength: locks.Strength = locks.Strength.UPDATE) -> None:
    """Lock workflows and their callees for an edit, in the order that all editors keep.

    The callees are locked too, because the references of a new version share-lock them at commit:
    two editors that met only there would wait for each other.
    """
    own = sorted(set(ids))
    callees = Reference._base_manager.filter(version__workflow_id__in=own, in_force=True)
    # A retired workflow has no reference in force.
    latest = Version.objects.filter(workflow_id__in=own).latest_of_each()
    callees_of_latest = Reference._base_manager.filter(version__in=latest)
    called = {
        *callees.values_list("callee_id", flat=True),
        *callees_of_latest.values_list("callee_id", flat=True),
    }
    rows = Workflow._base_manager.all()
    locks.limit_wait()
    locks.lock_rows(rows, {*own, *called}, locks.Strength.NO_KEY_UPDATE)
    if strength == locks.Strength.UPDATE:
        locks.lock_rows(rows, own, strength)


def _crossing(
    call: Reference, caller_context: Context, callee_context: Context, *, other: Workflow
) -> guards.Crossing:
    return guards.Crossing(
        caller=_named(call.version.workflow),
        callee=_named(call.callee),
        caller_context=caller_context,
        callee_context=callee_context,
        other=_named(other),
    )


def _named(workflow: Workflow) -> BlockingWorkflow:
    return BlockingWorkflow(workflow.cuid, workflow.title)
