"""HTTP requests to incoming webhooks: reading them, and the statuses of their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from executions.webhooks import incoming
from workflows.db.locks import Contention

R = TypeVar("R")

MAX_BYTES = 1024 * 1024
_STATUSES: dict[type[Exception], int] = {
    incoming.WebhookNotFound: 404,
    incoming.WebhookClosed: 410,
    incoming.InvalidSignature: 401,
    incoming.InvalidDelivery: 400,
    incoming.WebhookUnavailable: 503,
}


class DeliveryRejected(Exception):
    """A delivery was rejected.

    Attributes:
        status: the HTTP status of the response.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


def read_delivery(request: Any, deliver: Callable[..., R]) -> R:
    """Call ``deliver`` with the body, signature and timestamp of a request.

    Raises:
        DeliveryRejected: the body is too large, or ``deliver`` has rejected it.
    """
    try:
        length = int(request.headers.get("Content-Length") or 0)
    except ValueError:
        length = 0
    if length > MAX_BYTES:
        raise DeliveryRejected(413, f"The body must not be larger than {MAX_BYTES} bytes.")
    try:
        return deliver(
            request.body,
            signed=request.headers.get("X-Holdfast-Signature", ""),
            timestamp=request.headers.get("X-Holdfast-Timestamp", ""),
        )
    except tuple(_STATUSES) as error:
        raise DeliveryRejected(_STATUSES[type(error)], str(error)) from error
    except Contention as error:
        raise DeliveryRejected(
            503, "Other requests are changing the same rows. Deliver it again."
        ) from error
