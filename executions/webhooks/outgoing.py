"""Delivering what the database has written for subscriptions: signed, once more after a failure.

At least once: who is killed after the receiver has answered leaves the row as it was, and the
next one delivers it again with the same id. One at a time holds a delivery, by its lease and
fence; the order among deliveries is nobody's promise.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import random
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from executions.engine import http_client
from executions.engine.redaction import Redaction
from executions.models import (
    DeliveryAttempt,
    Execution,
    OutgoingDelivery,
    SecretUnreadable,
    Subscription,
)
from workflows.db import locks
from workflows.db.json_values import storable
from workflows.models import Workflow
from workflows.visibility import may_view

logger = logging.getLogger(__name__)

State = OutgoingDelivery.State

TIMEOUT = 10.0
EXCERPT = 500
READ = 8 * EXCERPT
"""How many bytes of an answer are read: a secret at the end of the excerpt is found whole."""
WAITS = tuple(
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
"""How long to wait after each attempt that failed; after one more the delivery is given up."""
MOST_GIVEN_UP = 5
"""A subscription is disabled when so many of its deliveries in a row were given up."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt: an answer, or why there is none."""

    status: int | None = None
    answer: str = ""
    error: str = ""
    after: timedelta | None = None
    milliseconds: int = 0

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken it."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing any more."""
        return self.status == 410

    @property
    def told(self) -> str:
        """What failed, as a sentence."""
        return self.error or f"The answer was {self.status}."


def deliver(delivery: OutgoingDelivery, lease: timedelta) -> bool:
    """Deliver once what was claimed; whether the receiver has taken it."""
    row = _held(delivery, lease)
    if row is None:
        return False
    outcome = _attempt(row)
    try:
        _settle(row, outcome)
    except (locks.Contention, DatabaseError):
        if not outcome.is_delivered:
            raise
        logger.exception("Delivery %s was taken; the attempt could not be noted.", row.cuid)
        _mark_delivered(row)
    return outcome.is_delivered


@locks.retrying
def _mark_delivered(row: OutgoingDelivery) -> None:
    """Let nobody send it again; no other row is locked or written."""
    mine = OutgoingDelivery.objects.filter(pk=row.pk, fence=row.fence, state=State.WAITING)
    mine.update(state=State.DELIVERED, settled_at=timezone.now(), leased_until=None)


def _held(delivery: OutgoingDelivery, lease: timedelta) -> OutgoingDelivery | None:
    """Make sure of it before it is sent; None when it is another's, or nobody is told any more."""
    mine = OutgoingDelivery.objects.filter(
        pk=delivery.pk,
        fence=delivery.fence,
        state=State.WAITING,
        subscription__state=Subscription.State.ACTIVE,
    )
    row = mine.select_related("subscription").first()
    held = OutgoingDelivery.objects.filter(pk=delivery.pk, fence=delivery.fence)
    if row is None or not held.update(leased_until=timezone.now() + lease):
        return None
    return row


def _attempt(row: OutgoingDelivery) -> Outcome:
    began = time.monotonic()

    def lasted() -> int:
        return round((time.monotonic() - began) * 1000)

    try:
        request = signed(row)
        answer = http_client.call_once(request, timeout=TIMEOUT, most=READ)
    except (http_client.Refused, http_client.Failed, SecretUnreadable) as failure:
        return Outcome(error=str(failure), milliseconds=lasted())
    except Exception as error:
        # Its text may quote what was sent.
        logger.error("Delivery %s could not be made: %s", row.cuid, type(error).__name__)
        return Outcome(error=f"It failed: {type(error).__name__}.", milliseconds=lasted())
    return Outcome(
        status=answer.status,
        answer=_excerpt(row, answer),
        after=http_client.retry_after(answer.headers),
        milliseconds=lasted(),
    )


