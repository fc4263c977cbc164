"""The pictures on the pages of workflows and versions: the graph, and who calls whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from workflows.admin.base.formatting import admin_url, execution_model, live_count
from workflows.admin.graph_picture import (
    DRAWN,
    Drawing,
    Line,
    Mark,
    Shown,
    callees_of,
    drawing,
    picture,
)
from workflows.admin.live_counts import standing
from workflows.graph.changes import objects
from workflows.models import Reference, Version, Workflow
from workflows.models.call_queries import walk


def node_urls(version: Version, known: Mapping[str, int] | None = None) -> dict[str, str]:
    """By node id, the place where its data are told; a call leads to its callee.

    ``known`` has ids of callees by cuid; the others are looked up.
    """
    page = admin_url(version, "change", version.pk)
    urls = {
        str(node.get("id")): f"{page}#node-{index}"
        for index, node in enumerate(objects(version.source, "nodes"))
    }
    called = callees_of(version.source)
    if called:
        ids = dict(known or {})
        unknown = set(called.values()) - set(ids)
        if unknown:
            ids |= Workflow.objects.filter(cuid__in=unknown).values_list("cuid", "pk")
        urls.update(
            (node_id, admin_url(Workflow, "change", ids[cuid]))
            for node_id, cuid in called.items()
            if cuid in ids
        )
    return urls


def graph_section(
    version: Version,
    relation: str,
    pk: int,
    *,
    may_list: bool,
    known: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """The graph of a version with the live executions of the workflow or of the version on it."""
    marks = standing(relation, pk, linked=may_list)
    nodes = objects(version.source, "nodes")
    there = {str(node.get("id")) for node in nodes}
    states = {
        node_id: ("failed", told)
        for node_id, found in marks.items()
        if (told := ". ".join(mark.told for mark in found if mark.kind == "incident"))
    }
    drawn = drawing(version.source, urls=node_urls(version, known), marks=marks, states=states)
    return {
        "graph": picture(drawn, f"Graph of {version}", "graph"),
        "graph_version": version,
        "graph_size": len(nodes),
        "graph_drawn": DRAWN,
        "elsewhere": [
            {"node": node_id, "marks": found}
            for node_id, found in marks.items()
            if node_id not in there
        ],
    }


@dataclass(frozen=True, slots=True)
class Calls:
    """Who calls a workflow and whom it calls, directly or through others, and the picture of it."""

    callers: list[dict[str, Any]]
    callees: list[dict[str, Any]]
    ids: dict[str, int]
    """By cuid, the id of each of them."""
    picture: SafeString | None


def calls_around(workflow: Any) -> Calls:
    """Ask who calls whom around this workflow; it has ``live_number``, as the others get it here.

    What counts is what ``Workflow.get_workflow_dependencies()`` tells. Four statements.
    """
    using = workflow._state.db or "default"
    callers = set(walk([workflow.pk], "callers", using, in_use=True)) - {workflow.pk}
    callees = set(walk([workflow.pk], "callees", using, in_use=True)) - {workflow.pk}
    others = list(
        Workflow.objects.select_related("entity_name_type", "primary_record_type")
        .filter(pk__in=callers | callees)
        .annotate(live_number=live_count("workflow"))
        .order_by("title", "pk")
    )
    rows = {row.pk: row for row in [workflow, *others]}
    pairs = list(
        Reference.objects.filter(in_force=True, version__workflow__in=rows, callee__in=rows)
        .order_by("version__workflow_id", "callee_id")
        .values_list("version__workflow_id", "callee_id")
        .distinct()
    )
    drawn = Drawing(
        [_called(row, is_here=row.pk == workflow.pk) for row in rows.values()],
        [Line(str(caller), str(callee)) for caller, callee in pairs],
    )
    return Calls(
        [_told(row, (row.pk, workflow.pk) in pairs) for row in others if row.pk in callers],
        [_told(row, (workflow.pk, row.pk) in pairs) for row in others if row.pk in callees],
        {row.cuid: row.pk for row in others},
        picture(drawn, f"Calls around {workflow}", "calls") if others else None,
    )


def _told(row: Any, direct: bool) -> dict[str, Any]:
    return {
        "title": row.title,
        "url": admin_url(row, "change", row.pk),
        "direct": direct,
        "live_executions": row.live_number,
    }


def _called(row: Any, *, is_here: bool) -> Shown:
    live = row.live_number
    url = admin_url(execution_model(), "changelist", workflow=row.pk, live="yes")
    told = f"{live} live execution{'' if live == 1 else 's'}"
    return Shown(
        str(row.pk),
        row.title,
        str(row.context_type),
        "workflow",
        "This workflow" if is_here else "",
        "here" if is_here else "",
        None if is_here else admin_url(row, "change", row.pk),
        [Mark(str(live), told, url=url)] if live else [],
    )
