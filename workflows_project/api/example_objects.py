"""Objects of the examples in the OpenAPI document."""

from __future__ import annotations

from typing import Any

HERE = "https://holdfast.example/api/v1"
LIMITATION, EXCEPTION = "cmwt9umxpryqe3pn5a2yvbkbl", "cmwt9umxx8u745lv6lrmqeglc"
MODEL, SCORING = "cmwt9twr2g2ui2bi77jglnuj7", "cmwt9umybb90i5ymo1uy5k2xa"
FINDING = "cmwt9umyr1ac7f12hr2yh0od1"
WORKFLOW, CALLEE = "cmwt9umz5wwsicz92bf49rsp7", "cmwt9umzqtc0oprgh1f7s4unt"
EXECUTION, STEP = "cmwt9un3bdqzdhtikj9pcr38h", "cmwt9un3dlvnvnsagn3xlcxhg"
FILE = "cmwt9un5x8q0v6kz3m2c7hy1d"
COMMENT = "cmwt9un5w1t0t2cz1r8b4nq3a"
CHANGE = "cmwt9un6cb6z1ik6t5cgaa8eo"
REQUESTED_AT = "2026-03-02T09:41:07.119226Z"
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
FINDING_DATA = {
    "cuid": FINDING,
    "external_id": "GRC-1042",
    "title": "Thin data before 2015",
    "entity_name_type": LIMITATION,
    "inventory_model": SCORING,
    "fields": {"severity": "high"},
    "created_at": REQUESTED_AT,
    "updated_at": REQUESTED_AT,
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
WORKFLOW_DATA = {
    "cuid": WORKFLOW,
    **SETTINGS,
    "latest_version": 1,
    "live_executions": 1,
    "draining": {
        "change": CHANGE,
        "url": f"{HERE}/pending-changes/{CHANGE}/",
        "asked_at": REQUESTED_AT,
        "asked_by": "operator",
    },
    "created_at": REQUESTED_AT,
    "updated_at": REQUESTED_AT,
}
VERSION = {
    "workflow": WORKFLOW,
    "number": 1,
    "notes": "First draft",
    "created_at": REQUESTED_AT,
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
    "item": None,
    "stage": "",
    "progress": None,
    "message": "",
    "scheduled_for": None,
    "started_at": REQUESTED_AT,
    "updated_at": REQUESTED_AT,
    "ended_at": None,
    "started_by": "operator",
}
EXECUTION_DATA = {
    **LISTED_EXECUTION,
    "entity": {
        "cuid": FINDING,
        "title": "Thin data before 2015",
        "entity_name": "Finding",
        "fields": {"severity": "high"},
    },
    "variables": {},
    "children": [],
    "pins": [{"workflow": CALLEE, "version": 1}],
    "open_steps": [
        {
            "step": STEP,
            "node": "review",
            "type": "user_action",
            "label": "Review the finding",
            "item": None,
            "item_counts": None,
            "since": REQUESTED_AT,
            "due": None,
            "overdue": False,
            "assignees": {"groups": ["risk"], "users": []},
            "unassigned": False,
            "claimed_by": "participant",
            "claimed_at": REQUESTED_AT,
            "notice": None,
            "form": {**FORM, "actions": []},
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
        "detail": "Put the change on hold: no new execution starts, and the change is applied when "
        "the live executions have ended.",
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
    "asked_at": REQUESTED_AT,
    "asked_by": "operator",
    "why": WHY,
    "settled_at": None,
    "code": "",
    "reason": "",
}
ACTIVE = "Cannot change finding type while this workflow has active executions."
TOKEN = {
    "id": "7de210f941b95a5b",
    "name": "GRC export",
    "scopes": ["read", "write:executions"],
    "created": REQUESTED_AT,
    "expires": None,
    "last_used_at": "2026-03-02T09:41:08.204117Z",
    "current": False,
}
WEBHOOK = "cmwtd0q3h8x1n5z7k2r9v4b6m"
WEBHOOK_DATA = {
    "cuid": WEBHOOK,
    "url": "https://receiver.example/holdfast",
    "description": "The ledger of findings",
    "events": ["execution.completed", "execution.failed", "change.applied"],
    "workflow": WORKFLOW,
    "entity_name_type": None,
    "state": "active",
    "disabled_because": "",
    "given_up_in_a_row": 0,
    "created_at": REQUESTED_AT,
}
