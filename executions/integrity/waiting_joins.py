"""I8: a join continues as soon as no branch can reach it; its branches came by known edges."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from executions.engine import joins
from executions.integrity.row_queries import read_rows
from executions.integrity.violation import CHUNK, Violation
from executions.models import LIVE, OPEN, Execution, Step, StepState
from executions.workflow_manager import graphs_of
from workflows.graph import Graph
from workflows.models import Version


def _executions_at_joins() -> QuerySet[Execution]:
    waiting = Step.objects.filter(
        execution=OuterRef("pk"), type=joins.JOIN, state=StepState.OPEN
    ).order_by()
    return Execution.objects.filter(Exists(waiting), status__in=LIVE)


def check_waiting_joins() -> Iterator[Violation]:
    """Yield joins that no branch can reach, and branches at a join from an unknown edge (I8)."""
    (rows,) = read_rows(_executions_at_joins)
    waiting = iter(rows)
    while executions := list(islice(waiting, CHUNK)):
        steps: dict[int, list[Step]] = {row.pk: [] for row in executions}
        for step in Step.objects.filter(execution__in=steps, state__in=OPEN).order_by("pk"):
            steps[step.execution_id].append(step)
        versions = {row.version_id for row in executions}
        graphs = graphs_of(Version.objects.filter(pk__in=versions))
        for row in executions:
            # A graph that cannot be parsed is a violation of I4.
            if row.version_id in graphs:
                yield from _violations(row, graphs[row.version_id], steps[row.pk])


def _violations(row: Execution, graph: Graph, steps: list[Step]) -> Iterator[Violation]:
    root = row.root_or_self_id
    for step in steps:
        if step.type == joins.JOIN and unknown_edges(graph, step):
            detail = f"A branch reached the join “{step.node_id}” by an edge that does not exist."
            yield Violation("I8", "execution", row.cuid, detail, root=root)
    ready = joins.find_ready(graph, steps)
    if ready is not None:
        detail = f"The join “{ready.node_id}” waits, but no branch can reach it."
        yield Violation("I8", "execution", row.cuid, detail, root=root)


def unknown_edges(graph: Graph, step: Step) -> list[Any]:
    """Return the edges that are recorded at a join, but are not in its graph."""
    known = [edge.name for edge in graph.incoming(step.node_id)]
    named = joins.arrivals(step)
    for key in (joins.CONTINUED, joins.ABSORBS):
        named = [*named, *joins.stored_edges(step, key)]
    return [name for name in named if name is not None and name not in known]
