"""Examples of bodies in the OpenAPI document, by the name of their schema."""

from __future__ import annotations

from typing import Any

from workflows_project.api.example_objects import (
    ACTIVE,
    BLOCKERS,
    CALLEE,
    COMMENT,
    EXCEPTION,
    EXECUTION,
    EXECUTION_DATA,
    FINDING,
    FINDING_DATA,
    GRAPH,
    HERE,
    LIMITATION,
    LISTED_EXECUTION,
    MODEL,
    NAMED_WORKFLOW,
    PENDING_CHANGE,
    REMEDIES,
    REQUESTED_AT,
    SCORING,
    STEP,
    TOKEN,
    VERSION,
    WEBHOOK,
    WEBHOOK_DATA,
    WHY,
    WORKFLOW,
    WORKFLOW_DATA,
)
from workflows_project.api.example_problems import PROBLEMS


def _bulk(**item: Any) -> dict[str, Any]:
    return {"items": [item], "dry_run": False}


_RESULT = {
    "dry_run": False,
    "succeeded": 1,
    "failed": 0,
    "results": [
        {
            "index": 0,
            "status": 200,
            "execution": {
                **EXECUTION_DATA,
                "status": "cancelled",
                "open_steps": [],
                "message": WHY,
            },
            "problem": None,
            "replayed": False,
        }
    ],
}

