"""Graph and call diagrams of the workflow and version pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from workflows import running
from workflows.admin.base.formatting import admin_url, execution_model, live_count
from workflows.admin.graph_diagram import (
    MAX_NODES,
    Diagram,
    EdgeLine,
    Mark,
    NodeBox,
    build_diagram,
    callees_of,
    render_diagram,
)
from workflows.graph.comparison import list_objects
from workflows.models import Reference, Version, Workflow
from workflows.models.call_queries import follow_calls
from workflows.running import Relation


def live_execution_marks(
    relation: Relation, pk: int, *, linked: bool = True
) -> dict[str, list[Mark]]:
    """Return the numbers of live executions at each node, by node id.

    Executions with an incident are counted separately. Runs one query.

    Args:
        relation: the field of executions that refers to the row: ``workflow`` or ``version``.
        pk: the id of the row.
        linked: whether the marks link to the list of executions.
    """
    execution = execution_model()
    marks: dict[str, list[Mark]] = {}
    for node_id, has_incident, number in running.registered.executions_by_node(relation, pk):
        query = {relation: pk, "node": node_id, **({"incident": "yes"} if has_incident else {})}
        marks.setdefault(node_id, []).append(
            Mark(
                str(number),
                _incident_text(number) if has_incident else _live_text(number),
                "incident" if has_incident else "live",
                admin_url(execution, "changelist", **query) if linked else None,
            )
        )
    return marks


def _live_text(number: int) -> str:
    text = ngettext("%(number)s live execution", "%(number)s live executions", number)
    return text % {"number": number}


def _incident_text(number: int) -> str:
    text = ngettext(
        "%(number)s execution with an incident", "%(number)s executions with an incident", number
    )
    return text % {"number": number}


def node_urls(version: Version) -> dict[str, str]:
    """Return the URLs of the nodes of a version, by node id.

    A call leads to the called workflow, any other node to its settings on the version page.
    """
    page = admin_url(version, "change", version.pk)
    urls = {
        str(node.get("id")): f"{page}#node-{index}"
        for index, node in enumerate(list_objects(version.source, "nodes"))
    }
    callees = callees_of(version.source)
    if callees:
        rows = Workflow.objects.filter(cuid__in=set(callees.values()))
        ids = dict(rows.values_list("cuid", "pk"))
        urls.update(
            (node_id, admin_url(Workflow, "change", ids[cuid]))
            for node_id, cuid in callees.items()
            if cuid in ids
        )
    return urls


def graph_section(
    version: Version,
    relation: Relation,
    pk: int,
    *,
    may_list: bool,
) -> dict[str, Any]:
    """Return the context of the graph section of a version.

    Args:
        relation: whose live executions are marked: ``workflow`` or ``version``.
        pk: the id of that row.
        may_list: whether the user may view executions and gets links to them.
    """
    marks = live_execution_marks(relation, pk, linked=may_list)
    nodes = list_objects(version.source, "nodes")
    node_ids = {str(node.get("id")) for node in nodes}
    states = {
        node_id: ("failed", text)
        for node_id, found in marks.items()
        if (text := ". ".join(mark.description for mark in found if mark.state == "incident"))
    }
    diagram = build_diagram(
        version.source_with_positions, urls=node_urls(version), marks=marks, states=states
    )
    title = gettext("Graph of %(version)s") % {"version": version}
    return {
        "graph": render_diagram(diagram, title, "graph"),
        "graph_version": version,
        "graph_size": len(nodes),
        "max_nodes": MAX_NODES,
        "removed_nodes": [
            {"node": node_id, "marks": found}
            for node_id, found in marks.items()
            if node_id not in node_ids
        ],
    }


@dataclass(frozen=True, slots=True)
class Calls:
    """The direct and indirect callers and callees of a workflow, with their diagram."""

    callers: list[dict[str, Any]]
    callees: list[dict[str, Any]]
    diagram: SafeString | None


def calls_around(workflow: Any) -> Calls:
    """Return the callers and callees of a workflow, as ``get_workflow_dependencies()`` counts them.

    Runs four queries.

    Args:
        workflow: a workflow with the annotation ``live_number``.
    """
    callers = set(follow_calls([workflow.pk], "callers", in_use=True)) - {workflow.pk}
    callees = set(follow_calls([workflow.pk], "callees", in_use=True)) - {workflow.pk}
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
    diagram = Diagram(
        [_workflow_box(row, is_current=row.pk == workflow.pk) for row in rows.values()],
        [EdgeLine(str(caller), str(callee)) for caller, callee in pairs],
    )
    title = gettext("Calls around %(workflow)s") % {"workflow": workflow}
    return Calls(
        [_call_row(row, (row.pk, workflow.pk) in pairs) for row in others if row.pk in callers],
        [_call_row(row, (workflow.pk, row.pk) in pairs) for row in others if row.pk in callees],
        render_diagram(diagram, title, "calls") if others else None,
    )


def _call_row(row: Any, is_direct: bool) -> dict[str, Any]:
    return {
        "title": row.title,
        "url": admin_url(row, "change", row.pk),
        "is_direct": is_direct,
        "live_executions": row.live_number,
    }


def _workflow_box(row: Any, *, is_current: bool) -> NodeBox:
    live = row.live_number
    url = admin_url(execution_model(), "changelist", workflow=row.pk, live="yes")
    return NodeBox(
        str(row.pk),
        row.title,
        str(row.context_type),
        "workflow",
        gettext("This workflow") if is_current else "",
        "here" if is_current else "",
        None if is_current else admin_url(row, "change", row.pk),
        [Mark(str(live), _live_text(live), url=url)] if live else [],
    )
