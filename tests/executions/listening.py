"""Webhooks that a real server receives, and what is read from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet
from django.utils import timezone
from standardwebhooks import Webhook

from executions.models import EVENTS, OutgoingDelivery, Subscription
from executions.webhooks import subscriptions
from tests.executions.engine.server import Received, Server, serving


@dataclass
class Listener:
    """A subscription, its secret, and the server that it tells."""

    subscription: Subscription
    secret: str
    server: Server

    def verified(self, secret: str = "") -> list[dict[str, Any]]:
        """What the server has received, each verified as a receiver would."""
        return [verified(request, secret or self.secret) for request in self.server.received]

    @property
    def types(self) -> list[str]:
        return [payload["type"] for payload in self.verified()]


def verified(request: Received, secret: str) -> dict[str, Any]:
    Webhook(secret).verify(request.body, request.headers)
    payload: dict[str, Any] = json.loads(request.body)
    return payload


def subscribed(url: str, **fields: Any) -> tuple[Subscription, str]:
    """A subscription of all events, and its secret."""
    row = Subscription(url=url, **{"events": list(EVENTS), **fields})
    row.save()
    return row, subscriptions.give_secret(row)


@contextmanager
def listening(settings: Any, **fields: Any) -> Iterator[Listener]:
    """A server that may be called, and a subscription of it."""
    with serving() as server:
        allow(settings, server)
        row, secret = subscribed(server.url("/told"), **fields)
        yield Listener(row, secret, server)


def allow(settings: Any, *servers: Server) -> None:
    settings.HTTP_REQUEST_HOSTS = [server.host for server in servers]
    settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]


def told(**fields: Any) -> list[str]:
    """The events that are written down, in their order."""
    rows = OutgoingDelivery.objects.filter(**fields).order_by("pk")
    return list(rows.values_list("event", flat=True))


def make_due() -> None:
    """Let everything that waits be due now."""
    OutgoingDelivery.objects.update(due_at=timezone.now(), leased_until=None)
