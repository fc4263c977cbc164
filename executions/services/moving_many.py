"""Moving many trees: which roots to move, and the move of each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from executions.engine.move_mapping import restrict_mapping
from executions.models import Execution
from executions.services.moving import MoveResult, move, plan_move
from executions.workflow_manager import graph_of
from workflows.db import locks
from workflows.graph.comparison import list_objects
from workflows.models import Version, Workflow
from workflows.refusals import Refusal


def roots_of_workflow(workflow: Workflow, version: int | None = None) -> QuerySet[Execution]:
    """Return the live roots of a workflow, or of one of its versions by number, by id."""
    roots = Execution.objects.live().filter(workflow=workflow, root=None)
    return (roots if version is None else roots.filter(version__number=version)).order_by("pk")


def roots_on_version(version: Version) -> QuerySet[Execution]:
    """Return the roots of all trees with a live execution on this version, by id."""
    return roots_of(Execution.objects.live().filter(version=version)).order_by("pk")


def roots_of(executions: QuerySet[Execution]) -> QuerySet[Execution]:
    """Return the roots of the trees that these executions belong to."""
    roots = executions.order_by().annotate(top=Coalesce(F("root_id"), F("pk"))).values("top")
    return Execution.objects.filter(pk__in=roots)


def find_unknown_keys(mapping: Iterable[str], roots: QuerySet[Execution]) -> list[str]:
    """Return the keys of a mapping that name no node of the versions which these roots run."""
    versions = Version.objects.filter(pk__in=roots.order_by().values("version"))
    nodes = {
        str(node.get("id"))
        for source in versions.values_list("source", flat=True)
        for node in list_objects(source, "nodes")
    }
    return [key for key in mapping if key not in nodes and "/" not in key]


def plan_one(root: Execution, options: Mapping[str, Any]) -> MoveResult:
    """Return the plan of one of many moves. ``options`` are arguments of ``plan_move``."""
    return plan_move(root, **_for_root(root, options))


def move_one(
    root: Execution, options: Mapping[str, Any], *, why: str, by: Any = None
) -> MoveResult:
    """Move one of many. Raise what ``move`` raises."""
    return move(root, **_for_root(root, options), why=why, by=by)


def _for_root(root: Execution, options: Mapping[str, Any]) -> dict[str, Any]:
    # The trees may run different versions: only the keys of the tree's own version concern it.
    mapping = options.get("mapping")
    if root.root_id is not None or not mapping:
        return dict(options)
    try:
        graph = graph_of(root.version)
    except Refusal:
        return dict(options)
    return {**options, "mapping": restrict_mapping(mapping, graph)}


def move_many(
    roots: QuerySet[Execution],
    options: Mapping[str, Any],
    *,
    why: str,
    by: Any = None,
    dry_run: bool = False,
) -> Iterator[MoveResult | tuple[Execution, str]]:
    """Move each root in a transaction of its own; yield each result.

    A tree that cannot be moved yields its plan with the obstacles, or the execution with the
    reason if others held its locks. Roots that have ended meanwhile are left out.
    """
    for pk in list(roots.values_list("pk", flat=True)):
        root = roots.filter(pk=pk).select_related("version").defer("version__source").first()
        if root is None:
            continue
        try:
            planned = plan_one(root, options)
            if not dry_run and not planned.plan.obstacles:
                planned = move_one(root, options, why=why, by=by)
            yield planned
        except (Refusal, locks.Contention) as error:
            yield root, str(getattr(error, "message", error))
