"""Repair of data that was changed outside Holdfast.

First, workflow definitions are repaired: workflows that call each other form a group. Then each
tree of executions is repaired. A group is one transaction. Its violations are read again under
its locks, so that an interrupted repair keeps the finished groups and the next run continues.

Locks are taken in the order of runners and editors: roots, their descendants, entities,
workflows, versions, each by id. A group locks only its own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import DatabaseError, transaction

from executions import integrity
from executions.integrity import REPAIR, Violation
from executions.models import ClosureMember, Execution
from executions.repairs import bookkeeping
from executions.repairs.current_steps import CurrentStepRepair
from executions.repairs.execution_trees import ExecutionTreeRepair
from executions.repairs.report import RepairedRecord, Report, UnresolvedViolation
from executions.repairs.workflow_definitions import DefinitionRepair, repair_candidates
from workflows.audit.log import record
from workflows.db import locks
from workflows.guards.database_errors import find_refusal
from workflows.models import Reference, Version

DB = "default"


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of the data to repair, and the options of the repair.

    ``roots`` and ``workflows`` are ids; ``roots`` is None for everything. ``accepted`` has the
    cuids of versions whose current content is accepted. ``onto`` is the version for the one root.
    """

    roots: frozenset[int] | None
    workflows: frozenset[int]
    accepted: frozenset[str]
    onto: Version | None
    dry_run: bool
    on_progress: Callable[[str], None]

    def includes(self, row: Violation) -> bool:
        """Return True if the violation is in scope."""
        if self.roots is None:
            return True
        return row.root in self.roots or bool(self.workflows & set(row.workflows))


def _ignore_progress(text: str) -> None:
    """Discard the text."""


