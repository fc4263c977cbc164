"""The address of a step that waits to be called: ``POST /hooks/<step cuid>/``."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from executions.services import hooks
from workflows.locks import Contention

MAX_BYTES = 1024 * 1024
_STATUSES: dict[type[Exception], int] = {
    hooks.NoSuchHook: 404,
    hooks.HookClosed: 410,
    hooks.NotSigned: 401,
    hooks.NotDeliverable: 400,
    hooks.HookUnready: 503,
}


@csrf_exempt
@require_POST
def hook(request: HttpRequest, cuid: str) -> JsonResponse:
    """Take a delivery. Who delivers is known by the signature alone."""
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = 0
    if length > MAX_BYTES:
        return _problem(413, f"No more than {MAX_BYTES} bytes are taken.")
    try:
        is_new = hooks.deliver(
            cuid,
            request.body,
            signed=request.headers.get("X-Holdfast-Signature", ""),
            timestamp=request.headers.get("X-Holdfast-Timestamp", ""),
        )
    except tuple(_STATUSES) as error:
        return _problem(_STATUSES[type(error)], str(error))
    except Contention:
        return _problem(503, "Others are at the same execution; deliver it again.")
    return JsonResponse({"taken": is_new})


def _problem(status: int, detail: str) -> JsonResponse:
    return JsonResponse(
        {"status": status, "detail": detail},
        status=status,
        content_type="application/problem+json",
    )
