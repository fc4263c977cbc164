"""What the page where a graph is drawn shows: the picture, the problems, and the node selected."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from workflows import editing
from workflows.admin.base.formatting import admin_url
from workflows.admin.compare_versions import differences
from workflows.admin.graph_editor.data_form import DataForm
from workflows.admin.graph_editor.json_page import UNKNOWN_HELP, UNKNOWN_LABEL, has_unknown_people
from workflows.admin.graph_picture import (
    DRAWN,
    SELECTED,
    Mark,
    drawing,
    icon_of,
    label_of,
    picture,
    type_title,
)
from workflows.graph import RUN_WORKFLOW, START, node_types
from workflows.graph.changes import changes, objects
from workflows.graph.editing import (
    CannotEdit,
    Exit,
    Source,
    data_of,
    exits_of,
    forks,
    readable,
    ways_in,
    ways_out,
)
from workflows.models import Version, Workflow, call_queries
from workflows.refusals import Problem

CALLEES = 500
PICTURE = "draw"


def data_form(node: Mapping[str, Any], workflow: Workflow) -> DataForm:
    """The form of this node's data; a call chooses among the workflows that it may call."""
    kind = node_types().get(str(node.get("type")))
    if kind is None:
        return DataForm({"properties": {}})
    choices = {"workflow-cuid": callees(workflow)} if kind.name == RUN_WORKFLOW else {}
    return DataForm(kind.data_schema.text, choices)


def callees(workflow: Workflow) -> list[tuple[str, str]]:
    """The workflows that this one could call: cuid and title. They are of its type, not retired,
    and do not lead back to it.
    """
    rows = Workflow.objects.filter(context_key=workflow.context.key)
    rows = rows.exclude(state=Workflow.State.RETIRED)
    rows = rows.exclude(pk__in=call_queries.walk([workflow.pk], "callers", "default"))
    named = rows.order_by("title", "pk").values_list("cuid", "title", "state")[:CALLEES]
    return [
        (cuid, title if state == "active" else f"{title} ({state})") for cuid, title, state in named
    ]


def way_of(text: str) -> tuple[Exit, str | None]:
    """The exit and the target that the value of an option spells. Raises ``CannotEdit``."""
    try:
        exit_, target = json.loads(text or "[null, null]")
    except (ValueError, TypeError, RecursionError):
        raise CannotEdit("There is no such way.") from None
    if not all(one is None or isinstance(one, str) for one in (exit_, target)):
        raise CannotEdit("There is no such way.")
    return exit_, target


def _value(exit_: Exit, target: str | None) -> str:
    return json.dumps([exit_, target])


def shown(
    workflow: Workflow, draft: editing.Draft, node_id: str, typed: Mapping[str, Any] | None
) -> dict[str, Any]:
    """All that the page shows.

    Args:
        typed: the data of the selected node as they were typed, where they could not be kept.
    """
    page = admin_url(Workflow, "edit", workflow.pk)
    source = draft.source
    found: dict[str, Any] = {
        "draft": draft,
        "page": page,
        "json_url": admin_url(Workflow, "graph", workflow.pk),
        "version_url": admin_url(Version, "change", draft.latest.pk),
        "size": len(objects(source, "nodes")),
        "drawn": DRAWN,
    }
    try:
        readable(source)
    except CannotEdit as damaged:
        return {**found, "damaged": str(damaged)}
    problems = editing.graph_problems(workflow, source)
    by_node, whole = _placed(source, problems)
    known = {str(node["id"]): node for node in source["nodes"]}
    selected = known.get(node_id)
    urls = {key: _url(page, key) for key in known}
    base = draft.base_source() if draft.row is not None else source
    mine = changes(base, source)
    return {
        **found,
        "graph": _picture(workflow, source, by_node, node_id, urls),
        "whole_problems": whole,
        "node_problems": [
            {"label": label_of(known[key]), "url": urls[key], "problems": rows}
            for key, rows in by_node.items()
        ],
        "problems_total": len(problems),
        "unknown_people": has_unknown_people(problems),
        "unknown_label": UNKNOWN_LABEL,
        "unknown_help": UNKNOWN_HELP,
        "mine": differences(base, source, mine),
        "theirs": _theirs(draft, base),
        "node": selected and _node(workflow, source, selected, by_node, urls, typed),
        "nodes": [
            {"label": label_of(node), "kind": type_title(str(node.get("type"))), "url": urls[key]}
            for key, node in known.items()
        ],
    }


