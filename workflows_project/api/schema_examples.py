"""One example of each body that the description of the API tells, by the name of its schema."""

from __future__ import annotations

from typing import Any

from workflows_project.api.statuses import status_phrase

HERE = "https://holdfast.example/api/v1"
LIMITATION, EXCEPTION = "cmwt9umxpryqe3pn5a2yvbkbl", "cmwt9umxx8u745lv6lrmqeglc"
MODEL, SCORING = "cmwt9twr2g2ui2bi77jglnuj7", "cmwt9umybb90i5ymo1uy5k2xa"
FINDING = "cmwt9umyr1ac7f12hr2yh0od1"
WORKFLOW, CALLEE = "cmwt9umz5wwsicz92bf49rsp7", "cmwt9umzqtc0oprgh1f7s4unt"
EXECUTION, STEP = "cmwt9un3bdqzdhtikj9pcr38h", "cmwt9un3dlvnvnsagn3xlcxhg"
CHANGE = "cmwt9un6cb6z1ik6t5cgaa8eo"
ASKED_AT = "2026-03-02T09:41:07.119226Z"
WHY = "The policy was withdrawn."

FORM = {
    "title": "Review the finding",
    "button_label": "Done",
    "fields": [{"name": "verdict", "label": "Verdict", "type": "text", "required": True}],
}
GRAPH = {
    "nodes": [
        {"id": "start", "type": "start"},
        {"id": "review", "type": "user_action", "data": FORM},
        {"id": "assess", "type": "run_workflow", "data": {"workflow": CALLEE}},
        {"id": "end", "type": "end"},
    ],
    "edges": [
        {"id": "1", "source": "start", "target": "review"},
        {"id": "2", "source": "review", "target": "assess"},
        {"id": "3", "source": "assess", "target": "end"},
    ],
}
CONTEXT = {
    "entity_name": "Finding",
    "entity_name_type": LIMITATION,
    "primary_record_type_id": None,
}
NAMED_WORKFLOW = {
    "cuid": WORKFLOW,
    "title": "Close a limitation",
    "url": f"{HERE}/workflows/{WORKFLOW}/",
}
SETTINGS: dict[str, Any] = {
    "title": "Close a limitation",
    "description": "",
    **CONTEXT,
    "trigger": "manual",
    "trigger_data": {},
    "state": "active",
}
A_WORKFLOW = {
    "cuid": WORKFLOW,
    **SETTINGS,
    "latest_version": 1,
    "live_executions": 1,
    "draining": {
        "change": CHANGE,
        "url": f"{HERE}/pending-changes/{CHANGE}/",
        "asked_at": ASKED_AT,
        "asked_by": "operator",
    },
}
VERSION = {
    "workflow": WORKFLOW,
    "number": 1,
    "notes": "First draft",
    "created_at": ASKED_AT,
    "created_by": "designer",
    "in_force": True,
    "checksum": "588a17f5834ba0fe2cbd4a682469020a6cba9446f1f1bda1d0928e2fc3da271d",
    **CONTEXT,
    "live_executions": 1,
}
LISTED_EXECUTION = {
    "cuid": EXECUTION,
    "status": "waiting",
    "workflow": WORKFLOW,
    "version": 1,
    "entity": {"cuid": FINDING, "title": "Thin data before 2015", "entity_name": "Finding"},
    "parent": None,
    "root": None,
    "stage": "",
    "progress": None,
    "message": "",
    "scheduled_for": None,
    "started_at": ASKED_AT,
    "updated_at": ASKED_AT,
    "ended_at": None,
    "started_by": "operator",
}
AN_EXECUTION = {
    **LISTED_EXECUTION,
    "entity": {
        "cuid": FINDING,
        "title": "Thin data before 2015",
        "entity_name": "Finding",
        "fields": {"severity": "high"},
    },
    "children": [],
    "pins": [{"workflow": CALLEE, "version": 1}],
    "open_steps": [
        {
            "step": STEP,
            "node": "review",
            "type": "user_action",
            "label": "Review the finding",
            "since": ASKED_AT,
            "due": None,
            "overdue": False,
            "assignees": {"groups": ["risk"], "users": []},
            "unassigned": False,
            "notice": None,
            "form": FORM,
            "draft": None,
            "votes": [],
            "incident": None,
        }
    ],
}
BLOCKERS = {
    "executions": [
        {
            "cuid": EXECUTION,
            "status": "waiting",
            "workflow": WORKFLOW,
            "url": f"{HERE}/executions/{EXECUTION}/",
        }
    ],
    "workflows": [],
    "total": 1,
}
REMEDIES = [
    {
        "code": "finish_or_cancel",
        "detail": "Finish or cancel 1 live execution first.",
        "workflows": [WORKFLOW],
    },
    {
        "code": "when_drained",
        "detail": "Put the change on hold: no new execution starts, and it is made as soon as "
        "these have ended.",
        "workflows": [WORKFLOW],
    },
]
PENDING_CHANGE = {
    "cuid": CHANGE,
    "state": "waiting",
    "workflows": [NAMED_WORKFLOW],
    "entity_name": "Finding",
    "entity_name_type": EXCEPTION,
    "primary_record_type_id": None,
    "asked_at": ASKED_AT,
    "asked_by": "operator",
    "why": WHY,
    "settled_at": None,
    "code": "",
    "reason": "",
}
ACTIVE = "Cannot change finding type while this workflow has active executions."
TOKEN = {
    "id": "7de210f941b95a5b",
    "created": ASKED_AT,
    "expires": "2026-03-02T21:41:07.119226Z",
    "current": False,
}
WEBHOOK = "cmwtd0q3h8x1n5z7k2r9v4b6m"
A_WEBHOOK = {
    "cuid": WEBHOOK,
    "url": "https://receiver.example/holdfast",
    "description": "The ledger of findings",
    "events": ["execution.completed", "execution.failed", "change.applied"],
    "workflow": WORKFLOW,
    "entity_name_type": None,
    "state": "active",
    "disabled_because": "",
    "given_up_in_a_row": 0,
    "created_at": ASKED_AT,
}


