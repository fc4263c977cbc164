"""Outgoing webhooks: their addresses, their secrets, test events and redelivery."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from executions import guards, wakeups
from executions.engine import http_client
from executions.models import (
    TEST,
    OutgoingDelivery,
    SecretUnreadable,
    SigningSecret,
    Subscription,
)
from workflows.audit.log import Action, make_attempt, record, recording_refusals
from workflows.db import locks
from workflows.guards.database_errors import translate_database_errors
from workflows.refusals import Problem

KEY_BYTES = 32
OVERLAP = timedelta(hours=24)
"""The time for which a replaced secret still signs, beside the new one."""


def refuse_url(url: str) -> None:
    """Raise ``guards.UrlRefused`` for a URL that no request may be sent to."""
    try:
        if not url.isascii() or not url.isprintable() or " " in url:
            raise http_client.CallRefused("invalid_url", "The URL is invalid.")
        http_client.parse_allowed_url(url)
    except http_client.CallRefused as refused:
        problem = Problem("/url", guards.UrlRefused.code, refused.detail)
        raise guards.UrlRefused(refused.detail, problems=[problem]) from None


def create_secret(subscription: Subscription) -> str:
    """Create the signing secret of a webhook, and return it; it cannot be read again.

    The caller opens the transaction.

    Raises:
        guards.NoSecretsKey: secrets cannot be encrypted, because no key is configured.
    """
    secret = SigningSecret(subscription=subscription)
    try:
        text = secret.set_key(secrets.token_bytes(KEY_BYTES))
    except SecretUnreadable as error:
        raise guards.NoSecretsKey(str(error)) from None
    secret.save()
    return text


def rotate_secret(subscription: Subscription, *, by: Any = None) -> str:
    """Replace the signing secret, and return the new one; it cannot be read again.

    The old secret still signs for the time ``OVERLAP``, beside the new one.

    Raises:
        guards.NoSecretsKey: as ``create_secret``.
    """
    attempt = make_attempt(subscription, Action.CHANGED, after={"secret": "rotated"}, by=by)
    with recording_refusals(lambda: [attempt]):
        return _rotate(subscription, attempt)


@translate_database_errors
@locks.retrying
def _rotate(subscription: Subscription, attempt: Any) -> str:
    with transaction.atomic():
        _lock_subscription(subscription)
        current = subscription.secrets.filter(ends_at=None)
        current.update(ends_at=timezone.now() + OVERLAP)
        text = create_secret(subscription)
        record([attempt])
        return text


def send_test_event(subscription: Subscription) -> OutgoingDelivery:
    """Queue the event ``webhook.test``. Raise ``guards.SubscriptionDisabled``."""
    _refuse_disabled(subscription)
    now = timezone.now()
    with transaction.atomic():
        wakeups.on_commit(1)
        return OutgoingDelivery.objects.create(
            subscription=subscription,
            event=TEST,
            data={"webhook": subscription.cuid},
            at=now,
            due_at=now,
        )


@locks.retrying
def redeliver(delivery: OutgoingDelivery) -> OutgoingDelivery:
    """Queue a delivery again, with its old id and the whole schedule of attempts.

    Raises:
        guards.SubscriptionDisabled: the webhook is disabled.
    """
    with transaction.atomic():
        _refuse_disabled(_lock_subscription(delivery.subscription))
        values = {
            "state": OutgoingDelivery.State.WAITING,
            "due_at": timezone.now(),
            "attempt": 0,
            "settled_at": None,
        }
        OutgoingDelivery.objects.filter(pk=delivery.pk).update(**values)
        wakeups.on_commit(1)
        delivery.refresh_from_db()
        return delivery


def _refuse_disabled(subscription: Subscription) -> None:
    if subscription.state != Subscription.State.ACTIVE:
        raise guards.SubscriptionDisabled


def _lock_subscription(subscription: Subscription) -> Subscription:
    rows = Subscription._base_manager.select_for_update(no_key=True)
    row: Subscription = rows.get(pk=subscription.pk)
    return row