def _url(page: str, key: str) -> str:
    return f"{page}?{urlencode({'node': key})}#{PICTURE}-{SELECTED}"


def _theirs(draft: editing.Draft, base: Source) -> list[Any] | None:
    if not draft.is_stale:
        return None
    return differences(base, draft.latest.source, changes(base, draft.latest.source))


def _placed(
    source: Source, problems: Sequence[Problem]
) -> tuple[dict[str, list[Problem]], list[Problem]]:
    """The problems by the node that they are told at, and those of the whole drawing."""
    by_node: dict[str, list[Problem]] = defaultdict(list)
    whole: list[Problem] = []
    for problem in problems:
        _, *path = problem.pointer.split("/")
        rows = source.get(path[0]) if path else None
        row = rows[int(path[1])] if rows and len(path) > 1 and path[1].isdecimal() else {}
        key = row.get("id") if path[:1] == ["nodes"] else row.get("source")
        known = any(node["id"] == key for node in source["nodes"])
        (by_node[str(key)] if known else whole).append(problem)
    return dict(by_node), whole


def _picture(
    workflow: Workflow,
    source: Source,
    by_node: Mapping[str, list[Problem]],
    node_id: str,
    urls: Mapping[str, str],
) -> Any:
    states, marks = {}, {}
    for key in urls:
        rows = by_node.get(key, [])
        told = [row.detail for row in rows]
        names = ["flawed"] if rows else []
        if rows:
            marks[key] = [
                Mark("!" if len(rows) == 1 else str(len(rows)), " ".join(told), "incident")
            ]
        if key == node_id:
            names.append(SELECTED)
            told.insert(0, "Selected.")
        states[key] = (" ".join(names), " ".join(told))
    drawn = drawing(source, urls=urls, marks=marks, states=states)
    return picture(drawn, f"Drawing of {workflow}", PICTURE)


def _node(
    workflow: Workflow,
    source: Source,
    node: Mapping[str, Any],
    by_node: Mapping[str, list[Problem]],
    urls: Mapping[str, str],
    typed: Mapping[str, Any] | None,
) -> dict[str, Any]:
    key, kind = str(node["id"]), str(node.get("type"))
    here = f"/nodes/{source['nodes'].index(node)}/data"
    own = by_node.get(key, [])
    below = [row for row in own if row.pointer.startswith(here)]
    data = data_of(node) if typed is None else typed
    form = data_form(node, workflow)
    parts = form.shown(data, [(row.pointer[len(here) :], _short(row, key)) for row in below])
    labels = {str(row["id"]): label_of(row) for row in source["nodes"]}
    known = node_types().get(kind)
    ways = [
        {
            "value": _value(exit_, target),
            "exit": exit_,
            "target": target,
            "label": labels.get(target or "", target),
            "url": urls.get(target or ""),
        }
        for exit_, target in ways_out(source, key)
    ]
    return {
        "id": key,
        "label": label_of(node),
        "kind": type_title(kind),
        "icon": icon_of(kind),
        "description": known.description if known else "",
        "is_start": kind == START,
        "parts": parts,
        "problems": [row for row in own if row not in below],
        "ways": ways,
        "open_ways": [*ways, *_branch(node, ways)],
        "exits": [{"value": _value(exit_, None), "name": exit_} for exit_ in exits_of(node)],
        "arriving": [
            {"label": labels.get(one[0], one[0]), "exit": one[2], "url": urls.get(one[0])}
            for one in ways_in(source, key)
        ],
        "targets": [
            {"id": str(row["id"]), "label": label_of(row), "kind": type_title(str(row.get("type")))}
            for row in source["nodes"]
            if row.get("type") != START
        ],
        "kinds": [one for name, one in sorted(node_types().items()) if name != START],
    }


def _branch(node: Mapping[str, Any], ways: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not forks(node) or not any(way["target"] for way in ways):
        return []
    return [{"value": _value(None, None), "exit": None, "target": None, "is_branch": True}]


def _short(problem: Problem, key: str) -> str:
    """The sentence without the name of the node, which stands above."""
    head, _, rest = problem.detail.partition(": ")
    return rest if head == f"Node '{key}'" else problem.detail