def _problem(status: int, code: str, detail: str, pointer: str = "", **more: Any) -> dict[str, Any]:
    return {
        "type": f"/problems/{code}",
        "title": status_phrase(status),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [{"pointer": pointer, "code": code, "detail": detail}],
        **more,
    }


def _bulk(**item: Any) -> dict[str, Any]:
    return {"items": [item], "dry_run": False}


_PROBLEMS = [
    _problem(
        400,
        "active_executions",
        ACTIVE,
        "/entity_name_type",
        blockers=BLOCKERS,
        remedies=REMEDIES,
    ),
    _problem(401, "not_authenticated", "Authentication credentials were not provided."),
    _problem(403, "permission_denied", "You do not have permission to perform this action."),
    _problem(404, "not_found", "No execution has the cuid 'nope'."),
    _problem(406, "not_acceptable", "Could not satisfy the request Accept header."),
    _problem(409, "ended", "The execution has ended.", blockers=BLOCKERS, remedies=[]),
    _problem(410, "hook_closed", "The step is not open any more."),
    _problem(
        412,
        "precondition_failed",
        "This has changed since it was read; read it again and repeat the change.",
    ),
    _problem(411, "length_required", "Send Content-Length: a body without it is not read."),
    _problem(413, "too_large", "No more than 2621440 bytes are taken."),
    _problem(415, "unsupported_media_type", "The charset 'utf-7' is not supported. Send UTF-8."),
    _problem(
        422,
        "idempotency_key_reused",
        "This Idempotency-Key has come before, with another request.",
    ),
    _problem(428, "precondition_required", "Send If-Match with the ETag that a GET answered."),
    _problem(429, "throttled", "Request was throttled. Expected available in 12 seconds."),
    _problem(503, "unready", "SECRETS_KEY is not set."),
]
_RESULT = {
    "dry_run": False,
    "succeeded": 1,
    "failed": 0,
    "results": [
        {
            "index": 0,
            "status": 200,
            "execution": {**AN_EXECUTION, "status": "cancelled", "open_steps": [], "message": WHY},
            "problem": None,
            "replayed": False,
        }
    ],
}

