"""Export of workflows and everything that they call as a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workflows.db import locks
from workflows.files import file_schema
from workflows.files.text_formats import Inline, canonical_copy, dump
from workflows.graph import RUN_WORKFLOW
from workflows.models import EntityName, FindingType, RecordType, Reference, Version, Workflow


def export_workflows(workflows: Iterable[Workflow], form: str) -> tuple[str, int]:
    """Return the text of a file with these workflows and all that they call, and their number.

    The file has the latest versions. The export reads one state of the database and locks nothing.
    """
    with locks.stable_snapshot():
        rows = _find_called({row.pk for row in workflows})
        return dump(_file_data(rows), form), len(rows)


def _find_called(ids: set[int]) -> list[Workflow]:
    found, fresh = set(ids), set(ids)
    while fresh:
        # The latest version of a retired workflow is not in force, but it is exported.
        latest = Version.objects.filter(workflow_id__in=fresh).latest_of_each()
        called = Reference._base_manager.filter(version__in=latest)
        fresh = set(called.values_list("callee_id", flat=True)) - found
        found |= fresh
    rows = Workflow._base_manager.filter(pk__in=found)
    return list(rows.select_related("entity_name_type", "primary_record_type").order_by("pk"))


def _file_data(rows: list[Workflow]) -> dict[str, Any]:
    latest = {
        version.workflow_id: version.source_with_positions
        for version in Version.objects.filter(workflow__in=rows).latest_of_each().order_by()
    }
    titles = {row.cuid: row.title for row in rows}
    by_cuid = sorted(rows, key=lambda row: row.cuid)
    return {
        "format": file_schema.FORMAT,
        "finding_types": _types_data(row.entity_name_type for row in rows),
        "record_types": _types_data(row.primary_record_type for row in rows),
        "workflows": [_workflow_data(row, latest[row.pk], titles) for row in by_cuid],
    }


def _types_data(rows: Iterable[FindingType | RecordType | None]) -> list[dict[str, Any]]:
    used = {row.cuid: row for row in rows if row is not None}
    return [
        {"cuid": cuid, "name": row.name, "description": row.description}
        for cuid, row in sorted(used.items())
    ]


def _workflow_data(
    row: Workflow, source: dict[str, Any], titles: Mapping[str, str]
) -> dict[str, Any]:
    context_type = row.context_type
    assert context_type is not None
    is_finding = row.entity_name == EntityName.FINDING
    return {
        "cuid": row.cuid,
        "title": row.title,
        "description": row.description,
        "state": row.state,
        "entity_name": row.entity_name,
        "entity_name_type" if is_finding else "primary_record_type": {
            "name": context_type.name,
            "cuid": context_type.cuid,
        },
        "trigger": row.trigger,
        "trigger_data": canonical_copy(row.trigger_data),
        "nodes": [_node_data(node, titles) for node in source["nodes"]],
        "edges": [
            file_schema.order_keys(canonical_copy(edge), file_schema.EDGE)
            for edge in source["edges"]
        ],
    }


def _node_data(node: dict[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    row = file_schema.order_keys(canonical_copy(node), file_schema.NODE)
    data = row.get("data")
    if isinstance(data, dict):
        row["data"] = data = file_schema.order_data(data)
        if row["type"] == RUN_WORKFLOW:
            # The title is for readers; an import matches by either.
            cuid = data["workflow"]
            title = {"title": titles[cuid]} if cuid in titles else {}
            data["workflow"] = {**title, "cuid": cuid}
    if isinstance(row.get("position"), dict):
        row["position"] = Inline(row["position"])
    return row
