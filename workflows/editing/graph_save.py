"""Saving a graph: judged as a whole, on top of the version that it was drawn from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from workflows import guards
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks
from workflows.graph import Graph, WorkflowValidationError, normalized, parse
from workflows.guards.database_errors import translated
from workflows.models import Candidate, Version, Workflow, call_queries
from workflows.models.candidate import named_in, resolve
from workflows.models.version import append_version, release_superseded
from workflows.refusals import Attempt, Problem

DB = "default"


@dataclass(frozen=True, slots=True)
class SavedGraph:
    """What came of saving a graph: the version, and whether its number is a new one."""

    version: Version | None
    created: bool


def save_graph(
    workflow: Workflow,
    source: object,
    *,
    based_on: int,
    by: Any = None,
    notes: str = "",
    dry_run: bool = False,
    read: str = "",
    check: Callable[[], None] | None = None,
    allow_unknown: bool = False,
) -> SavedGraph:
    """Give the workflow a version with this graph; the latest one is replaced if nothing has it.

    Args:
        source: ``{"nodes": [...], "edges": [...]}``.
        based_on: the number of the version that the graph was drawn from.
        read: the cuid of the version that the graph was drawn from; a version that nothing has is
            replaced under its number.
        check: asked under the locks, before the first write.
        allow_unknown: save a graph that names groups, users or secrets that do not exist. The steps
            of unknown people are unassigned until somebody has the name.

    Raises:
        graph.WorkflowValidationError: the graph is malformed, a callee is missing, retired
            or of another context, the calls would have a cycle, or a group, a user or a secret
            does not exist; all problems at once.
        guards.StaleVersion: another version has been saved since, under the same number too.
    """

    def attempt() -> list[Attempt]:
        asked = {"based_on": based_on, "notes": notes}
        return [told(workflow, Action.GRAPH_SAVED, after=asked, why=notes, by=by)]

    is_tried = nullcontext() if dry_run else attempting(attempt, using=DB)
    with is_tried, guards.allowing_unknown(allow_unknown):
        return _save_graph(
            workflow, source, based_on, by, notes, dry_run, read, check, allow_unknown
        )


@translated
@locks.retrying
def _save_graph(
    workflow: Workflow,
    source: object,
    based_on: int,
    by: Any,
    notes: str,
    dry_run: bool,
    read: str,
    check: Callable[[], None] | None,
    allow_unknown: bool,
) -> SavedGraph:
    graph = parse(source, is_new=True)
    assert isinstance(source, dict)
    source = normalized(source)
    with transaction.atomic():
        own = _lock_for_save(workflow, graph)
        latest = own.latest_version
        candidates = _judge(own, source, graph, latest, allow_unknown)
        if latest.number != based_on:
            raise guards.StaleVersion(
                f"The graph is based on version {based_on}, but the latest is {latest.number}: "
                "load that one and make the change again.",
                problems=[Problem("", guards.StaleVersion.code, f"Latest: {latest.number}.")],
            )
        if read and latest.cuid != read:
            raise guards.StaleVersion(
                f"Version {latest.number} was saved anew since this drawing began.",
                problems=[Problem("", guards.StaleVersion.code, f"Latest: {latest.number}.")],
            )
        if check is not None:
            check()
        if dry_run:
            return SavedGraph(None, latest.executions.exists() or latest.pins.exists())
        before = _state_of(latest)
        version, created = append_version(
            own, source, latest=latest, by=by, notes=notes, candidates=candidates
        )
        release_superseded([own.pk], DB)
        # Touched, so that whoever locks it in an older snapshot is told to begin anew.
        rows = Workflow._base_manager.using(DB)
        rows.filter(pk=own.pk).update(updated_at=timezone.now())
        locks.outdate(rows.filter(cuid__in=graph.callee_cuids()), "updated_at")
        if not created:
            # The one that is replaced is gone: only the log still has it.
            before["source"] = latest.source
        after = _state_of(version)
        saved = told(own, Action.GRAPH_SAVED, before=before, after=after, why=notes, by=by)
        record([saved], using=DB)
        return SavedGraph(version, created)


def graph_problems(workflow: Workflow, source: object) -> list[Problem]:
    """All that a save of this graph would find wrong in it as things are now, without a lock."""
    try:
        graph = parse(source, is_new=True)
        assert isinstance(source, dict)
        _judge(workflow, source, graph, workflow.latest_version, allow_unknown=False)
    except WorkflowValidationError as refusal:
        return refusal.problems
    return []


def _state_of(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "checksum": version.checksum,
        "notes": version.notes,
    }


def _lock_for_save(workflow: Workflow, graph: Graph) -> Workflow:
    """Lock the workflow and all that its new graph would reach.

    Not the callees alone: two saves that together close a longer cycle of calls would not
    meet there.
    """
    rows = Workflow._base_manager.using(DB)
    callees = list(rows.filter(cuid__in=graph.callee_cuids()).values_list("pk", flat=True))
    reached = {workflow.pk, *call_queries.walk(callees, "callees", DB)}
    locks.lock_rows(rows.all(), reached, locks.Strength.NO_KEY_UPDATE)
    if set(call_queries.walk(callees, "callees", DB)) - reached:
        raise locks.TryAgain
    own = rows.select_related("entity_name_type", "primary_record_type").filter(pk=workflow.pk)
    found = own.first()
    if found is None:
        raise guards.Gone(f"The workflow “{workflow}” has been deleted.")
    return found


def _judge(
    workflow: Workflow, source: dict[str, Any], graph: Graph, latest: Version, allow_unknown: bool
) -> list[Candidate]:
    """Judge the calls, the people and the secrets of a graph; return the candidates that it names.

    Raises ``WorkflowValidationError`` with all problems at once.
    """
    named = list(named_in(source))
    candidates = resolve(named, latest)
    unknown = [] if allow_unknown else guards.unknown_people(named, candidates)
    try:
        _judge_calls(workflow, source, graph)
    except WorkflowValidationError as refusal:
        unknown += guards.unknown_secrets(guards.secrets_in(source))
        if not unknown:
            raise
        raise WorkflowValidationError([*refusal.problems, *unknown]) from None
    guards.refuse_unknown_secrets(source, unknown)
    return candidates


def _judge_calls(workflow: Workflow, source: dict[str, Any], graph: Graph) -> None:
    callees = {
        row.cuid: row
        for row in Workflow._base_manager.using(DB)
        .filter(cuid__in=graph.callee_cuids())
        .select_related("entity_name_type", "primary_record_type")
    }
    cyclic = set(call_queries.walk([workflow.pk], "callers", DB)) if callees else set()
    guards.refuse_calls(source, workflow.described_context(), callees, cyclic)
