"""Verification of received webhooks (Standard Webhooks)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"


class InvalidSignature(Exception):
    """The request was not signed with the secret, or is too old."""


def verify_webhook(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> dict[str, Any]:
    """Return the event of a request that a webhook has received.

    Args:
        secret: the secret of the webhook (``whsec_…``).
        headers: the headers of the request.
        body: its body, as it was received.
        now: the time, for tests.

    Raises:
        InvalidSignature: the request does not come from the server, or is older than five minutes.
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        identity, sent_at = found["webhook-id"], found["webhook-timestamp"]
        age = (time.time() if now is None else now) - int(sent_at)
        given = found["webhook-signature"].split()
    except (KeyError, ValueError, binascii.Error):
        raise InvalidSignature("The request or the secret is malformed.") from None
    if abs(age) > TOLERANCE_SECONDS:
        raise InvalidSignature("The request is too old, or the clocks differ.")
    content = f"{identity}.{sent_at}.".encode() + body
    digest = hmac.new(key, content, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
        raise InvalidSignature("No signature of the request matches the secret.")
    event: dict[str, Any] = json.loads(body)
    return event
