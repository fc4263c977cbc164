"""L8: a join goes on as soon as it waits for no branch, and knows by which edges they came."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from executions.engine import joins
from executions.engine.manager import graphs_of
from executions.integrity.row_queries import read_rows
from executions.integrity.violation import CHUNK, Violation
from executions.models import LIVE, OPEN, Execution, Step, StepState
from workflows.graph import Graph
from workflows.models import Version


def _at_joins() -> QuerySet[Execution]:
    waiting = Step.objects.filter(
        execution=OuterRef("pk"), type=joins.JOIN, state=StepState.OPEN
    ).order_by()
    return Execution.objects.filter(Exists(waiting), status__in=LIVE)


def waiting_joins() -> Iterator[Violation]:
    """L8: each open join waits for a branch, and each branch there came by one of its edges."""
    (rows,) = read_rows(_at_joins)
    waiting = iter(rows)
    while executions := list(islice(waiting, CHUNK)):
        steps: dict[int, list[Step]] = {row.pk: [] for row in executions}
        for step in Step.objects.filter(execution__in=steps, state__in=OPEN).order_by("pk"):
            steps[step.execution_id].append(step)
        versions = {row.version_id for row in executions}
        graphs = graphs_of(Version.objects.filter(pk__in=versions))
        for row in executions:
            # What a damaged version says is a violation of its own.
            if row.version_id in graphs:
                yield from _violations(row, graphs[row.version_id], steps[row.pk])


def _violations(row: Execution, graph: Graph, steps: list[Step]) -> Iterator[Violation]:
    root = row.root_or_self_id
    for step in steps:
        if step.type == joins.JOIN and unknown_edges(graph, step):
            detail = f"A branch at its join “{step.node_id}” came by an edge that does not exist."
            yield Violation("L8", "execution", row.cuid, detail, root=root)
    ready = joins.ready(graph, steps)
    if ready is not None:
        detail = f"Its join “{ready.node_id}” waits, but no branch can arrive any more."
        yield Violation("L8", "execution", row.cuid, detail, root=root)


def unknown_edges(graph: Graph, step: Step) -> list[Any]:
    """Return the names of edges at a join that its graph does not have."""
    known = [edge.name for edge in graph.incoming(step.node_id)]
    return [name for name in joins.arrivals(step) if name is not None and name not in known]
