"""Examples of problems in the OpenAPI document, by status."""

from __future__ import annotations

from typing import Any

from workflows_project.api.example_objects import ACTIVE, BLOCKERS, REMEDIES
from workflows_project.api.statuses import status_phrase


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


PROBLEMS = [
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
    _problem(410, "hook_closed", "The step is not open."),
    _problem(
        412,
        "precondition_failed",
        "The record has changed. Read it again and repeat the change.",
    ),
    _problem(411, "length_required", "Send a Content-Length header."),
    _problem(413, "too_large", "The body is larger than 2621440 bytes."),
    _problem(415, "unsupported_media_type", "The charset 'utf-7' is not supported. Send UTF-8."),
    _problem(
        422,
        "idempotency_key_reused",
        "This Idempotency-Key was used for a different request. Send a new key.",
    ),
    _problem(428, "precondition_required", "Send If-Match with the ETag of a GET response."),
    _problem(429, "throttled", "Request was throttled. Expected available in 12 seconds."),
    _problem(500, "server_error", "An error occurred on the server."),
    _problem(503, "unready", "SECRETS_KEY is not set."),
]
