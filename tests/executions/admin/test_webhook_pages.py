"""Webhook pages: settings, secrets and deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions.models import OutgoingDelivery, Subscription
from executions.worker import queue
from tests.executions.engine.server import Reply
from tests.executions.receivers import Receiver, run_receiver, verify
from tests.workflows.admin.staff import page, staff, text
from workflows.models import AuditEntry

pytestmark = pytest.mark.django_db

ADD = "admin:executions_subscription_add"


@pytest.fixture
def listener(db: None, settings: Any) -> Iterator[Receiver]:
    with run_receiver(settings) as made:
        yield made


def sent(listener: Receiver, **more: Any) -> dict[str, Any]:
    return {
        "url": listener.server.url("/other"),
        "description": "",
        "events": ["execution.started"],
        "workflow": "",
        "entity_name_type": "",
        "state": "active",
        **more,
    }


def secret_in(response: Any) -> str:
    return str(response.context["secret"])


def test_new_webhook_shows_secret_once(admin_client: Client, listener: Receiver) -> None:
    response = admin_client.post(reverse(ADD), sent(listener))
    assert response.status_code == 200 and "no-store" in response["Cache-Control"]
    secret = secret_in(response)
    assert secret in text(response)
    row = Subscription.objects.exclude(pk=listener.subscription.pk).get()
    for address in (page(row), page(row, "history"), page(row, "rotate")):
        assert secret not in admin_client.get(address).content.decode()
    admin_client.post(page(row, "test"))
    queue.serve_due()
    assert verify(listener.server.received[0], secret)["type"] == "webhook.test"
    assert secret not in str(list(AuditEntry.objects.values_list()))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"url": "https://elsewhere.example/"}, "is not among the hosts"),
        ({"events": []}, "This field is required"),
    ],
)
def test_invalid_webhook_shows_field_errors(
    admin_client: Client, listener: Receiver, wrong: dict[str, Any], says: str
) -> None:
    response = admin_client.post(reverse(ADD), sent(listener, **wrong))
    assert response.status_code == 200 and says in text(response)
    assert Subscription.objects.count() == 1


def test_new_webhook_needs_secrets_key(
    admin_client: Client, listener: Receiver, settings: Any
) -> None:
    settings.SECRETS_KEY = []
    response = admin_client.post(reverse(ADD), sent(listener))
    assert "SECRETS_KEY" in text(response) and Subscription.objects.count() == 1


def test_webhook_secret_is_replaced_after_confirmation(
    admin_client: Client, listener: Receiver
) -> None:
    rotate = page(listener.subscription, "rotate")
    assert "For 24 hours" in text(admin_client.get(rotate))
    assert listener.subscription.secrets.count() == 1
    new = secret_in(admin_client.post(rotate))
    admin_client.post(page(listener.subscription, "test"))
    queue.serve_due()
    assert listener.verified_payloads(new) == listener.verified_payloads()


def test_webhook_edit_keeps_secret(admin_client: Client, listener: Receiver) -> None:
    changed = sent(listener, events=["change.applied", "execution.failed"])
    assert admin_client.post(page(listener.subscription), changed).status_code == 302
    listener.subscription.refresh_from_db()
    assert set(listener.subscription.events) == {"change.applied", "execution.failed"}
    assert listener.subscription.secrets.count() == 1


def test_delivery_appears_and_sent_again(admin_client: Client, listener: Receiver) -> None:
    listener.server.replies = [Reply(410, b"<b>gone</b>"), Reply(200)]
    admin_client.post(page(listener.subscription, "test"))
    queue.serve_due()
    delivery = OutgoingDelivery.objects.get()
    html = text(admin_client.get(page(delivery)))
    assert "410" in html and "&lt;b&gt;gone" in html and delivery.cuid in html
    webhook = text(admin_client.get(page(listener.subscription)))
    assert "webhook.test" in webhook and "The receiver responded with 410" in webhook
    refused = admin_client.post(page(delivery, "redeliver"), follow=True)
    assert "The webhook is disabled" in text(refused)
    admin_client.post(page(listener.subscription), sent(listener))
    again = admin_client.post(page(delivery, "redeliver"), follow=True)
    assert "will deliver the event again" in text(again)
    queue.serve_due()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts.count()) == ("delivered", 2)
    listed = admin_client.get(reverse("admin:executions_outgoingdelivery_changelist"))
    assert "Delivered" in text(listed)


def test_operator_redelivers_but_cannot_edit(listener: Receiver) -> None:
    operator = staff(
        "executions.view_subscription",
        "executions.view_outgoingdelivery",
        "executions.redeliver_outgoingdelivery",
    )
    html = text(operator.get(page(listener.subscription)))
    assert 'name="_save"' not in html and "/rotate/" not in html and "/test/" not in html
    for name in ("rotate", "test"):
        assert operator.post(page(listener.subscription, name)).status_code == 403
    assert operator.post(page(listener.subscription), sent(listener)).status_code == 403
    assert not OutgoingDelivery.objects.exists()
