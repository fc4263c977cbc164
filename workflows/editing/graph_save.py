"""Saving a graph: lock, judge, write, record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from workflows import guards
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.db.json_values import canonical
from workflows.graph import Graph, WorkflowValidationError, normalize, parse
from workflows.graph.positions import Positions, list_positions, without_positions
from workflows.guards.database_errors import translate_database_errors
from workflows.models import Candidate, Version, Workflow, call_queries
from workflows.models.candidate import find_assignee_names, resolve_candidates
from workflows.models.version import append_version, release_superseded
from workflows.refusals import Attempt, Problem


@dataclass(frozen=True, slots=True)
class SavedGraph:
    """The saved version, and True if its number is new. ``version`` is None in a dry run.

    ``moved_only`` is True if nothing but the positions of nodes has changed: then the latest
    version stays as it is, with the new positions.
    """

    version: Version | None
    created: bool
    moved_only: bool = False


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
    """Save a graph as the next version of a workflow.

    If nothing uses the latest version, the new one replaces it under the same number. If only
    positions of nodes have changed and there are no notes, the latest version gets them.

    Args:
        workflow: the workflow.
        source: ``{"nodes": [...], "edges": [...]}``.
        based_on: the number of the version that was edited.
        by: the user who saves it.
        notes: what has changed.
        dry_run: judge only.
        read: the cuid of the version that was edited. It distinguishes versions that replaced
            each other under one number.
        check: an additional rule; it is asked under the locks, before the first write.
        allow_unknown: save a graph that names groups, users or secrets that do not exist. Steps
            for unknown people are unassigned until an account has the name.

    Raises:
        graph.WorkflowValidationError: the graph is malformed; a callee is missing, retired or of
            another context; the calls would have a cycle; or a group, a user or a secret does not
            exist. All problems at once.
        guards.StaleVersion: the version that was edited is not the latest.
    """

    def attempts() -> list[Attempt]:
        after = {"based_on": based_on, "notes": notes}
        return [make_attempt(workflow, Action.GRAPH_SAVED, after=after, why=notes, by=by)]

    recording = nullcontext() if dry_run else recording_refusals(attempts)
    with recording, guards.allow_unknown_secrets(allow_unknown):
        return _save_graph(
            workflow, source, based_on, by, notes, dry_run, read, check, allow_unknown
        )


@translate_database_errors
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
    positions = list_positions(source)
    source = normalize(without_positions(source))
    with transaction.atomic():
        own = _lock_for_save(workflow, graph)
        latest = own.latest_version
        candidates = _judge(own, source, graph, latest, allow_unknown)
        _refuse_stale(latest, based_on, read)
        if check is not None:
            check()
        moved_only = not notes and _is_moved_only(latest, source, positions)
        if dry_run:
            return SavedGraph(None, not moved_only and latest.is_used, moved_only)
        before = _state_of(latest)
        if moved_only:
            _move(latest, positions)
            after = _state_of(latest)
            moved = make_attempt(own, Action.GRAPH_SAVED, before=before, after=after, by=by)
            record([moved])
            return SavedGraph(latest, created=False, moved_only=True)
        version, created = append_version(
            own,
            source,
            latest=latest,
            by=by,
            notes=notes,
            candidates=candidates,
            positions=positions,
        )
        release_superseded([own.pk])
        # An edit that locks one of these rows in an older snapshot then starts again.
        rows = Workflow._base_manager.all()
        rows.filter(pk=own.pk).update(updated_at=timezone.now())
        locks.outdate(rows.filter(cuid__in=graph.callee_cuids()), "updated_at")
        if not created:
            # The replaced version is deleted: only the audit log keeps its source.
            before["source"] = latest.source
        after = _state_of(version)
        saved = make_attempt(own, Action.GRAPH_SAVED, before=before, after=after, why=notes, by=by)
        record([saved])
        return SavedGraph(version, created)


def graph_problems(workflow: Workflow, source: object) -> list[Problem]:
    """Return the problems that a save of this graph would be refused for; take no locks."""
    try:
        graph = parse(source, is_new=True)
        assert isinstance(source, dict)
        _judge(workflow, source, graph, workflow.latest_version, allow_unknown=False)
    except WorkflowValidationError as refusal:
        return refusal.problems
    return []


def _refuse_stale(latest: Version, based_on: int, read: str) -> None:
    if latest.number != based_on:
        detail = gettext(
            "The graph is based on version {number}, but the latest version is {latest}. Load that "
            "version and make your changes again."
        ).format(number=based_on, latest=latest.number)
    elif read and latest.cuid != read:
        detail = gettext("Version {number} has been saved again since you opened it.").format(
            number=latest.number
        )
    else:
        return
    problem = Problem(
        "", guards.StaleVersion.code, gettext("Latest: {number}.").format(number=latest.number)
    )
    raise guards.StaleVersion(detail, problems=[problem])


def _state_of(version: Version) -> dict[str, Any]:
    return {
        "version": version.number,
        "checksum": version.checksum,
        "notes": version.notes,
        "positions": version.positions or {},
    }


def _is_moved_only(latest: Version, source: dict[str, Any], positions: Positions) -> bool:
    """Return True if the graph is that of the version, with other positions."""
    is_same = canonical(source) == canonical(without_positions(latest.source))
    return is_same and positions != (latest.positions or {})


def _move(latest: Version, positions: Positions) -> None:
    """Write the positions of a version that is otherwise write-once."""
    latest.positions = positions
    Version._base_manager.filter(pk=latest.pk).update(positions=positions)


def _lock_for_save(workflow: Workflow, graph: Graph) -> Workflow:
    """Lock the workflow and all workflows that its new graph would reach.

    The direct callees are not enough: two saves that close a longer call cycle together would not
    lock a common row.
    """
    rows = Workflow._base_manager.all()
    callees = list(rows.filter(cuid__in=graph.callee_cuids()).values_list("pk", flat=True))
    reached = {workflow.pk, *call_queries.follow_calls(callees, "callees")}
    locks.lock_rows(rows, reached, locks.Strength.NO_KEY_UPDATE)
    if set(call_queries.follow_calls(callees, "callees")) - reached:
        raise locks.TryAgain
    own = rows.select_related("entity_name_type", "primary_record_type").filter(pk=workflow.pk)
    found = own.first()
    if found is None:
        raise guards.workflow_deleted(workflow)
    return found


def _judge(
    workflow: Workflow, source: dict[str, Any], graph: Graph, latest: Version, allow_unknown: bool
) -> list[Candidate]:
    """Judge the calls, people and secrets of a graph; return the candidates that it names.

    Raises:
        WorkflowValidationError: with all problems at once.
    """
    named = list(find_assignee_names(source))
    candidates = resolve_candidates(named, latest)
    unknown = [] if allow_unknown else guards.find_unknown_people(named, candidates)
    try:
        _judge_calls(workflow, source, graph)
    except WorkflowValidationError as refusal:
        unknown += guards.find_unknown_secrets(guards.find_secrets(source))
        if not unknown:
            raise
        raise WorkflowValidationError([*refusal.problems, *unknown]) from None
    guards.refuse_unknown_secrets(source, unknown)
    return candidates


def _judge_calls(workflow: Workflow, source: dict[str, Any], graph: Graph) -> None:
    callees = {
        row.cuid: row
        for row in Workflow._base_manager.filter(cuid__in=graph.callee_cuids()).select_related(
            "entity_name_type", "primary_record_type"
        )
    }
    cyclic = set(call_queries.follow_calls([workflow.pk], "callers")) if callees else set()
    guards.refuse_calls(source, workflow.described_context(), callees, cyclic)
