"""The warnings about the graph of a workflow. They never refuse a save."""

from __future__ import annotations

from workflows import running
from workflows.graph import Graph, WorkflowValidationError, parse
from workflows.graph.warnings import (
    find_incomplete_joins,
    find_read,
    find_written,
    warn_of_field,
)
from workflows.models import Version, Workflow
from workflows.refusals import Problem

MOST = 20
"""The maximum number of fields that are looked up, and so reported."""
SEARCHED_WORKFLOWS = 200
"""With more workflows of the type, whose graphs may write a field, there is no warning about it."""


def graph_warnings(workflow: Workflow, source: object) -> list[Problem]:
    """Return the warnings about a graph of a workflow, in the order of its nodes.

    An unsound graph has problems instead. Takes no locks, and no statement if the graph writes all
    fields that it reads.
    """
    try:
        graph = parse(source)
    except WorkflowValidationError:
        return []
    found = [*_find_unwritten_fields(workflow, graph), *find_incomplete_joins(graph)]
    return sorted(found, key=lambda row: int(row.pointer.split("/")[2]))


def _find_unwritten_fields(workflow: Workflow, graph: Graph) -> list[Problem]:
    read = find_read(graph)
    unknown = [name for name in read if name not in find_written(graph)][:MOST]
    if unknown:
        existing = running.registered.existing_fields(workflow, unknown)
        unknown = [name for name in unknown if name not in existing]
    if unknown:
        written = _written_by_others(workflow)
        unknown = [] if written is None else [name for name in unknown if name not in written]
    number = running.SEARCHED_ENTITIES
    return [warn_of_field(name, *place, number) for name in unknown for place in read[name]]


def _written_by_others(workflow: Workflow) -> set[str] | None:
    """Return the fields that other workflows of the type write; None if there are too many."""
    others = Version.objects.filter(in_force=True, context_key=workflow.context.key)
    rows = others.exclude(workflow=workflow.pk).order_by("-pk")
    sources = list(rows.values_list("source", flat=True)[: SEARCHED_WORKFLOWS + 1])
    if len(sources) > SEARCHED_WORKFLOWS:
        return None
    written: set[str] = set()
    for source in sources:
        try:
            written |= find_written(parse(source))
        except WorkflowValidationError:
            continue
    return written
