"""Mending what was changed behind the product's back.

Graphs are mended first, workflows that call each other together; then each tree of executions.
Each of these groups is a transaction of its own, found again under its locks: an interruption
leaves what is mended mended, and the next run goes on with the rest.

Locks: roots, their descendants, entities, workflows, versions, each by id, as runners and
editors take them; a group takes only those that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import DatabaseError, transaction

from executions import integrity
from executions.integrity import REPAIR, Violation
from executions.models import Execution, Pin
from executions.repairs import safeguard_repairs
from executions.repairs.candidate_repairs import mend_candidates
from executions.repairs.definition_repairs import World
from executions.repairs.open_step_repairs import Standing
from executions.repairs.repair_report import Left, Mended, Report
from executions.repairs.tree_repairs import Tree
from workflows.audit.log import record
from workflows.db import locks
from workflows.guards.database_errors import as_refusal
from workflows.models import Reference, Version

DB = "default"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a repair was asked for: everything, or these trees and what they stand on.

    ``accepted``: the cuids of versions that are taken as they are now; ``onto``: the version
    that the one root is put onto.
    """

    roots: frozenset[int] | None
    workflows: frozenset[int]
    accepted: frozenset[str]
    onto: Version | None
    dry_run: bool
    told: Callable[[str], None]

    def concerns(self, row: Violation) -> bool:
        """Whether this is about what was asked for."""
        if self.roots is None:
            return True
        return row.root in self.roots or bool(self.workflows & set(row.workflows))


def _nobody(text: str) -> None:
    """Nobody is told."""


