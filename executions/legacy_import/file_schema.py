"""JSON Schema of the import file. Documented in ``docs/reference/legacy-file.md``."""

from __future__ import annotations

from typing import Any

from executions.engine.form_fields import FIELD_NAME
from executions.models import Status
from workflows.graph import MAX_ID_LENGTH, Schema
from workflows.graph.schemas import DIALECT
from workflows.models import Workflow

LAYOUT = 1
MAX_TITLE = 200

_ID = {
    "title": "Id",
    "description": "A text or an integer, from the older system.",
    "type": ["string", "integer"],
    "minLength": 1,
    "maxLength": 200,
}
_OPTIONAL_ID = {**_ID, "type": ["string", "integer", "null"]}
_TIME = {
    "title": "Time",
    "description": "A date and time such as 2026-05-04T09:30:00Z.",
    "type": "string",
}
_OPTIONAL_TIME = {**_TIME, "type": ["string", "null"]}
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
    "description": "The displayed name.",
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
    "Type changes",
    _object("Type change", ("at", "from"), **{"at": _TIME, "from": _ID, "to": _ID}),
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
    entity_name_type=_OPTIONAL_ID,
    primary_record_type=_OPTIONAL_ID,
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
        "description": "Starts at 1.",
        "type": "integer",
        "minimum": 1,
        "maximum": 2_000_000_000,
    },
    source=_SOURCE,
    created_at=_TIME,
    notes=_TEXT,
)
_CURRENT_NODE = _object(
    "Current node",
    ("node",),
    node=_NODE,
    since=_TIME,
    child=_OPTIONAL_ID,
    draft={"type": ["object", "null"]},
)
_VISIT = _object(
    "Visit",
    ("node",),
    node=_NODE,
    entered=_TIME,
    left=_TIME,
    data={},
    by={**_TEXT, "type": ["string", "null"]},
    child=_OPTIONAL_ID,
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
    parent=_OPTIONAL_ID,
    started_at=_TIME,
    started_by={**_TEXT, "type": ["string", "null"]},
    scheduled_for=_OPTIONAL_TIME,
    ended_at=_OPTIONAL_TIME,
    message=_TEXT,
    variables={"title": "Variables", "type": "object", "propertyNames": FIELD_NAME},
    current_nodes=_list("Current nodes", _CURRENT_NODE),
    history=_list("History", _VISIT),
)
SCHEMA = Schema(
    {
        "$schema": DIALECT,
        **_object(
            "File",
            ("holdfast_legacy", "workflows", "versions", "executions"),
            holdfast_legacy={
                "title": "Format",
                "description": f"The version of the format, {LAYOUT}.",
                "type": "integer",
                "enum": [LAYOUT],
            },
            system={
                "title": "System",
                "description": "The name of the older system.",
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
                    inventory_model=_OPTIONAL_ID,
                    fields=_FIELDS,
                    type_changes=_CHANGES,
                ),
            ),
            workflows=_list("Workflows", _WORKFLOW),
            versions=_list("Versions", _VERSION),
            executions=_list("Executions", _EXECUTION),
            contexts={
                "title": "Contexts",
                "description": "The types that an operator chose, by the ids of workflows.",
                "type": "object",
                "additionalProperties": _ID,
            },
        ),
    }
)
"""The schema of a file."""
