"""Outgoing webhooks: sending the deliveries that the database has queued, with retries.

Each delivery is sent at least once. A worker that is killed after the receiver has answered leaves
the row as it was, and the next worker sends it again with the same id. Lease and fence let one
worker at a time send a delivery. Deliveries may arrive in any order.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.urls import reverse

from executions.engine import http_client
from executions.engine.redaction import Redaction
from executions.models import (
    DeliveryAttempt,
    Execution,
    OutgoingDelivery,
    SecretUnreadable,
    Subscription,
)
from executions.models.leased_row import jitter
from workflows.db import clock, locks, outages
from workflows.db.json_values import make_storable
from workflows.models import Workflow
from workflows.visibility import may_view

logger = logging.getLogger(__name__)

State = OutgoingDelivery.State

TIMEOUT = 10.0
EXCERPT_LENGTH = 500
MAX_READ = 8 * EXCERPT_LENGTH
"""The number of bytes read of a response, so that a secret at the end of the excerpt is whole."""
RETRY_DELAYS = tuple(
    timedelta(**{unit: number})
    for number, unit in (
        (10, "seconds"),
        (1, "minutes"),
        (5, "minutes"),
        (30, "minutes"),
        (2, "hours"),
        (5, "hours"),
        (10, "hours"),
        (10, "hours"),
    )
)
"""The time to wait after each failed attempt; after one more the delivery is given up."""
MAX_GIVEN_UP = 5
"""The number of deliveries given up in a row after which a webhook is disabled."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt: a response, or the reason that there is none."""

    status: int | None = None
    answer: str = ""
    error: str = ""
    after: timedelta | None = None
    milliseconds: int = 0

    @property
    def is_delivered(self) -> bool:
        """True when the receiver has accepted the delivery."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_unwanted(self) -> bool:
        """True when the receiver wants no further deliveries."""
        return self.status == 410

    @property
    def reason(self) -> str:
        """The reason of a failure, as a sentence."""
        return self.error or f"The response was {self.status}."


def deliver(delivery: OutgoingDelivery, lease: timedelta) -> bool:
    """Send a claimed delivery once, and store the outcome.

    Returns:
        True when the receiver has accepted it.
    """
    row = _renew_claim(delivery, lease)
    if row is None:
        return False
    outcome = _attempt(row)
    try:
        outages.outlast(lambda: _settle(row, outcome))
    except (locks.Contention, DatabaseError):
        if not outcome.is_delivered:
            raise
        logger.exception("Delivery %s was accepted, but could not be stored.", row.cuid)
        _mark_delivered(row)
    return outcome.is_delivered


@locks.retrying
def _mark_delivered(row: OutgoingDelivery) -> None:
    """Prevent a second delivery. No other row is locked or written."""
    mine = row.claimed(state=State.WAITING)
    mine.update(state=State.DELIVERED, settled_at=clock.now(), leased_until=None)


def _renew_claim(delivery: OutgoingDelivery, lease: timedelta) -> OutgoingDelivery | None:
    """Renew the lease on a claimed delivery, and return it with its webhook.

    Returns:
        None when another worker has claimed it, or the webhook is disabled or deleted.
    """
    mine = delivery.claimed(state=State.WAITING, subscription__state=Subscription.State.ACTIVE)
    row: OutgoingDelivery | None = mine.select_related("subscription").first()
    if row is None or not delivery.renew_lease(lease):
        return None
    return row


def _attempt(row: OutgoingDelivery) -> Outcome:
    start = time.monotonic()

    def duration() -> int:
        return round((time.monotonic() - start) * 1000)

    try:
        request = build_request(row)
        answer = http_client.call_once(request, timeout=TIMEOUT, max_bytes=MAX_READ)
    except (http_client.CallRefused, http_client.CallFailed, SecretUnreadable) as failure:
        return Outcome(error=str(failure), milliseconds=duration())
    except Exception as error:
        # The text of the error may quote the request.
        logger.error("Delivery %s could not be made: %s", row.cuid, type(error).__name__)
        return Outcome(error=f"It failed: {type(error).__name__}.", milliseconds=duration())
    return Outcome(
        status=answer.status,
        answer=_excerpt(row, answer),
        after=http_client.retry_after(answer.headers),
        milliseconds=duration(),
    )


def _excerpt(row: OutgoingDelivery, answer: http_client.Answer) -> str:
    """Return the beginning of a response, without the secrets that the receiver knows."""
    if not answer.body:
        return ""
    try:
        secrets: dict[str, str] = {}
        for key in row.subscription.signing_keys():
            secrets[f"signing_{len(secrets)}"] = base64.b64encode(key).decode()
            secrets[f"signing_{len(secrets)}"] = key.hex()
        excerpt = Redaction(secrets).beginning(answer.text() or "", EXCERPT_LENGTH)
    except Exception as error:
        # The text of the error may contain a secret. The status counts without the excerpt.
        logger.error("Delivery %s: no excerpt: %s", row.cuid, type(error).__name__)
        return ""
    return str(make_storable(excerpt))[:EXCERPT_LENGTH]


def build_payload(row: OutgoingDelivery) -> dict[str, Any]:
    """Return the body of a delivery, which is the same at each attempt."""
    data: dict[str, Any] = {"number": row.pk, **row.data}
    for name in ("execution", "workflow"):
        if name in data:
            data["path"] = reverse(f"api:{name}-detail", args=[data[name]])
            break
    at = row.at.isoformat().replace("+00:00", "Z")
    return {"type": row.event, "timestamp": at, "data": data}


def visible_payload(row: OutgoingDelivery, user: Any) -> dict[str, Any]:
    """Return the body of a delivery for a user; without permission for its object, without data."""
    payload = build_payload(row)
    models = {"execution": Execution, "workflow": Workflow}
    named = next((models[name] for name in models if name in row.data), None)
    if named is not None and not may_view(user, named):
        payload["data"] = {}
    return payload


def build_request(row: OutgoingDelivery) -> http_client.Request:
    """Return the request of an attempt made now, signed with each secret that is in use.

    Raises:
        SecretUnreadable: the webhook has no secret, or a secret cannot be decrypted.
    """
    content = json.dumps(build_payload(row), ensure_ascii=False, separators=(",", ":")).encode()
    now = int(time.time())
    keys = row.subscription.signing_keys()
    if not keys:
        raise SecretUnreadable("The webhook has no secret. Rotate its secret.")
    text = f"{row.cuid}.{now}.".encode() + content
    signatures = [base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode() for key in keys]
    headers = {
        "Content-Type": "application/json",
        "webhook-id": row.cuid,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
    return http_client.Request("POST", row.subscription.url, headers, content, row.cuid)


@locks.retrying
def _settle(row: OutgoingDelivery, outcome: Outcome) -> None:
    """Store the outcome of an attempt; a row that another worker has claimed since stays as it is.

    The webhook is locked first, as when it is deleted with its deliveries.
    """
    now = clock.now()
    with transaction.atomic():
        subscriptions = Subscription._base_manager.select_for_update(no_key=True)
        subscription = subscriptions.filter(pk=row.subscription_id).first()
        mine = OutgoingDelivery.objects.select_for_update().filter(pk=row.pk).first()
        if subscription is None or mine is None:
            return
        DeliveryAttempt.objects.create(
            delivery=mine,
            at=now - timedelta(milliseconds=outcome.milliseconds),
            milliseconds=outcome.milliseconds,
            status=outcome.status,
            answer=outcome.answer,
            error=outcome.error,
        )
        if mine.fence != row.fence:
            return
        mine.attempt += 1
        mine.leased_until = None
        is_over = outcome.is_delivered or outcome.is_unwanted or mine.attempt > len(RETRY_DELAYS)
        if is_over:
            mine.state = State.DELIVERED if outcome.is_delivered else State.GIVEN_UP
            mine.settled_at = now
        else:
            length = jitter(RETRY_DELAYS[mine.attempt - 1])
            mine.due_at = now + max(length, outcome.after or timedelta(0))
        mine.save()
        if is_over:
            _update_webhook(subscription, outcome)


def _update_webhook(subscription: Any, outcome: Outcome) -> None:
    """Count the deliveries given up in a row; disable the webhook after too many."""
    rows = Subscription._base_manager.filter(pk=subscription.pk)
    if outcome.is_delivered:
        if subscription.given_up_in_a_row:
            rows.update(given_up_in_a_row=0)
        return
    subscription.given_up_in_a_row += 1
    number = subscription.given_up_in_a_row
    if outcome.is_unwanted:
        why = "The receiver responded with 410: it wants no further deliveries."
    elif number >= MAX_GIVEN_UP:
        why = f"{number} deliveries in a row were given up. The last error: {outcome.reason}"
    else:
        rows.update(given_up_in_a_row=number)
        return
    if subscription.state == Subscription.State.ACTIVE:
        subscription.state = Subscription.State.DISABLED
        subscription.disabled_because = why
        subscription.save(update_fields=["state", "disabled_because", "given_up_in_a_row"])
        logger.warning("Webhook %s is disabled. %s", subscription.cuid, why)


def purge_outgoing_deliveries() -> int:
    """Delete up to 1,000 deliveries that are older than ``WEBHOOK_KEEP_DAYS``.

    A waiting delivery is deleted only when its webhook is disabled or deleted.

    Returns:
        The number of deleted rows.
    """
    before = clock.now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    active = Subscription._base_manager.filter(state=Subscription.State.ACTIVE)
    old = OutgoingDelivery.objects.filter(at__lt=before)
    over = old.filter(~Q(state=State.WAITING) | ~Q(subscription_id__in=active.values("pk")))
    ids = list(over.order_by().values_list("pk", flat=True)[:1000])
    DeliveryAttempt.objects.filter(delivery_id__in=ids).delete()
    return OutgoingDelivery.objects.filter(pk__in=ids).delete()[0]