class _DryRunRollback(Exception):
    """Rolls back the transaction of a dry run, and carries its report."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def repair(
    executions: Sequence[Execution] = (),
    *,
    accepted: Iterable[str] = (),
    onto: Version | None = None,
    dry_run: bool = False,
    on_progress: Callable[[str], None] = _ignore_progress,
) -> Report:
    """Repair all data, or the trees of these executions and the workflows that they use.

    Args:
        executions: the executions to repair; everything if empty.
        accepted: the cuids of versions whose current content is accepted.
        onto: the version for the one named execution.
        dry_run: make all repairs on one snapshot, and roll them back.
        on_progress: is called with a description of each stage.

    Returns:
        The repaired records, and the unresolved violations with their remedies.

    Raises:
        locks.Contention: in a dry run, if others keep changing the same rows.
    """
    scope = partial(_scope, executions, frozenset(accepted), onto, dry_run, on_progress)
    return _repair_on_snapshot(scope) if dry_run else _repair(scope())


@locks.retrying
def _repair_on_snapshot(scope: Callable[[], Scope]) -> Report:
    try:
        with locks.stable_snapshot(writes=True):
            raise _DryRunRollback(_repair(scope()))
    except _DryRunRollback as done:
        return done.report


def _scope(
    executions: Sequence[Execution],
    accepted: frozenset[str],
    onto: Version | None,
    dry_run: bool,
    on_progress: Callable[[str], None],
) -> Scope:
    if not executions:
        return Scope(None, frozenset(), accepted, None, dry_run, on_progress)
    roots = frozenset(row.root_or_self_id for row in executions)
    members = Execution._base_manager.filter(pk__in=roots) | Execution._base_manager.filter(
        root_id__in=roots
    )
    pinned = ClosureMember.objects.filter(closure__executions__in=roots)
    ran = members.values_list("workflow_id", "version__workflow_id")
    called = pinned.values_list("callee_id", "version__workflow_id")
    references = Reference.objects.filter(version__executions__in=members)
    workflows = {pk for pair in [*ran, *called] for pk in pair if pk is not None}
    workflows |= set(references.values_list("callee_id", flat=True))
    return Scope(roots, frozenset(workflows), accepted, onto, dry_run, on_progress)


def _repair(scope: Scope) -> Report:
    report = Report()
    found = _violations(scope)
    if scope.dry_run and not found and scope.onto is None:
        # Nothing to repair: return before any row is locked.
        return report
    if scope.roots is None:
        for repair_safeguard in (
            bookkeeping.restore_write_once,
            bookkeeping.sync_pending_changes,
            bookkeeping.restore_audit_counter,
            bookkeeping.release_damaged_closures,
        ):
            report.merge(_run_group(repair_safeguard, scope))
    report.merge(_repair_definitions(found, scope))
    if report.repaired:
        found = _violations(scope)
    report.merge(_repair_trees(found, scope))
    if report.repaired:
        found = _violations(scope)
    known = {row.cuid for row in report.unresolved}
    report.unresolved += [_unresolved(row) for row in found if row.cuid not in known]
    return report


def _violations(scope: Scope) -> list[Violation]:
    scope.on_progress("Checking the invariants")
    return [row for row in integrity.find_violations() if scope.includes(row)]


def _unresolved(row: Violation) -> UnresolvedViolation:
    remedy = row.remedy
    if remedy == REPAIR:
        remedy = (
            "Run the command again. If the violation remains, cancel the executions that use "
            "the record, or restore it from a backup."
        )
    return UnresolvedViolation(row.model, row.cuid, row.detail, remedy)


def _repair_definitions(found: list[Violation], scope: Scope) -> Report:
    report = Report()
    for ids in _connected_workflows(row.workflows for row in found if row.workflows):
        scope.on_progress("Repairing workflows")
        report.merge(_run_group(partial(_repair_workflows, ids, scope), scope))
    return report


def _connected_workflows(groups: Iterable[tuple[int, ...]]) -> list[list[int]]:
    """Return groups of the ids of workflows that share a violation or call each other."""
    parents: dict[int, int] = {}

    def find(pk: int) -> int:
        parents.setdefault(pk, pk)
        while parents[pk] != pk:
            pk = parents[pk]
        return pk

    pairs = [(group[0], other) for group in groups for other in group]
    ids = {pk for pair in pairs for pk in pair}
    calls = Reference.objects.filter(version__workflow__in=ids, callee__in=ids)
    pairs += calls.values_list("version__workflow_id", "callee_id").distinct()
    for one, other in pairs:
        parents[find(one)] = find(other)
    connected: dict[int, list[int]] = {}
    for pk in sorted(ids):
        connected.setdefault(find(pk), []).append(pk)
    return list(connected.values())


def _repair_trees(found: list[Violation], scope: Scope) -> Report:
    report = Report()
    roots = {row.root for row in found if row.root is not None}
    if scope.onto is not None and scope.roots is not None:
        roots |= scope.roots
    for number, root in enumerate(sorted(roots), 1):
        scope.on_progress(f"Repairing executions, tree {number} of {len(roots)}")
        report.merge(_run_group(partial(_repair_tree, root, scope), scope))
    return report


def _repair_workflows(ids: list[int], scope: Scope, report: Report) -> None:
    DefinitionRepair(ids, report, scope.accepted).run()
    repair_candidates(ids, report)


def _repair_tree(root_id: int, scope: Scope, report: Report) -> None:
    tree = ExecutionTreeRepair(root_id, report, scope.onto)
    tree.run()
    if tree.root is None:
        return
    CurrentStepRepair(tree.root, report).run()
    if report.repaired:
        # Services that read the tree without a lock detect the change by this column.
        locks.outdate(Execution._base_manager.filter(pk=root_id), "updated_at")


def _run_group(work: Callable[[Report], Any], scope: Scope) -> Report:
    """Run one group in its own transaction, which is rolled back if the database rejects it."""

    @locks.retrying
    def run() -> Report:
        report = Report()
        with transaction.atomic():
            locks.limit_wait(DB)
            work(report)
            if not scope.dry_run:
                record(report.attempts)
        return report

    try:
        return run()
    except locks.Contention as busy:
        if scope.dry_run:
            # Others changed the rows after the snapshot was taken.
            raise
        return _failed_group(str(busy), "Run the command again.")
    except DatabaseError as error:
        refusal = find_refusal(error)
        if refusal is None:
            raise
        detail = f"The database rejects the repair: {refusal.message}"
        return _failed_group(detail, "Resolve the other violations first, or cancel the execution.")


def _failed_group(detail: str, remedy: str) -> Report:
    return Report(unresolved=[UnresolvedViolation("group", "", detail, remedy)])


__all__ = ["RepairedRecord", "Report", "UnresolvedViolation", "repair"]
