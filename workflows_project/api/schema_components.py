"""Components of the OpenAPI document that no serializer describes: errors and headers."""

from __future__ import annotations

from typing import Any

from executions.models.subscription import EVENTS, TEST
from workflows_project.api.schema_graphs import EDGES, NODES, Component, reference

_TEXT = {"type": "string"}
_URL = {"type": "string", "format": "uri"}
_COUNT = {"type": "integer", "minimum": 0}


def _object(**properties: Any) -> Component:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _list(items: Component) -> Component:
    return {"type": "array", "items": items}


PROBLEM = "Problem"
SCHEMAS: dict[str, Component] = {
    PROBLEM: {
        "description": "An error (RFC 9457).",
        **_object(
            type={**_TEXT, "description": "`/problems/` and the code."},
            title={**_TEXT, "description": "The phrase of the status."},
            status={"type": "integer", "description": "The status."},
            detail={**_TEXT, "description": "The error message."},
            code={**_TEXT, "description": "The error code. Codes do not change."},
            errors={**_list(reference("ProblemError")), "description": "All problems."},
        ),
    },
    "ProblemError": {
        "description": "One problem of the request.",
        **_object(
            pointer={
                **_TEXT,
                "description": "A JSON pointer (RFC 6901); empty for the whole request.",
            },
            code={**_TEXT, "description": "The error code."},
            detail={**_TEXT, "description": "The error message."},
        ),
    },
    "Blockers": {
        "description": "The first blockers of an edit, and their total number.",
        **_object(
            executions={
                **_list(reference("BlockingExecution")),
                "description": "The first executions, if the user may view them.",
            },
            workflows={**_list(reference("WorkflowLink")), "description": "The workflows."},
            total={**_COUNT, "description": "The number of all blockers."},
        ),
    },
    "Remedy": {
        "description": "A way to resolve the refusal.",
        **_object(
            code={**_TEXT, "description": "The code of the remedy. Codes do not change."},
            detail={**_TEXT, "description": "The sentence for users."},
            workflows={**_list(_TEXT), "description": "The cuids of the workflows it concerns."},
        ),
    },
    "BlockingExecution": {
        "description": "A live execution that blocks an edit.",
        **_object(
            cuid={**_TEXT, "description": "The cuid of the execution."},
            status=reference("ExecutionStatus"),
            workflow={**_TEXT, "description": "The cuid of its workflow."},
            url={**_URL, "description": "The URL of the execution."},
        ),
    },
    "AuditValues": {
        "description": "Values of a record by the names of its fields.",
        "type": "object",
        "additionalProperties": {},
    },
    "TriggerData": {
        "description": "The settings of a trigger. `changed` has `fields` and `rule`, both "
        "optional; `webhook` has `secret`; `schedule` has `cron`, or `every` and `from_field`, "
        "with an optional `rule`; other triggers have none.",
        "type": "object",
        "properties": {
            "fields": {
                **_list(reference("FieldName")),
                "description": "The fields whose change starts the workflow.",
            },
            "rule": reference("Rule"),
            "secret": {**_TEXT, "description": "The name of the secret that signs requests."},
            "cron": {**_TEXT, "description": "A cron expression of five fields."},
            "every": {**_TEXT, "description": "The interval, for example `P1Y` or `3 months`."},
            "from_field": {
                **reference("FieldName"),
                "description": "The date field at which the intervals begin.",
            },
        },
        "additionalProperties": False,
    },
}
SCHEMAS[PROBLEM]["properties"] |= {
    "blockers": reference("Blockers"),
    "remedies": {**_list(reference("Remedy")), "description": "Ways to resolve the refusal."},
}

HEADERS: dict[str, Component] = {
    "ETag": {
        "description": "The state of the record. Send it as If-Match with an edit.",
        "schema": _TEXT,
    },
    "Link": {
        "description": "The URLs of the next and the previous page (RFC 8288), if any.",
        "schema": _TEXT,
    },
    "Location": {"description": "The URL of the created record.", "schema": _TEXT},
    "RateLimit": {
        "description": "The requests that are left, `r`, and the seconds until more are, `t`.",
        "schema": _TEXT,
    },
    "RateLimit-Policy": {
        "description": "The limit: `q` requests in `w` seconds.",
        "schema": _TEXT,
    },
    "Retry-After": {"description": "The time to wait, in seconds.", "schema": _COUNT},
    "Idempotency-Replayed": {
        "description": "Present if this is the response to an earlier request with the same key.",
        "schema": {"const": "true"},
    },
    "Dry-Run": {
        "description": "Present if this was a dry run.",
        "schema": {"const": "true"},
    },
}

SIGNATURE: Component = {
    "type": "apiKey",
    "in": "header",
    "name": "X-Holdfast-Signature",
    "description": "The signature of the body with a shared secret.",
}
"""The security scheme of incoming webhooks."""

_ANSWERS: Component = {"type": "object", "additionalProperties": {}}
_OBJECT_OR_NULL: Component = {"type": ["object", "null"], "additionalProperties": {}}

TYPED: dict[str, dict[str, Component]] = {
    "AuditEntry": {
        "before": reference("AuditValues"),
        "after": reference("AuditValues"),
    },
    "DraftRequest": {"data": _ANSWERS},
    "ExecutionEntity": {"fields": _OBJECT_OR_NULL},
    "Form": {"fields": _list(reference("FormField"))},
    "NodeType": {"name": reference("NodeTypeName")},
    "OpenStep": {"type": reference("NodeTypeName"), "draft": _OBJECT_OR_NULL},
    "Step": {
        "type": reference("NodeTypeName"),
        "input": _OBJECT_OR_NULL,
        "output": _OBJECT_OR_NULL,
    },
    "SubmitRequest": {"data": _ANSWERS},
    "Task": {"type": reference("NodeTypeName")},
    "WebhookDelivery": {"event": {**_TEXT, "enum": [*EVENTS, TEST]}},
    "VersionWithGraph": {
        "source": reference("Graph"),
        "nodes": NODES,
        "edges": EDGES,
    },
    "SavedVersion": {
        "source": reference("Graph"),
        "nodes": NODES,
        "edges": EDGES,
    },
    "Workflow": {"trigger_data": reference("TriggerData")},
    "WorkflowRequest": {"trigger_data": reference("TriggerData")},
    "WorkflowPatchRequest": {"trigger_data": reference("TriggerData")},
    "SaveGraphRequest": {
        "nodes": NODES,
        "edges": EDGES,
    },
}
"""Types of properties that serializers declare as JSON, because services check the values."""
