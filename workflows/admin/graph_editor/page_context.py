"""The context of the graph editor: the diagram, the problems and the selected node."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext

from workflows import editing
from workflows.admin.base.formatting import admin_url
from workflows.admin.compare_versions import differences
from workflows.admin.graph_diagram import (
    MAX_NODES,
    SELECTED,
    Diagram,
    InsertLink,
    Mark,
    box_positions,
    build_diagram,
    icon_of,
    label_of,
    layout_diagram,
    render_diagram,
    type_title,
)
from workflows.admin.graph_editor.data_form import DataForm
from workflows.admin.graph_editor.json_page import UNKNOWN_HELP, UNKNOWN_LABEL, has_unknown_people
from workflows.admin.graph_editor.node_offers import data_schema, node_offers
from workflows.admin.graph_editor.offers import NO_OFFERS, Offers
from workflows.graph import START, node_types
from workflows.graph.comparison import EdgeKey, compare_graphs, list_objects
from workflows.graph.edit_steps import (
    Exit,
    GraphEditError,
    Source,
    is_fork,
    list_exits,
    list_incoming,
    list_optional_exits,
    list_required_exits,
    list_targets,
    node_data,
    require_editable,
)
from workflows.graph.parsing import name_node
from workflows.graph.positions import list_positions
from workflows.models import Version, Workflow
from workflows.refusals import Problem

DIAGRAM_KEY = "diagram"
ADD_ANCHOR = "add"
"""The id of the section that adds a node."""


def data_form(node: Mapping[str, Any], offers: Offers = NO_OFFERS) -> DataForm:
    """Return the form for the data of a node. Offers are needed only to show it."""
    return DataForm(data_schema(node), offers)


def parse_exit(text: str) -> tuple[Exit, str | None]:
    """Return the exit and the target node id from the value of an option.

    Raises:
        GraphEditError: the value is malformed.
    """
    try:
        exit_, target = json.loads(text or "[null, null]")
    except (ValueError, TypeError, RecursionError):
        raise GraphEditError(gettext("Unknown exit.")) from None
    if not all(one is None or isinstance(one, str) for one in (exit_, target)):
        raise GraphEditError(gettext("Unknown exit."))
    return exit_, target


def _exit_value(exit_: Exit, target: str | None) -> str:
    return json.dumps([exit_, target])


def page_context(
    workflow: Workflow,
    draft: editing.Draft,
    user: Any,
    node_id: str,
    posted: Mapping[str, Any] | None = None,
    at: str = "",
) -> dict[str, Any]:
    """Return the context of the page.

    Args:
        user: the user, whose permissions decide which names are offered.
        node_id: the id of the selected node.
        posted: the submitted inputs of the selected node, to show them again; they are not applied.
        at: the value of the exit at which the next node is added.
    """
    page = admin_url(Workflow, "edit", workflow.pk)
    source = draft.source
    found: dict[str, Any] = {
        "draft": draft,
        "page": page,
        "json_url": admin_url(Workflow, "graph", workflow.pk),
        "version_url": admin_url(Version, "change", draft.latest.pk),
        "size": len(list_objects(source, "nodes")),
        "max_nodes": MAX_NODES,
    }
    try:
        require_editable(source)
    except GraphEditError as damaged:
        return {**found, "damaged": str(damaged)}
    problems = editing.graph_problems(workflow, source)
    by_node, general = _group_problems(source, problems)
    known = {str(node["id"]): node for node in source["nodes"]}
    selected = known.get(node_id)
    urls = {key: _url(page, key) for key in known}
    base = draft.base_source() if draft.row is not None else source
    changes = compare_graphs(base, source)
    diagram = _diagram(source, by_node, node_id, urls, _inserts(page, source))
    layout = layout_diagram(diagram)
    title = gettext("Graph of %(workflow)s") % {"workflow": workflow}
    displayed = {} if layout is None else box_positions(layout)
    return {
        **found,
        "diagram": render_diagram(diagram, title, DIAGRAM_KEY, layout),
        "at": at,
        "general_problems": general,
        "node_problems": [
            {"label": label_of(known[key]), "url": urls[key], "problems": rows}
            for key, rows in by_node.items()
        ],
        "problems_total": len(problems),
        "warnings": editing.graph_warnings(workflow, source),
        "unknown_people": has_unknown_people(problems),
        "unknown_label": UNKNOWN_LABEL,
        "unknown_help": UNKNOWN_HELP,
        "my_changes": differences(base, source, changes),
        "is_moved": list_positions(base) != list_positions(source),
        "is_arranged": bool(list_positions(source)),
        "their_changes": _their_changes(draft, base),
        "node": selected
        and {
            **_node(workflow, source, user, selected, by_node, urls, posted),
            "position": _position(displayed.get(node_id), posted or {}),
        },
        "nodes": [
            {
                "id": key,
                "label": label_of(node),
                "type_title": type_title(str(node.get("type"))),
                "url": urls[key],
            }
            for key, node in known.items()
        ],
    }


def _position(position: Mapping[str, Any] | None, posted: Mapping[str, Any]) -> Any:
    """Return the position of a node with the numbers of its fields, which may be typed ones."""
    return position and {
        "stored": f"{position['x']},{position['y']}",
        "x": posted.get("position-x", str(position["x"])),
        "y": posted.get("position-y", str(position["y"])),
    }


def _url(page: str, key: str) -> str:
    return f"{page}?{urlencode({'node': key})}#{DIAGRAM_KEY}-{SELECTED}"


def _their_changes(draft: editing.Draft, base: Source) -> list[Any] | None:
    if not draft.is_stale:
        return None
    return differences(base, draft.latest.source, compare_graphs(base, draft.latest.source))


def _group_problems(
    source: Source, problems: Sequence[Problem]
) -> tuple[dict[str, list[Problem]], list[Problem]]:
    """Return the problems by node id, and the problems of the graph as a whole."""
    by_node: dict[str, list[Problem]] = defaultdict(list)
    general: list[Problem] = []
    for problem in problems:
        _, *path = problem.pointer.split("/")
        rows = source.get(path[0]) if path else None
        row = rows[int(path[1])] if rows and len(path) > 1 and path[1].isdecimal() else {}
        key = row.get("id") if path[:1] == ["nodes"] else row.get("source")
        known = any(node["id"] == key for node in source["nodes"])
        (by_node[str(key)] if known else general).append(problem)
    return dict(by_node), general


def _inserts(page: str, source: Source) -> dict[EdgeKey | str, list[InsertLink]]:
    """Return the links that insert a node into each edge and at each free exit."""
    if len(source["nodes"]) > MAX_NODES:
        return {}
    found: dict[EdgeKey | str, list[InsertLink]] = defaultdict(list)
    labels = {str(node["id"]): label_of(node) for node in source["nodes"]}
    for node in source["nodes"]:
        key, required = str(node["id"]), list_required_exits(node)
        names = {"node": labels[key]}
        targets = list_targets(source, key)
        for exit_, target in targets:
            names.update(exit=exit_ or "", target=labels.get(target or "", ""))
            if target is None and exit_ in required:
                text = gettext("Add a node after %(node)s") % names
                if exit_:
                    text = gettext("Add a node after %(node)s, exit %(exit)s") % names
                found[key].append(_insert(page, key, (exit_, None), text, exit_ or ""))
            elif target in labels:
                text = gettext("Insert a node between %(node)s and %(target)s") % names
                edge = (key, target or "", exit_ or "")
                found[edge].append(_insert(page, key, (exit_, target), text))
        if is_fork(node) and any(target for _exit, target in targets):
            text = gettext("Add a branch to %(node)s") % names
            found[key].append(_insert(page, key, (None, None), text, gettext("branch")))
    return found


def _insert(
    page: str, key: str, exit_: tuple[Exit, str | None], description: str, text: str = ""
) -> InsertLink:
    value = _exit_value(*exit_)
    url = f"{page}?{urlencode({'node': key, 'at': value})}#{ADD_ANCHOR}"
    return InsertLink(url, value, description, text)


def _diagram(
    source: Source,
    by_node: Mapping[str, list[Problem]],
    node_id: str,
    urls: Mapping[str, str],
    inserts: Mapping[EdgeKey | str, Sequence[InsertLink]],
) -> Diagram:
    states, marks = {}, {}
    for key in urls:
        rows = by_node.get(key, [])
        texts = [row.detail for row in rows]
        names = ["invalid"] if rows else []
        if rows:
            marks[key] = [
                Mark("!" if len(rows) == 1 else str(len(rows)), " ".join(texts), "incident")
            ]
        if key == node_id:
            names.append(SELECTED)
            texts.insert(0, gettext("Selected."))
        states[key] = (" ".join(names), " ".join(texts))
    return build_diagram(source, urls=urls, marks=marks, states=states, inserts=inserts)


def _node(
    workflow: Workflow,
    source: Source,
    user: Any,
    node: Mapping[str, Any],
    by_node: Mapping[str, list[Problem]],
    urls: Mapping[str, str],
    posted: Mapping[str, Any] | None,
) -> dict[str, Any]:
    key, type_name = str(node["id"]), str(node.get("type"))
    here = f"/nodes/{source['nodes'].index(node)}/data"
    own = by_node.get(key, [])
    # Submitted rows have other numbers than those of the draft, which the problems name.
    below = [row for row in own if posted is None and row.pointer.startswith(here)]
    offers = node_offers(workflow, source, node, user)
    form = data_form(node, offers)
    if posted is None:
        problems = [(row.pointer[len(here) :], _without_node_name(row, node)) for row in below]
        parts = form.build_parts(node_data(node), problems)
    else:
        parts = form.rebuild_parts(posted)
    labels = {str(row["id"]): label_of(row) for row in source["nodes"]}
    node_type = node_types().get(type_name)
    exits = [
        {
            "value": _exit_value(exit_, target),
            "exit": exit_,
            "target": target,
            "label": labels.get(target or "", target),
            "url": urls.get(target or ""),
            "is_optional": exit_ in list_optional_exits(node),
        }
        for exit_, target in list_targets(source, key)
    ]
    return {
        "id": key,
        "label": label_of(node),
        "type_title": type_title(type_name),
        "icon": icon_of(type_name),
        "description": node_type.description if node_type else "",
        "is_start": type_name == START,
        "parts": parts,
        "suggestions": offers.suggestions,
        "problems": [row for row in own if row not in below],
        "edges": exits,
        "insertion_points": [*exits, *_new_branch(node, exits)],
        "exits": [{"value": _exit_value(exit_, None), "name": exit_} for exit_ in list_exits(node)],
        "incoming": [
            {"label": labels.get(one[0], one[0]), "exit": one[2], "url": urls.get(one[0])}
            for one in list_incoming(source, key)
        ],
        "targets": [
            {
                "id": str(row["id"]),
                "label": label_of(row),
                "type_title": type_title(str(row.get("type"))),
            }
            for row in source["nodes"]
            if row.get("type") != START
        ],
        "types": [
            {
                "name": name,
                "title": one.title,
                "description": one.description,
                "icon": icon_of(name),
            }
            for name, one in sorted(node_types().items())
            if name != START
        ],
    }


def _new_branch(node: Mapping[str, Any], exits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not is_fork(node) or not any(one["target"] for one in exits):
        return []
    return [{"value": _exit_value(None, None), "exit": None, "target": None, "is_branch": True}]


def _without_node_name(problem: Problem, node: Mapping[str, Any]) -> str:
    """Return the message without the name of the node, which is the heading."""
    head, _, rest = problem.detail.partition(": ")
    return rest if head == name_node(node) else problem.detail