EXAMPLES: dict[str, Any] = {
    **{f"Problem {row['status']}": row for row in PROBLEMS},
    "FindingType": {
        "cuid": LIMITATION,
        "name": "Model Limitation",
        "description": "A known limit of a model.",
    },
    "RecordType": {"cuid": MODEL, "name": "Model", "description": ""},
    "InventoryModel": {
        "cuid": SCORING,
        "external_id": None,
        "created_at": REQUESTED_AT,
        "updated_at": REQUESTED_AT,
        "title": "Credit scoring",
        "record_type": MODEL,
        "fields": {"tier": 1},
    },
    "Finding": FINDING_DATA,
    "BulkFindingsRequest": _bulk(
        external_id="GRC-1042",
        title="Thin data before 2015",
        entity_name_type=LIMITATION,
        fields={"severity": "high"},
    ),
    "BulkFindingsResult": {
        **_RESULT,
        "results": [
            {
                "index": 0,
                "status": 201,
                "finding": FINDING_DATA,
                "problem": None,
                "replayed": False,
            }
        ],
    },
    "Workflow": WORKFLOW_DATA,
    "Version": VERSION,
    "VersionWithGraph": {**VERSION, "source": GRAPH, **GRAPH},
    "SaveGraphRequest": {**GRAPH, "notes": "First draft"},
    "Dependencies": {
        "dependent_workflows": [],
        "referenced_workflows": [
            {
                "cuid": CALLEE,
                "title": "Assess",
                "direct": True,
                "live_executions": 0,
                "url": f"{HERE}/workflows/{CALLEE}/",
            }
        ],
    },
    "Impact": {
        "allowed": False,
        "code": "active_executions",
        "detail": ACTIVE,
        "errors": [{"pointer": "/entity_name_type", "code": "active_executions", "detail": ACTIVE}],
        "blockers": BLOCKERS,
        "group": [NAMED_WORKFLOW],
        "remedies": REMEDIES,
        "versions": [{"workflow": WORKFLOW, "number": 2, "replaces": False}],
        "token": ".eJx1zEESgiAUgOG7vDULoQzhAF2icZEoyBg8AwwHx7tX04y7",
    },
    "ContextChangeRequest": {
        "workflows": [WORKFLOW],
        "entity_name_type": EXCEPTION,
        "when": "drained",
        "why": WHY,
    },
    "ContextChangeResult": {
        "workflows": [WORKFLOW_DATA],
        "versions": [],
        "pending": PENDING_CHANGE,
        "on_hold": True,
        "dry_run": False,
    },
    "PendingChange": PENDING_CHANGE,
    "ExecutionSummary": LISTED_EXECUTION,
    "Execution": EXECUTION_DATA,
    "StartRequest": {"workflow": WORKFLOW, "entity": FINDING},
    "SubmitRequest": {"node": "review", "data": {"verdict": "accepted"}},
    "VotingRequest": {"node": "committee", "notes": "As discussed."},
    "StepDecisionRequest": {"node": "wait", "why": "It has come earlier."},
    "Comment": {
        "cuid": COMMENT,
        "step": STEP,
        "author": "participant",
        "text": "The committee meets on Monday.",
        "at": REQUESTED_AT,
        "withdrawn_at": None,
        "withdrawn_by": None,
    },
    "NewCommentRequest": {"text": "The committee meets on Monday.", "step": STEP},
    "WithdrawalRequest": {"why": "It names a customer."},
    "NamedStepRequest": {"node": "review"},
    "ReassignRequest": {
        "node": "assess",
        "groups": ["risk"],
        "users": [],
        "why": "The owner has left.",
    },
    "SkipRequest": {"node": "assess", "handle": None, "why": "Done by hand."},
    "PostponeRequest": {
        "node": "wait",
        "until": "2027-01-31T09:00:00Z",
        "why": "The audit is later.",
    },
    "CancelRequest": {"why": WHY},
    "BulkStartRequest": _bulk(workflow=WORKFLOW, entity=FINDING),
    "BulkCancelRequest": _bulk(execution=EXECUTION, why=WHY),
    "BulkRetryRequest": _bulk(execution=EXECUTION, node="assess", why="The server is back."),
    "BulkSkipRequest": _bulk(execution=EXECUTION, node="assess", handle=None, why="Done by hand."),
    "BulkPostponeRequest": _bulk(
        execution=EXECUTION, node="wait", until="2027-01-31T09:00:00Z", why="The audit is later."
    ),
    "BulkResult": _RESULT,
    "Step": {
        "step": STEP,
        "node": "review",
        "type": "user_action",
        "label": "Review the finding",
        "state": "done",
        "opened_at": REQUESTED_AT,
        "closed_at": "2026-03-02T10:12:44.802113Z",
        "closed_by": "participant",
        "input": {"verdict": "accepted"},
        "output": {"verdict": "accepted"},
        "handle": "",
        "overdue": False,
        "notice": None,
        "votes": [],
        "incident": None,
        "child": None,
    },
    "AuditEntry": {
        "id": 17,
        "at": REQUESTED_AT,
        "who": "operator",
        "face": "api",
        "request_id": "0f5d1c1e6c3f4f0f9a6f4f3b0c6a7d51",
        "action": "changed",
        "kind": "workflow",
        "cuid": WORKFLOW,
        "title": "Close a limitation",
        "refused": False,
        "code": "",
        "detail": "",
        "before": {"entity_name_type": LIMITATION},
        "after": {"entity_name_type": EXCEPTION},
        "why": WHY,
    },
    "NodeType": {
        "name": "end",
        "title": "End",
        "description": "Ends the branch.",
        "ends": True,
        "forks": False,
        "handles": [],
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"label": {"type": "string"}},
        },
    },
    "EmptyRequest": {},
    "Token": TOKEN,
    "NewToken": {
        **TOKEN,
        "token": "0fd05752071a35e9f40101bc41fca7256221c53e4d26f0c3576ec6a1a988f0f3",
    },
    "Webhook": WEBHOOK_DATA,
    "NewWebhook": {**WEBHOOK_DATA, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
    "DryRunRequest": {},
    "WebhookDelivery": {
        "cuid": "c1f0e6a7d94b24c3f8d02a5b7",
        "webhook": WEBHOOK,
        "event": "execution.completed",
        "at": REQUESTED_AT,
        "state": "delivered",
        "due_at": None,
        "settled_at": "2026-03-02T09:41:08.204117Z",
        "payload": {
            "type": "execution.completed",
            "timestamp": REQUESTED_AT,
            "data": {
                "number": 4711,
                "execution": EXECUTION,
                "status": "completed",
                "workflow": WORKFLOW,
                "version": 1,
                "entity": FINDING,
                "root": None,
                "parent": None,
                "path": f"/api/v1/executions/{EXECUTION}/",
            },
        },
        "attempts": [
            {
                "at": "2026-03-02T09:41:08.120553Z",
                "milliseconds": 84,
                "status": 204,
                "answer": "",
                "error": "",
            }
        ],
    },
    "WorkflowHookRequest": {"delivery": "2026-03-02/17", "entity": FINDING},
    "WorkflowHookReceipt": {"taken": True, "execution": EXECUTION},
    "StepHookReceipt": {"taken": True},
}
"""Keys are names of schemas, or ``Problem`` and a status. Lists are built from their rows."""
