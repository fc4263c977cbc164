"""What is delivered from outside, signed: how it is read, and what answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from executions.webhooks import incoming
from workflows.db.locks import Contention

R = TypeVar("R")

MAX_BYTES = 1024 * 1024
_STATUSES: dict[type[Exception], int] = {
    incoming.NoSuchHook: 404,
    incoming.HookClosed: 410,
    incoming.NotSigned: 401,
    incoming.NotDeliverable: 400,
    incoming.HookUnready: 503,
}


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
