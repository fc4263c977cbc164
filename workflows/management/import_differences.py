"""The plan of an import as lines, similar to a diff, and as JSON data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from workflows import files
from workflows.files import Plan, PlanItem
from workflows.graph.comparison import ADDED, CHANGED, REMOVED, FieldChange, list_objects
from workflows.guards import count

LONGEST = 120
SIGNS = {ADDED: "+", REMOVED: "-", CHANGED: "~"}


def format_plan(plan: Plan) -> Iterator[str]:
    """Yield a line for each created (+), changed (~) and unchanged (=) workflow, then the notes."""
    for target in plan.types:
        yield f"+ {target.noun} “{target.name}” ({target.cuid})"
    titles = {item.cuid: item.title for item in plan.items}
    for item in plan.items:
        if item.status == files.CREATED:
            yield f"+ workflow “{item.title}” ({item.cuid}): {_describe(item)}"
        elif item.status == files.CHANGED:
            version = f", version {item.version}" if item.version else ""
            yield f"~ workflow “{item.title}” ({item.cuid}){version}"
            yield from (f"    {line}" for line in _change_lines(item, titles))
    if unchanged := plan.list_by_status(files.UNCHANGED):
        yield f"= {count(len(unchanged), 'workflow')} unchanged"
    for item in plan.items:
        yield from (f"warning: “{item.title}”: {row.detail}" for row in item.warnings)
    yield from (f"note: {note}" for note in plan.notes)


def serialize_plan(plan: Plan) -> dict[str, Any]:
    """Return a plan as data, for ``--json``."""
    return {
        "types": [{"noun": row.noun, "cuid": row.cuid, "name": row.name} for row in plan.types],
        "workflows": [_item_data(item) for item in plan.items],
        "notes": plan.notes,
    }


def _describe(item: PlanItem) -> str:
    entry = item.entry
    nodes, edges = (len(item.source[key]) for key in ("nodes", "edges"))
    trigger = "" if entry.trigger == "manual" else f", trigger {entry.trigger}"
    return (
        f"{entry.state}, {item.type_target.noun} “{item.type_target.name}”{trigger}, "
        f"{count(nodes, 'node')}, {count(edges, 'edge')}"
    )


def _change_lines(item: PlanItem, titles: Mapping[str, str]) -> Iterator[str]:
    for change in item.setting_changes:
        yield f"{change.path}: {_shorten(change.before)} → {_shorten(change.after)}"
    if item.changes_type and item.stored:
        noun, cuid = item.stored.type_key
        yield (
            f"{noun} “{item.stored.type_name}” ({cuid}) → "
            f"{item.type_target.noun} “{item.type_target.name}” ({item.type_target.cuid})"
        )
    if not item.changes_graph:
        return
    found = item.graph_changes
    if item.is_rearranged:
        yield "~ positions or order of nodes and edges"
    types = {
        str(node.get("id")): node.get("type")
        for source in (item.stored.source if item.stored else {}, item.source)
        for node in list_objects(source, "nodes")
    }
    for node, operation in found.nodes.items():
        yield f"{SIGNS[operation]} node {node} ({types.get(node)})"
        for change in found.fields.get(node, []):
            yield f"    {_format_change(change, titles)}"
    for (source, target, handle), operation in found.edges.items():
        yield f"{SIGNS[operation]} edge {source} → {target}" + (f" by {handle}" if handle else "")


def _format_change(change: FieldChange, titles: Mapping[str, str]) -> str:
    def format_value(value: Any) -> str:
        is_call = change.path == "data.workflow" and value in titles
        return f"“{titles[value]}” ({value})" if is_call else _shorten(value)

    if change.operation == ADDED:
        return f"{change.path}: + {format_value(change.after)}"
    if change.operation == REMOVED:
        return f"{change.path}: - {format_value(change.before)}"
    return f"{change.path}: {format_value(change.before)} → {format_value(change.after)}"


def _shorten(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _item_data(item: PlanItem) -> dict[str, Any]:
    data: dict[str, Any] = {
        "cuid": item.cuid,
        "title": item.title,
        "status": item.status,
        "version": item.version,
        "warnings": [asdict(row) for row in item.warnings],
    }
    if item.status != files.CHANGED or item.stored is None:
        return data
    data["settings"] = {
        change.path: {"before": change.before, "after": change.after}
        for change in item.setting_changes
    }
    data["type"] = (
        {"before": item.stored.type_key[1], "after": item.type_target.cuid}
        if item.changes_type
        else None
    )
    data["graph"] = None
    if item.changes_graph:
        found = item.graph_changes
        data["graph"] = {
            "rearranged": item.is_rearranged,
            "nodes": found.nodes,
            "edges": [
                {"source": source, "target": target, "sourceHandle": handle, "change": operation}
                for (source, target, handle), operation in found.edges.items()
            ],
            "fields": {
                node: [
                    {
                        "path": row.path,
                        "change": row.operation,
                        "before": row.before,
                        "after": row.after,
                    }
                    for row in rows
                ]
                for node, rows in found.fields.items()
            },
        }
    return data
