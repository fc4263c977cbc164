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
    FORM,
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
    "VersionWithGraph": {
        **VERSION,
        "older_live_executions": 0,
        "source": GRAPH,
        **GRAPH,
    },
    "SavedVersion": {
        **VERSION,
        "older_live_executions": 0,
        "source": GRAPH,
        **GRAPH,
        "warnings": [
            {
                "pointer": "/nodes/1/data/at_field",
                "code": "unwritten_field",
                "detail": "“Cooling-off”: Nothing writes the field 'due_om': no node of a workflow"
                " of this type, and none of the newest 1000 entities of the type has it. Check its"
                " name.",
            }
        ],
    },
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
    "NextOccurrences": {
        "time_zone": "Europe/Vienna",
        "occurrences": [{"at": "2027-01-01T08:00:00Z", "entities": 37}],
        "warnings": [],
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
    "ExecutionSummary": {**LISTED_EXECUTION, "included": None},
    "Execution": EXECUTION_DATA,
    "StartRequest": {"workflow": WORKFLOW, "entity": FINDING},
    "DraftRequest": {"node": "review", "data": {"verdict": "acc"}},
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
    "MoveOptionsRequest": {
        "version": 3,
        "mapping": {"assess": "review"},
        "retime": False,
        "token": None,
        "why": "The graph was wrong.",
    },
    "MovePlan": {
        "execution": EXECUTION,
        "moved": False,
        "token": "9f2c61d07b3c4d52a1a5d0c4c8e7b6f59f2c61d07b3c4d52a1a5d0c4c8e7b6f5",
        "from_version": 2,
        "to_version": 3,
        "executions": [
            {"execution": EXECUTION, "workflow": WORKFLOW, "from_version": 2, "to_version": 3}
        ],
        "kept": [],
        "mapped": [
            {
                "step": STEP,
                "execution": EXECUTION,
                "node": "assess",
                "type": "user_action",
                "label": "Assess",
                "to_node": "review",
                "to_type": "user_action",
                "to_label": "Review the finding",
                "restart_step": False,
            }
        ],
        "obstacles": [],
    },
    "Move": {
        "from_version": 2,
        "to_version": 3,
        "at": REQUESTED_AT,
        "by": "operator",
        "why": "The graph was wrong.",
        "steps": [{"step": STEP, "from": "assess", "to": "review", "restarted": False}],
    },
    "CancelRequest": {"why": WHY},
    "BulkStartRequest": _bulk(workflow=WORKFLOW, entity=FINDING),
    "BulkCancelRequest": _bulk(execution=EXECUTION, why=WHY),
    "BulkRetryRequest": _bulk(execution=EXECUTION, node="assess", why="The server is back."),
    "BulkSkipRequest": _bulk(execution=EXECUTION, node="assess", handle=None, why="Done by hand."),
    "BulkPostponeRequest": _bulk(
        execution=EXECUTION, node="wait", until="2027-01-31T09:00:00Z", why="The audit is later."
    ),
    "BulkMoveRequest": _bulk(
        execution=EXECUTION, version=3, mapping={"assess": "review"}, why="The graph was wrong."
    ),
    "BulkResult": _RESULT,
    "Step": {
        "step": STEP,
        "node": "review",
        "version": 2,
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
    "Task": {
        "cuid": STEP,
        "execution": EXECUTION,
        "workflow": WORKFLOW,
        "workflow_title": "Close a limitation",
        "entity": LISTED_EXECUTION["entity"],
        "node": "review",
        "type": "user_action",
        "label": "Review the finding",
        "since": REQUESTED_AT,
        "due": None,
        "overdue": False,
        "assignees": {"groups": ["risk"], "users": []},
        "unassigned": False,
        "claimed_by": None,
        "claimed_at": None,
        "form": {**FORM, "actions": []},
        "incident": None,
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
        "optional_handles": [],
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"label": {"type": "string"}},
        },
    },
    "EmptyRequest": {},
    "Token": TOKEN,
    "CreateTokenRequest": {
        "name": "GRC export",
        "scopes": ["read", "write:executions"],
        "expires": None,
        "account": "grc-export",
    },
    "Me": {
        "username": "operator",
        "name": "Olga Perez",
        "email": "operator@bank.example",
        "superuser": False,
        "staff": True,
        "roles": ["operator"],
        "permissions": ["executions.add_execution", "executions.view_execution"],
        "token": None,
    },
    "Status": {
        "version": "0.1.0",
        "api_version": "1",
        "time": REQUESTED_AT,
        "time_zone": "UTC",
        "database": {"vendor": "postgresql", "version": "16.4"},
        "worker": {"running": True, "last_seen_at": REQUESTED_AT},
    },
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
                "item": None,
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