def _excerpt(row: OutgoingDelivery, answer: http_client.Answer) -> str:
    """Return how an answer begins, without the secrets that its receiver knows."""
    if not answer.body:
        return ""
    try:
        secrets: dict[str, str] = {}
        for key in row.subscription.signing_keys():
            secrets[f"signing_{len(secrets)}"] = base64.b64encode(key).decode()
            secrets[f"signing_{len(secrets)}"] = key.hex()
        shown = Redaction(secrets).beginning(answer.text() or "", EXCERPT)
    except Exception as error:
        # Its text may hold a secret, and the answer counts whatever it says.
        logger.error("Delivery %s: no excerpt: %s", row.cuid, type(error).__name__)
        return ""
    return str(storable(shown))[:EXCERPT]


def payload(row: OutgoingDelivery) -> dict[str, Any]:
    """What is posted: the same at each attempt."""
    data: dict[str, Any] = {"number": row.pk, **row.data}
    for name in ("execution", "workflow"):
        if name in data:
            data["path"] = reverse(f"api:{name}-detail", args=[data[name]])
            break
    at = row.at.isoformat().replace("+00:00", "Z")
    return {"type": row.event, "timestamp": at, "data": data}


def visible_payload(row: OutgoingDelivery, user: Any) -> dict[str, Any]:
    """Return what is posted as this user may read it: data only of records that they may read."""
    found = payload(row)
    models = {"execution": Execution, "workflow": Workflow}
    named = next((models[name] for name in models if name in row.data), None)
    if named is not None and not may_view(user, named):
        found["data"] = {}
    return found


def signed(row: OutgoingDelivery) -> http_client.Request:
    """The request of an attempt made now, signed by every secret that is in use.

    Raises ``SecretUnreadable``.
    """
    content = json.dumps(payload(row), ensure_ascii=False, separators=(",", ":")).encode()
    now = int(time.time())
    keys = row.subscription.signing_keys()
    if not keys:
        raise SecretUnreadable("The webhook has no secret; rotate it.")
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
    """Write down what came of an attempt; what another has claimed since is left to that one.

    The subscription is locked first, as by whoever deletes it with its deliveries.
    """
    now = timezone.now()
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
        is_over = outcome.is_delivered or outcome.is_gone or mine.attempt > len(WAITS)
        if is_over:
            mine.state = State.DELIVERED if outcome.is_delivered else State.GIVEN_UP
            mine.settled_at = now
        else:
            length = WAITS[mine.attempt - 1] * random.uniform(0.8, 1.2)
            mine.due_at = now + max(length, outcome.after or timedelta(0))
        mine.save()
        if is_over:
            _note(subscription, outcome)


def _note(subscription: Any, outcome: Outcome) -> None:
    """Count what was given up in a row; after too much of it, nobody is told any more."""
    rows = Subscription._base_manager.filter(pk=subscription.pk)
    if outcome.is_delivered:
        if subscription.given_up_in_a_row:
            rows.update(given_up_in_a_row=0)
        return
    subscription.given_up_in_a_row += 1
    number = subscription.given_up_in_a_row
    if outcome.is_gone:
        why = "The receiver answered 410: it wants nothing any more."
    elif number >= MOST_GIVEN_UP:
        why = f"{number} deliveries in a row were given up, the last one with: {outcome.told}"
    else:
        rows.update(given_up_in_a_row=number)
        return
    if subscription.state == Subscription.State.ACTIVE:
        subscription.state = Subscription.State.DISABLED
        subscription.disabled_because = why
        subscription.save(update_fields=["state", "disabled_because", "given_up_in_a_row"])
        logger.warning("Webhook %s is disabled. %s", subscription.cuid, why)


def purge_deliveries() -> int:
    """Forget what was told, or given up, longer ago than ``WEBHOOK_KEEP_DAYS``; how many.

    What waits for a webhook that is disabled is forgotten too, or for one that is gone.
    """
    before = timezone.now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS)
    active = Subscription._base_manager.filter(state=Subscription.State.ACTIVE)
    old = OutgoingDelivery.objects.filter(at__lt=before)
    over = old.filter(~Q(state=State.WAITING) | ~Q(subscription_id__in=active.values("pk")))
    ids = list(over.order_by().values_list("pk", flat=True)[:1000])
    DeliveryAttempt.objects.filter(delivery_id__in=ids).delete()
    return OutgoingDelivery.objects.filter(pk__in=ids).delete()[0]