EXAMPLES: dict[str, Any] = {
    **{f"Problem {row['status']}": row for row in _PROBLEMS},
    "FindingType": {
        "cuid": LIMITATION,
        "name": "Model Limitation",
        "description": "What a model is not good at.",
    },
    "RecordType": {"cuid": MODEL, "name": "Model", "description": ""},
    "InventoryModel": {
        "cuid": SCORING,
        "title": "Credit scoring",
        "record_type": MODEL,
        "fields": {"tier": 1},
    },
    "Finding": {
        "cuid": FINDING,
        "title": "Thin data before 2015",
        "entity_name_type": LIMITATION,
        "inventory_model": SCORING,
        "fields": {"severity": "high"},
    },
    "Workflow": A_WORKFLOW,
    "Version": VERSION,
    "DrawnVersion": {**VERSION, "source": GRAPH, **GRAPH},
    "Graph": {**GRAPH, "notes": "First draft"},
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
    "ContextChange": {
        "workflows": [WORKFLOW],
        "entity_name_type": EXCEPTION,
        "when": "drained",
        "why": WHY,
    },
    "ContextChanged": {
        "workflows": [A_WORKFLOW],
        "versions": [],
        "pending": PENDING_CHANGE,
        "on_hold": True,
        "dry_run": False,
    },
    "PendingChange": PENDING_CHANGE,
    "ListedExecution": LISTED_EXECUTION,
    "Execution": AN_EXECUTION,
    "Start": {"workflow": WORKFLOW, "entity": FINDING},
    "Submit": {"node": "review", "data": {"verdict": "accepted"}},
    "Voting": {"node": "committee", "notes": "As discussed."},
    "Decision": {"node": "wait", "why": "It has come earlier."},
    "Reassign": {"node": "assess", "groups": ["risk"], "users": [], "why": "The owner has left."},
    "Skip": {"node": "assess", "handle": None, "why": "Done by hand."},
    "Postpone": {"node": "wait", "until": "2027-01-31T09:00:00Z", "why": "The audit is later."},
    "Cancel": {"why": WHY},
    "BulkStart": _bulk(workflow=WORKFLOW, entity=FINDING),
    "BulkCancel": _bulk(execution=EXECUTION, why=WHY),
    "BulkRetry": _bulk(execution=EXECUTION, node="assess", why="The server is back."),
    "BulkSkip": _bulk(execution=EXECUTION, node="assess", handle=None, why="Done by hand."),
    "BulkPostpone": _bulk(
        execution=EXECUTION, node="wait", until="2027-01-31T09:00:00Z", why="The audit is later."
    ),
    "BulkResult": _RESULT,
    "Step": {
        "step": STEP,
        "node": "review",
        "type": "user_action",
        "label": "Review the finding",
        "state": "done",
        "opened_at": ASKED_AT,
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
        "at": ASKED_AT,
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
        "description": "Ends its branch.",
        "ends": True,
        "forks": False,
        "handles": [],
        "schema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"label": {"type": "string"}},
        },
    },
    "Nothing": {},
    "Token": TOKEN,
    "NewToken": {
        **TOKEN,
        "token": "0fd05752071a35e9f40101bc41fca7256221c53e4d26f0c3576ec6a1a988f0f3",
    },
    "Webhook": A_WEBHOOK,
    "NewWebhook": {**A_WEBHOOK, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
    "Rotation": {},
    "Telling": {},
    "WebhookDelivery": {
        "cuid": "c1f0e6a7d94b24c3f8d02a5b7",
        "webhook": WEBHOOK,
        "event": "execution.completed",
        "at": ASKED_AT,
        "state": "delivered",
        "due_at": None,
        "settled_at": "2026-03-02T09:41:08.204117Z",
        "payload": {
            "type": "execution.completed",
            "timestamp": ASKED_AT,
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
    "Delivery": {"delivery": "2026-03-02/17", "entity": FINDING},
    "TakenDelivery": {"taken": True, "execution": EXECUTION},
    "Taken": {"taken": True},
}
"""By the name of a schema, and ``Problem`` with its status; lists are made of their rows."""
