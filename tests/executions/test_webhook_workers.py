"""Each webhook delivery is sent at least once, and by one worker at a time."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from executions.engine import http_client
from executions.models import (
    DeliveryAttempt,
    OutgoingDelivery,
)
from executions.models.job import TIMERS
from executions.worker import queue
from tests.conftest import Scenario
from tests.executions.engine.server import Reply
from tests.executions.receivers import (
    Receiver,
    make_deliveries_due,
    run_receiver,
    send_test_event,
)
from workflows.db.locks import Contention

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


State = OutgoingDelivery.State


class TestWorkers:
    def test_delivery_is_sent_again_when_worker_is_killed_after_response(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = send_test_event(receiver)
        with monkeypatch.context() as patched:

            def killed(*_: Any) -> None:
                raise KeyboardInterrupt

            patched.setattr("executions.webhooks.outgoing._settle", killed)
            with pytest.raises(KeyboardInterrupt):
                queue.serve_due()
        assert queue.serve_due() == 0, "the lease holds"
        OutgoingDelivery.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        assert queue.serve_due() == 1
        ids = [one.headers["webhook-id"] for one in receiver.server.received]
        assert ids == [delivery.cuid] * 2

    @pytest.mark.parametrize("error", [Contention("busy"), DatabaseError("gone")])
    def test_accepted_delivery_is_not_sent_again_when_storing_it_fails(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        delivery = send_test_event(receiver)

        def fail(*_: Any) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr("executions.webhooks.outgoing._settle", fail)
            queue.serve_due()
        OutgoingDelivery.objects.update(leased_until=None)
        assert queue.serve_due() == 0
        delivery.refresh_from_db()
        assert delivery.state == State.DELIVERED
        assert len(receiver.server.received) == 1

    def test_accepted_delivery_is_not_sent_again_when_response_is_cut_off(
        self, receiver: Receiver
    ) -> None:
        receiver.server.replies = [Reply(200, b"x", length=9)]
        send_test_event(receiver)
        assert queue.serve_due() == 1
        make_deliveries_due()
        assert queue.serve_due() == 0

    def test_delivery_is_accepted_when_excerpt_fails(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise RuntimeError(receiver.secret)

        receiver.server.replies = [Reply(200, b"taken")]
        send_test_event(receiver)
        monkeypatch.setattr("executions.engine.redaction.Redaction.beginning", fail)
        assert queue.serve_due() == 1
        assert DeliveryAttempt.objects.get().answer == ""

    def test_worker_sends_nothing_when_claim_is_lost(self, receiver: Receiver) -> None:
        send_test_event(receiver)
        late = queue.claim_deliveries()[0]
        make_deliveries_due()
        queue.claim_deliveries()
        assert not queue.serve_delivery(late)
        assert receiver.server.received == []

    def test_late_outcome_does_not_overwrite_later_claim(
        self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        delivery = send_test_event(receiver)
        late = queue.claim_deliveries()[0]
        call = http_client.call_once

        def overtaken(*args: Any, **kwargs: Any) -> http_client.Answer:
            monkeypatch.setattr(http_client, "call_once", call)
            make_deliveries_due()
            assert queue.serve_due() == 1
            raise http_client.CallFailed("too late")

        monkeypatch.setattr(http_client, "call_once", overtaken)
        queue.serve_delivery(late)
        delivery.refresh_from_db()
        assert delivery.state == State.DELIVERED
        assert sorted(one.error for one in delivery.attempts.all()) == ["", "too late"]

    @pytest.mark.postgresql
    @pytest.mark.parametrize("is_guarded", [True, False])
    def test_concurrent_workers_send_each_delivery_once(
        self, settings: Any, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not is_guarded:
            # Without lock and fence, a delivery is claimed twice: the test is able to fail.
            def unguarded(limit: int = 1, lease: Any = None) -> list[OutgoingDelivery]:
                rows = list(OutgoingDelivery.objects.waiting().claimable()[:limit])
                time.sleep(0.01)
                return rows

            monkeypatch.setattr(queue, "claim_deliveries", unguarded)
        with run_receiver(settings) as receiver:
            receiver.server.replies = [Reply(200, b"x" * 3, pace=0.01)]
            for _ in range(20):
                send_test_event(receiver)
            gate = threading.Barrier(4)

            def work() -> None:
                try:
                    gate.wait()
                    queue.serve_due()
                finally:
                    connection.close()

            workers = [threading.Thread(target=work) for _ in range(4)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            ids = [one.headers["webhook-id"] for one in receiver.server.received]
        assert len(set(ids)) == 20
        assert (len(ids) == 20) == is_guarded

    def test_deliveries_count_as_claimable(self, receiver: Receiver) -> None:
        send_test_event(receiver)
        send_test_event(receiver)
        assert queue.count_claimable() == 2
        queue.claim_deliveries()
        assert queue.count_claimable() == 1

    def test_jobs_are_served_before_deliveries(
        self, receiver: Receiver, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        claims: list[str] = []
        claim, deliveries = queue.claim_jobs, queue.claim_deliveries

        def claim_jobs(number: int, *, lane: Any) -> Any:
            claims.append("timers" if lane == TIMERS else "calls")
            return claim(number, lane=lane)

        def claim_one() -> Any:
            claims.append("one")
            return deliveries()

        monkeypatch.setattr(queue, "claim_jobs", claim_jobs)
        monkeypatch.setattr(queue, "claim_deliveries", claim_one)
        send_test_event(receiver), send_test_event(receiver)
        queue.serve_due()
        assert claims == ["timers", "calls", "one"] * 3
