"""The layout of the file that an older system is brought over by, as a JSON Schema.

Described, with examples, in ``docs/legacy-import.md``.
"""

from __future__ import annotations

from typing import Any

from executions.models import Status
from workflows.graph import MAX_ID_LENGTH, Schema
from workflows.graph.schemas import DIALECT
from workflows.models import Workflow

LAYOUT = 1
MAX_TITLE = 200

_ID = {
    "title": "Id",
    "description": "A text or a whole number, as the old system has it.",
    "type": ["string", "integer"],
    "minLength": 1,
    "maxLength": 200,
}
_NO_ID = {**_ID, "type": ["string", "integer", "null"]}
_TIME = {
    "title": "Time",
    "description": "A date and time such as 2026-05-04T09:30:00Z.",
    "type": "string",
}
_NO_TIME = {**_TIME, "type": ["string", "null"]}
_TEXT = {"title": "Text", "type": "string"}
_NODE = {
    "title": "Node",
    "description": "The id of a node.",
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_LENGTH,
}
_FIELDS = {"title": "Fields", "type": "object"}
_TITLE = {
    "title": "Title",
    "description": "What people call it.",
    "type": "string",
    "pattern": r"\S",
    "maxLength": MAX_TITLE,
}


def _object(title: str, required: tuple[str, ...], /, **properties: Any) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(title: str, items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "type": "array", "items": items}


_TYPE = _object("Type", ("id", "name"), id=_ID, name=_TITLE, description=_TEXT)
_CHANGES = _list(
    "Changes of type",
    _object("Change of type", ("at", "from"), **{"at": _TIME, "from": _ID, "to": _ID}),
)
_SOURCE = _object(
    "Source",
    ("nodes", "edges"),
    nodes={"title": "Nodes", "type": "array"},
    edges={"title": "Edges", "type": "array"},
)
_WORKFLOW = _object(
    "Workflow",
    ("id", "title"),
    id=_ID,
    title=_TITLE,
    description=_TEXT,
    entity_name={"title": "Entity name", "enum": ["Finding", "InventoryModel"]},
    entity_name_type=_NO_ID,
    primary_record_type=_NO_ID,
    trigger={"title": "Trigger", "enum": list(Workflow.Trigger.values)},
    trigger_data=_FIELDS,
    state={"title": "State", "enum": list(Workflow.State.values)},
    type_changes=_CHANGES,
)
_VERSION = _object(
    "Version",
    ("workflow", "number", "source"),
    id=_ID,
    workflow=_ID,
    number={
        "title": "Number",
        "description": "Counted from 1.",
        "type": "integer",
        "minimum": 1,
        "maximum": 2_000_000_000,
    },
    source=_SOURCE,
    created_at=_TIME,
    notes=_TEXT,
)
_STAND = _object(
    "Place", ("node",), node=_NODE, since=_TIME, child=_NO_ID, draft={"type": ["object", "null"]}
)
_VISIT = _object(
    "Visit",
    ("node",),
    node=_NODE,
    entered=_TIME,
    left=_TIME,
    data={},
    by={**_TEXT, "type": ["string", "null"]},
    child=_NO_ID,
)
_EXECUTION = _object(
    "Execution",
    ("id", "workflow", "version", "status", "started_at"),
    id=_ID,
    workflow=_ID,
    version=_VERSION["properties"]["number"],
    finding=_ID,
    inventory_model=_ID,
    status={"title": "Status", "enum": list(Status.values)},
    parent=_NO_ID,
    started_at=_TIME,
    started_by={**_TEXT, "type": ["string", "null"]},
    scheduled_for=_NO_TIME,
    ended_at=_NO_TIME,
    message=_TEXT,
    current_nodes=_list("Current nodes", _STAND),
    history=_list("History", _VISIT),
)
SCHEMA = Schema(
    {
        "$schema": DIALECT,
        **_object(
            "File",
            ("holdfast_legacy", "workflows", "versions", "executions"),
            holdfast_legacy={
                "title": "Layout",
                "description": f"The number of the layout, {LAYOUT}.",
                "type": "integer",
                "enum": [LAYOUT],
            },
            system={
                "title": "System",
                "description": "The name of the old system.",
                "type": "string",
                "maxLength": MAX_TITLE,
            },
            finding_types=_list("Finding types", _TYPE),
            record_types=_list("Record types", _TYPE),
            inventory_models=_list(
                "Inventory models",
                _object(
                    "Inventory model",
                    ("id", "title", "record_type"),
                    id=_ID,
                    title=_TITLE,
                    record_type=_ID,
                    fields=_FIELDS,
                    type_changes=_CHANGES,
                ),
            ),
            findings=_list(
                "Findings",
                _object(
                    "Finding",
                    ("id", "title", "finding_type"),
                    id=_ID,
                    title=_TITLE,
                    finding_type=_ID,
                    inventory_model=_NO_ID,
                    fields=_FIELDS,
                    type_changes=_CHANGES,
                ),
            ),
            workflows=_list("Workflows", _WORKFLOW),
            versions=_list("Versions", _VERSION),
            executions=_list("Executions", _EXECUTION),
            contexts={
                "title": "Contexts",
                "description": "By the id of a workflow, the type that an operator has decided.",
                "type": "object",
                "additionalProperties": _ID,
            },
        ),
    }
)
"""What a file may hold."""