class _TakeBack(Exception):
    """A dry run has come to its end."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


def repair(
    executions: Sequence[Execution] = (),
    *,
    accepted: Iterable[str] = (),
    onto: Version | None = None,
    dry_run: bool = False,
    told: Callable[[str], None] = _nobody,
) -> Report:
    """Mend what was changed behind the product's back, everywhere or for these executions.

    Args:
        accepted: the cuids of versions whose content is unknown, taken as they are now.
        onto: the version that the one execution named is put onto.
        dry_run: do all of it on one snapshot, in a transaction that is taken back.
        told: is told what is being looked at.

    Returns:
        What was mended, and what is left with the choice that there is.

    Raises:
        locks.Contention: of a dry run, when others keep changing what it would mend.
    """
    asked = partial(_asked, executions, frozenset(accepted), onto, dry_run, told)
    return _try(asked) if dry_run else _repair(asked())


@locks.retrying
def _try(asked: Callable[[], Asked]) -> Report:
    try:
        with locks.stable_snapshot(writes=True):
            raise _TakeBack(_repair(asked()))
    except _TakeBack as done:
        return done.report


def _asked(
    executions: Sequence[Execution],
    accepted: frozenset[str],
    onto: Version | None,
    dry_run: bool,
    told: Callable[[str], None],
) -> Asked:
    if not executions:
        return Asked(None, frozenset(), accepted, None, dry_run, told)
    roots = frozenset(row.root_or_self_id for row in executions)
    members = Execution._base_manager.filter(pk__in=roots) | Execution._base_manager.filter(
        root_id__in=roots
    )
    pinned = Pin.objects.filter(root__in=roots)
    ran = members.values_list("workflow_id", "version__workflow_id")
    called = pinned.values_list("callee_id", "version__workflow_id")
    drawn = Reference.objects.filter(version__executions__in=members)
    workflows = {pk for pair in [*ran, *called] for pk in pair if pk is not None}
    workflows |= set(drawn.values_list("callee_id", flat=True))
    return Asked(roots, frozenset(workflows), accepted, onto, dry_run, told)


def _repair(asked: Asked) -> Report:
    report = Report()
    found = _found(asked)
    if asked.dry_run and not found and asked.onto is None:
        # Then it writes nothing, and keeps nobody waiting.
        return report
    if asked.roots is None:
        for mend in (
            safeguard_repairs.close_seals,
            safeguard_repairs.agree_on_hold,
            safeguard_repairs.count_the_log,
        ):
            report.add(_group(mend, asked))
    report.add(_mend_worlds(found, asked))
    if report.mended:
        found = _found(asked)
    report.add(_mend_trees(found, asked))
    if report.mended:
        found = _found(asked)
    known = {row.cuid for row in report.left}
    report.left += [_left(row) for row in found if row.cuid not in known]
    return report


def _found(asked: Asked) -> list[Violation]:
    asked.told("Checking the laws")
    return [row for row in integrity.violations() if asked.concerns(row)]


def _left(row: Violation) -> Left:
    choice = row.remedy
    if choice == REPAIR:
        choice = "Run it again; if it stays, cancel what runs on it, or restore it from a backup."
    return Left(row.kind, row.cuid, row.detail, choice)


def _mend_worlds(found: list[Violation], asked: Asked) -> Report:
    report = Report()
    for ids in _connected(row.workflows for row in found if row.workflows):
        asked.told("Mending workflows")
        report.add(_group(partial(_mend_world, ids, asked), asked))
    return report


def _connected(groups: Iterable[tuple[int, ...]]) -> list[list[int]]:
    """The workflows that are named together, or call each other, each in one group."""
    above: dict[int, int] = {}

    def top(pk: int) -> int:
        above.setdefault(pk, pk)
        while above[pk] != pk:
            pk = above[pk]
        return pk

    pairs = [(group[0], other) for group in groups for other in group]
    ids = {pk for pair in pairs for pk in pair}
    calls = Reference.objects.filter(version__workflow__in=ids, callee__in=ids)
    pairs += calls.values_list("version__workflow_id", "callee_id").distinct()
    for one, other in pairs:
        above[top(one)] = top(other)
    found: dict[int, list[int]] = {}
    for pk in sorted(ids):
        found.setdefault(top(pk), []).append(pk)
    return list(found.values())


def _mend_trees(found: list[Violation], asked: Asked) -> Report:
    report = Report()
    roots = {row.root for row in found if row.root is not None}
    if asked.onto is not None and asked.roots is not None:
        roots |= asked.roots
    for number, root in enumerate(sorted(roots), 1):
        asked.told(f"Mending executions, {number} of {len(roots)}")
        report.add(_group(partial(_mend_tree, root, asked), asked))
    return report


def _mend_world(ids: list[int], asked: Asked, report: Report) -> None:
    World(ids, report, asked.accepted).mend()
    mend_candidates(ids, report)


def _mend_tree(root_id: int, asked: Asked, report: Report) -> None:
    tree = Tree(root_id, report, asked.onto)
    tree.mend()
    if tree.root is None:
        return
    Standing(tree.root, report).mend()
    if report.mended:
        # Whoever has read the tree without a lock sees by its root that it has changed.
        locks.outdate(Execution._base_manager.filter(pk=root_id), "updated_at")


def _group(work: Callable[[Report], Any], asked: Asked) -> Report:
    """One group in a transaction of its own; what refuses it leaves it as it was."""

    @locks.retrying
    def grouped() -> Report:
        report = Report()
        with transaction.atomic():
            locks.limit_wait(DB)
            work(report)
            if not asked.dry_run:
                record(report.attempts, using=DB)
        return report

    try:
        return grouped()
    except locks.Contention as busy:
        if asked.dry_run:
            # Others have changed it since the snapshot was taken.
            raise
        return Report(left=[Left("group", "", str(busy), "Run it again.")])
    except DatabaseError as error:
        refusal = as_refusal(error)
        if refusal is None:
            raise
        sentence = f"The database refuses what would mend it: {refusal.message}"
        return Report(
            left=[Left("group", "", sentence, "Mend first what else is told of, or cancel it.")]
        )


__all__ = ["Left", "Mended", "Report", "repair"]
