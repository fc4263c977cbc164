"""What is delivered from outside, signed; and where a step waits: ``POST /hooks/<step cuid>/``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from executions.services import hooks
from workflows.locks import Contention

R = TypeVar("R")

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
        is_new = taken(request, partial(hooks.deliver, cuid))
    except NotTaken as error:
        return JsonResponse(
            {"status": error.status, "detail": str(error)},
            status=error.status,
            content_type="application/problem+json",
        )
    return JsonResponse({"taken": is_new})


class NotTaken(Exception):
    """A delivery is not taken; the status that answers it."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def taken(request: Any, deliver: Callable[..., R]) -> R:
    """Give a request's body, signature and time to ``deliver``. Raises ``NotTaken``."""
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = 0
    if length > MAX_BYTES:
        raise NotTaken(413, f"No more than {MAX_BYTES} bytes are taken.")
    try:
        return deliver(
            request.body,
            signed=request.headers.get("X-Holdfast-Signature", ""),
            timestamp=request.headers.get("X-Holdfast-Timestamp", ""),
        )
    except tuple(_STATUSES) as error:
        raise NotTaken(_STATUSES[type(error)], str(error)) from error
    except Contention as error:
        raise NotTaken(503, "Others are at the same rows; deliver it again.") from error
