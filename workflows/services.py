"""What can be done to workflows: each a transaction, with the locks of an editor.

The order of the locks: workflows by id, then versions by id, exclusively. Every edit can be
asked for without being made: a dry run is the same code, returning before the first write.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Manager
from django.utils import timezone

from workflows import guards, locks
from workflows.database_refusals import translated
from workflows.graph import Graph, parse
from workflows.models import (
    Context,
    EntityName,
    FindingType,
    RecordType,
    Version,
    Workflow,
    calls,
)
from workflows.models.edit import ContextChange, lock_for_edit
from workflows.models.version import append_version, release_superseded
from workflows.refusals import Problem

DB = "default"


@dataclass(frozen=True, slots=True)
class SavedGraph:
    """What came of saving a graph: the version, and whether its number is a new one."""

    version: Version | None
    created: bool


@translated
@locks.retrying
def save_graph(
    workflow: Workflow,
    source: object,
    *,
    based_on: int,
    by: Any = None,
    notes: str = "",
    dry_run: bool = False,
) -> SavedGraph:
    """Give the workflow a version with this graph; the latest one is replaced if nothing has it.

    Args:
        source: ``{"nodes": [...], "edges": [...]}``.
        based_on: the number of the version that the graph was drawn from.

    Raises:
        graph.WorkflowValidationError: the graph is malformed, a callee is missing, retired
            or of another context, or the calls would have a cycle; all problems at once.
        guards.StaleVersion: another version has been saved since ``based_on``.
    """
    graph = parse(source)
    assert isinstance(source, dict)
    source = {"nodes": source["nodes"], "edges": source["edges"]}
    with transaction.atomic():
        own = _lock_for_save(workflow, graph)
        _judge_calls(own, source, graph)
        latest = own.latest_version
        if latest.number != based_on:
            raise guards.StaleVersion(
                f"The graph is based on version {based_on}, but the latest is {latest.number}: "
                "load that one and make the change again.",
                problems=[Problem("", guards.StaleVersion.code, f"Latest: {latest.number}.")],
            )
        if dry_run:
            return SavedGraph(None, latest.executions.exists() or latest.pins.exists())
        version, created = append_version(own, source, latest=latest, by=by, notes=notes)
        release_superseded([own.pk], DB)
        # Touched, so that whoever locks it in an older snapshot is told to begin anew.
        rows = Workflow._base_manager.using(DB)
        rows.filter(pk=own.pk).update(updated_at=timezone.now())
        locks.outdate(rows.filter(cuid__in=graph.callee_cuids()), "updated_at")
        return SavedGraph(version, created)


def _lock_for_save(workflow: Workflow, graph: Graph) -> Workflow:
    """Lock the workflow and all that its new graph would reach.

    Not the callees alone: two saves that together close a longer cycle of calls would not
    meet there.
    """
    rows = Workflow._base_manager.using(DB)
    callees = list(rows.filter(cuid__in=graph.callee_cuids()).values_list("pk", flat=True))
    reached = {workflow.pk, *calls.walk(callees, "callees", DB)}
    locks.lock_rows(rows.all(), reached, locks.Strength.NO_KEY_UPDATE)
    if set(calls.walk(callees, "callees", DB)) - reached:
        raise locks.TryAgain
    own = rows.select_related("entity_name_type", "primary_record_type").filter(pk=workflow.pk)
    found = own.first()
    if found is None:
        raise guards.Gone(f"The workflow “{workflow}” has been deleted.")
    return found


def _judge_calls(workflow: Workflow, source: dict[str, Any], graph: Graph) -> None:
    callees = {
        row.cuid: row
        for row in Workflow._base_manager.using(DB)
        .filter(cuid__in=graph.callee_cuids())
        .select_related("entity_name_type", "primary_record_type")
    }
    cyclic = set(calls.walk([workflow.pk], "callers", DB)) if callees else set()
    guards.refuse_calls(source, workflow.described_context(), callees, cyclic)


@dataclass(frozen=True, slots=True)
class ContextChanged:
    """What came of a change of entity context: the workflows, and the versions it gave them."""

    workflows: list[Workflow]
    versions: list[Version]


def resolve_context(
    *,
    entity_name_type: FindingType | None = None,
    entity_name: str | None = None,
    primary_record_type: RecordType | None = None,
) -> Context:
    """The context that these describe. Raises ``guards.ContextShape`` when they do not agree."""
    if entity_name is None:
        entity_name = EntityName.INVENTORY_MODEL if primary_record_type else EntityName.FINDING
    kind = entity_name_type if entity_name == EntityName.FINDING else primary_record_type
    context = Context(
        entity_name,
        entity_name_type.pk if entity_name_type else None,
        primary_record_type.pk if primary_record_type else None,
        kind.cuid if kind else "",
    )
    guards.refuse_context_shape(context)
    return context


@translated
@locks.retrying
def change_entity_context(
    workflows: Iterable[Workflow],
    *,
    entity_name_type: FindingType | None = None,
    entity_name: str | None = None,
    primary_record_type: RecordType | None = None,
    by: Any = None,
    why: str = "",
    dry_run: bool = False,
) -> ContextChanged:
    """Give these workflows another entity context together: judged as a whole, all or nothing.

    Raises:
        guards.ActiveExecutions, guards.DependentActiveExecutions,
        guards.IncompatibleEntityTypes: what it would strand or break, with the blockers and
            the smallest group that could change together.
    """
    context = resolve_context(
        entity_name_type=entity_name_type,
        entity_name=entity_name,
        primary_record_type=primary_record_type,
    )
    ids = sorted({row.pk for row in workflows})
    rows = Workflow._base_manager.db_manager(DB)
    with transaction.atomic():
        first = ContextChange(_all_of(rows, ids), context, DB)
        first.judge()
        if dry_run:
            return ContextChanged(list(rows.filter(pk__in=ids)), [])
        lock_for_edit(ids, DB)
        change = ContextChange(_all_of(rows, ids), context, DB)
        change.judge()
        change.make_way()
        rows.filter(pk__in=change.ids).update(
            entity_name=context.entity_name,
            entity_name_type_id=context.entity_name_type_id,
            primary_record_type_id=context.primary_record_type_id,
        )
        versions = change.roll_forward(by=by, notes=why)
        return ContextChanged(list(rows.filter(pk__in=ids)), versions)


def _all_of(rows: Manager[Workflow], ids: list[int]) -> list[Workflow]:
    found = list(rows.filter(pk__in=ids))
    if len(found) != len(ids):
        raise guards.Gone("One of the workflows has been deleted.")
    return found


@translated
def set_state(workflow: Workflow, state: str) -> Workflow:
    """Make a workflow a draft, active or retired.

    Raises:
        guards.Referenced: it would retire while another workflow's latest version calls it.
        graph.WorkflowValidationError: it would come back with a call that is not possible
            any more.
    """
    row = Workflow.objects.filter(pk=workflow.pk).first()
    if row is None:
        raise guards.Gone(f"The workflow “{workflow}” has been deleted.")
    row.state = state
    row.save(update_fields=["state", "updated_at"])
    return row


def retire(workflow: Workflow) -> Workflow:
    """Let no new execution start on it. Raises ``guards.Referenced`` while others call it."""
    return set_state(workflow, Workflow.State.RETIRED)
