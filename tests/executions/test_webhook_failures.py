"""Failed webhook deliveries: retries, giving up, and disabling the webhook."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.utils import timezone

from executions.models import (
    OutgoingDelivery,
    Subscription,
)
from executions.webhooks.outgoing import MAX_GIVEN_UP, RETRY_DELAYS
from executions.worker import queue
from tests.conftest import Scenario
from tests.executions.engine.server import Reply
from tests.executions.receivers import (
    Receiver,
    make_deliveries_due,
    send_test_event,
)
from workflows.models import AuditEntry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


State = OutgoingDelivery.State


class TestFailures:
    def test_retry_has_same_id_and_body(self, receiver: Receiver) -> None:
        receiver.server.replies = [Reply(500, b"sorry " * 200), Reply(204)]
        delivery = send_test_event(receiver)
        queue.serve_due()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempt) == (State.WAITING, 1)
        until = (delivery.due_at - timezone.now()).total_seconds()
        assert 5 < until < 13
        assert queue.serve_due() == 0
        make_deliveries_due()
        queue.serve_due()
        first, second = receiver.server.received
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery.cuid
        assert first.body == second.body
        assert len(receiver.verified_payloads()) == 2
        failed, taken = delivery.attempts.all()
        assert (failed.status, len(failed.answer), failed.error) == (500, 500, "")
        assert taken.status == 204 and failed.milliseconds >= 0

    @pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 503])
    def test_unsuccessful_status_is_retried(self, receiver: Receiver, status: int) -> None:
        receiver.server.replies = [Reply(status, headers={"Location": "/elsewhere"}), Reply()]
        delivery = send_test_event(receiver)
        queue.serve_due()
        delivery.refresh_from_db()
        assert delivery.state == State.WAITING
        assert [one.path for one in receiver.server.received] == ["/events"]

    def test_retry_waits_for_retry_after(self, receiver: Receiver) -> None:
        receiver.server.replies = [Reply(429, headers={"Retry-After": "3600"})]
        delivery = send_test_event(receiver)
        queue.serve_due()
        delivery.refresh_from_db()
        assert (delivery.due_at - timezone.now()).total_seconds() > 3500

    def test_endless_response_counts_by_its_status(self, receiver: Receiver) -> None:
        receiver.server.replies = [Reply(200, b"x" * 3_000_000)]
        delivery = send_test_event(receiver)
        queue.serve_due()
        delivery.refresh_from_db()
        assert delivery.state == State.DELIVERED
        assert delivery.attempts.get().answer == "x" * 500

    def test_slow_receiver_times_out(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("executions.webhooks.outgoing.TIMEOUT", 0.3)
        receiver.server.replies = [Reply(200, b"x" * 40, pace=0.1)]
        delivery = send_test_event(receiver)
        began = time.monotonic()
        queue.serve_due()
        assert time.monotonic() - began < 3
        assert delivery.attempts.count() == 1

    def test_url_is_not_called_when_no_longer_allowed(
        self, receiver: Receiver, settings: Any
    ) -> None:
        delivery = send_test_event(receiver)
        settings.HTTP_REQUEST_ALLOW_LOOPBACK = False
        queue.serve_due()
        make_deliveries_due()
        settings.HTTP_REQUEST_HOSTS = []
        queue.serve_due()
        assert receiver.server.received == []
        at, among = delivery.attempts.all()
        assert "not a public address" in at.error and "HTTP_REQUEST_HOSTS" in among.error

    def test_delivery_is_given_up_after_last_attempt(self, receiver: Receiver) -> None:
        receiver.server.replies = [Reply(500)]
        delivery = send_test_event(receiver)
        for _ in range(len(RETRY_DELAYS) + 2):
            make_deliveries_due()
            queue.serve_due()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts.count()) == (
            State.GIVEN_UP,
            len(RETRY_DELAYS) + 1,
        )
        receiver.subscription.refresh_from_db()
        assert receiver.subscription.state == "active"
        assert receiver.subscription.given_up_in_a_row == 1

    def test_webhook_is_disabled_after_five_given_up_deliveries(self, receiver: Receiver) -> None:
        receiver.server.replies = [Reply(500)]
        for number in range(MAX_GIVEN_UP):
            send_test_event(receiver)
            OutgoingDelivery.objects.update(attempt=len(RETRY_DELAYS))
            queue.serve_due()
            receiver.subscription.refresh_from_db()
            is_last = number == MAX_GIVEN_UP - 1
            assert receiver.subscription.state == ("disabled" if is_last else "active")
        assert receiver.subscription.disabled_because == (
            "5 deliveries in a row were given up. The last error: The response was 500."
        )
        entry = AuditEntry.objects.first()
        assert entry is not None and (entry.kind, entry.after) == ("webhook", {"state": "disabled"})

    def test_accepted_delivery_resets_count_of_given_up_ones(self, receiver: Receiver) -> None:
        Subscription._base_manager.update(given_up_in_a_row=MAX_GIVEN_UP - 1)
        send_test_event(receiver)
        queue.serve_due()
        receiver.subscription.refresh_from_db()
        assert receiver.subscription.given_up_in_a_row == 0

    def test_status_410_disables_webhook_and_keeps_waiting_deliveries(
        self, receiver: Receiver, scenario: Scenario
    ) -> None:
        receiver.server.replies = [Reply(410), Reply()]
        first, second = send_test_event(receiver), send_test_event(receiver)
        queue.serve_due()
        receiver.subscription.refresh_from_db()
        assert receiver.subscription.state == "disabled"
        assert "410" in receiver.subscription.disabled_because
        states = [OutgoingDelivery.objects.get(pk=row.pk).state for row in (first, second)]
        assert states == [State.GIVEN_UP, State.WAITING]
        scenario.start()
        assert OutgoingDelivery.objects.count() == 2 and queue.serve_due() == 0
        receiver.subscription.state = "active"
        receiver.subscription.save()
        assert queue.serve_due() == 1
