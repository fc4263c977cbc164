"""A typed client of the Holdfast API."""

from holdfast_client.client import Holdfast
from holdfast_client.errors import (
    Conflict,
    ConnectionFailed,
    Forbidden,
    HoldfastError,
    NotFound,
    PreconditionFailed,
    Problem,
    ServerFailed,
    Throttled,
    Unauthorized,
)
from holdfast_client.webhooks import InvalidSignature, verify_webhook

__all__ = [
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "Holdfast",
    "HoldfastError",
    "InvalidSignature",
    "NotFound",
    "PreconditionFailed",
    "Problem",
    "ServerFailed",
    "Throttled",
    "Unauthorized",
    "verify_webhook",
]
