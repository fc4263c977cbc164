"""Webhook deliveries: signed requests, redelivery and housekeeping."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from executions.models import (
    OutgoingDelivery,
    Subscription,
)
from executions.webhooks import subscriptions
from executions.worker import queue
from tests.commands import run
from tests.conftest import Scenario
from tests.executions.engine.server import run_server
from tests.executions.receivers import (
    Receiver,
    allow_servers,
    create_webhook,
    send_test_event,
)
from workflows.refusals import Refusal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


State = OutgoingDelivery.State


@pytest.mark.parametrize("name", ["run_due", "work"])
def test_receiver_verifies_deliveries(receiver: Receiver, scenario: Scenario, name: str) -> None:
    execution = scenario.start()
    assert "2 jobs" in run(name, **({"once": True} if name == "work" else {}))
    started, waits = receiver.verified_payloads()
    assert (started["type"], waits["type"]) == ("execution.started", "execution.waiting")
    row = OutgoingDelivery.objects.get(event="execution.started")
    assert started["data"] == {
        "number": row.pk,
        **row.data,
        "path": f"/api/v1/executions/{execution.cuid}/",
    }
    assert started["data"]["number"] < waits["data"]["number"]
    assert started["timestamp"] == row.at.isoformat().replace("+00:00", "Z")
    request = receiver.server.received[0]
    assert (request.method, request.path) == ("POST", "/events")
    assert request.headers["webhook-id"] == row.cuid
    assert request.headers["content-type"] == "application/json"
    assert (row.state, row.attempts.get().status) == (State.DELIVERED, 200)
    assert run("run_due") == "Nothing is due.\n"


def test_dry_run_sends_nothing(receiver: Receiver) -> None:
    send_test_event(receiver)
    assert run("run_due", dry_run=True) == "Due: 1 job.\n"
    assert receiver.server.received == []


def test_changed_body_fails_verification(receiver: Receiver) -> None:
    send_test_event(receiver)
    queue.serve_due()
    request = receiver.server.received[0]
    request.body = request.body.replace(b"webhook.test", b"webhook.best")
    with pytest.raises(WebhookVerificationError):
        receiver.verified_payloads()


class TestRedelivery:
    def test_redelivery_has_same_id(self, receiver: Receiver) -> None:
        delivery = send_test_event(receiver)
        queue.serve_due()
        assert subscriptions.redeliver(delivery).state == State.WAITING
        assert queue.serve_due() == 1
        assert [one.headers["webhook-id"] for one in receiver.server.received] == (
            [delivery.cuid] * 2
        )
        assert delivery.attempts.count() == 2

    def test_redelivery_is_refused_when_webhook_is_disabled(self, receiver: Receiver) -> None:
        delivery = send_test_event(receiver)
        receiver.subscription.state = "disabled"
        receiver.subscription.save()
        for act in (
            lambda: subscriptions.redeliver(delivery),
            lambda: subscriptions.send_test_event(receiver.subscription),
        ):
            with pytest.raises(Refusal, match="disabled") as caught:
                act()
            assert caught.value.code == "webhook_disabled"


def test_old_deliveries_are_deleted(receiver: Receiver, settings: Any) -> None:
    settings.WEBHOOK_KEEP_DAYS = 7
    rows = {name: send_test_event(receiver) for name in ("delivered", "given up", "young", "waits")}
    with run_server() as other:
        allow_servers(settings, receiver.server, other)
        rows["of another"] = subscriptions.send_test_event(create_webhook(other.url())[0])
        Subscription._base_manager.exclude(pk=receiver.subscription.pk).update(state="disabled")
    old = timezone.now() - timedelta(days=8)
    OutgoingDelivery.objects.exclude(pk=rows["young"].pk).update(at=old)
    for name, state in (
        ("delivered", "delivered"),
        ("given up", "given_up"),
        ("young", "delivered"),
    ):
        OutgoingDelivery.objects.filter(pk=rows[name].pk).update(state=state)
    later = timezone.now() + timedelta(days=1)
    OutgoingDelivery.objects.update(due_at=later)
    run("run_due")
    assert set(OutgoingDelivery.objects.all()) == {rows["young"], rows["waits"]}
