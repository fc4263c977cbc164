"""Outgoing webhooks with an HTTP server that receives their deliveries."""

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
from tests.executions.engine.server import Received, Server, run_server


@dataclass
class Receiver:
    """A webhook, its secret, and the server that receives its deliveries."""

    subscription: Subscription
    secret: str
    server: Server

    def verified_payloads(self, secret: str = "") -> list[dict[str, Any]]:
        """Return the received payloads, after verifying the signature of each."""
        return [verify(request, secret or self.secret) for request in self.server.received]

    @property
    def event_types(self) -> list[str]:
        """The types of the received events."""
        return [payload["type"] for payload in self.verified_payloads()]


def verify(request: Received, secret: str) -> dict[str, Any]:
    """Verify the signature of a request, and return its payload."""
    Webhook(secret).verify(request.body, request.headers)
    payload: dict[str, Any] = json.loads(request.body)
    return payload


def create_webhook(url: str, **fields: Any) -> tuple[Subscription, str]:
    """Create a webhook for all events, and return it with its secret."""
    row = Subscription(url=url, **{"events": list(EVENTS), **fields})
    row.save()
    return row, subscriptions.create_secret(row)


@contextmanager
def run_receiver(settings: Any, **fields: Any) -> Iterator[Receiver]:
    """Run a server that may be called, with a webhook that sends to it."""
    with run_server() as server:
        allow_servers(settings, server)
        row, secret = create_webhook(server.url("/events"), **fields)
        yield Receiver(row, secret, server)


def allow_servers(settings: Any, *servers: Server) -> None:
    """Allow requests to these servers, and configure a key for secrets."""
    settings.HTTP_REQUEST_HOSTS = [server.host for server in servers]
    settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]


def queued_events(**fields: Any) -> list[str]:
    """Return the types of the queued events, in their order."""
    rows = OutgoingDelivery.objects.filter(**fields).order_by("pk")
    return list(rows.values_list("event", flat=True))


def make_deliveries_due() -> None:
    """Make every delivery due now, without a lease."""
    OutgoingDelivery.objects.update(due_at=timezone.now(), leased_until=None)


def send_test_event(receiver: Receiver) -> OutgoingDelivery:
    """Queue a test event for a receiver."""
    return subscriptions.send_test_event(receiver.subscription)
