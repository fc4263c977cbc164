"""Webhooks: who is told, what signs it, and what is told when somebody asks for it."""

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
from workflows.audit.log import Action, attempting, record, told
from workflows.db import locks
from workflows.guards.database_errors import translated
from workflows.refusals import Problem

DB = "default"
KEY_BYTES = 32
OVERLAP = timedelta(hours=24)
"""How long a secret that was replaced signs beside the new one."""


def refuse_url(url: str) -> None:
    """Raises ``guards.UrlRefused`` for an address that nothing may be sent to."""
    try:
        if not url.isascii() or not url.isprintable() or " " in url:
            raise http_client.Refused("invalid_url", "The address cannot be read.")
        http_client.allowed(url)
    except http_client.Refused as refused:
        problem = Problem("/url", guards.UrlRefused.code, refused.detail)
        raise guards.UrlRefused(refused.detail, problems=[problem]) from None


def give_secret(subscription: Subscription) -> str:
    """Give a new subscription its secret, in the transaction that is open; the one time it is told.

    Raises ``guards.NoSecretsKey``.
    """
    secret = SigningSecret(subscription=subscription)
    try:
        text = secret.keep(secrets.token_bytes(KEY_BYTES))
    except SecretUnreadable as error:
        raise guards.NoSecretsKey(str(error)) from None
    secret.save()
    return text


def rotate_secret(subscription: Subscription, *, by: Any = None) -> str:
    """Replace the secret; the old one signs beside it for ``OVERLAP``. The new one, this once.

    Raises ``guards.NoSecretsKey``.
    """
    attempt = told(subscription, Action.CHANGED, after={"secret": "rotated"}, by=by)
    with attempting(lambda: [attempt], using=DB):
        return _rotate(subscription, attempt)


@translated
@locks.retrying
def _rotate(subscription: Subscription, attempt: Any) -> str:
    with transaction.atomic():
        _locked(subscription)
        current = subscription.secrets.filter(ends_at=None)
        current.update(ends_at=timezone.now() + OVERLAP)
        text = give_secret(subscription)
        record([attempt], using=DB)
        return text


def tell_test(subscription: Subscription) -> OutgoingDelivery:
    """Have ``webhook.test`` told. Raises ``guards.SubscriptionDisabled``."""
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
    """Have an event told again at once, with the id that it had; all attempts are open to it.

    Raises ``guards.SubscriptionDisabled``.
    """
    with transaction.atomic():
        _refuse_disabled(_locked(delivery.subscription))
        waiting = {
            "state": OutgoingDelivery.State.WAITING,
            "due_at": timezone.now(),
            "attempt": 0,
            "settled_at": None,
        }
        OutgoingDelivery.objects.filter(pk=delivery.pk).update(**waiting)
        wakeups.on_commit(1)
        delivery.refresh_from_db()
        return delivery


def _refuse_disabled(subscription: Subscription) -> None:
    if subscription.state != Subscription.State.ACTIVE:
        raise guards.SubscriptionDisabled


def _locked(subscription: Subscription) -> Subscription:
    rows = Subscription._base_manager.select_for_update(no_key=True)
    row: Subscription = rows.get(pk=subscription.pk)
    return row
