"""The signing secrets of webhooks: rotation, encryption and redaction."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core import checks
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from executions.models import (
    DeliveryAttempt,
    OutgoingDelivery,
    Secret,
    SigningSecret,
    Subscription,
)
from executions.webhooks import subscriptions
from executions.worker import queue
from tests.conftest import Scenario
from tests.executions.engine.server import Reply
from tests.executions.receivers import (
    Receiver,
    make_deliveries_due,
    send_test_event,
    verify,
)
from workflows.models import AuditEntry

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


State = OutgoingDelivery.State


class TestSecrets:
    def test_both_secrets_sign_after_rotation(self, receiver: Receiver) -> None:
        new = subscriptions.rotate_secret(receiver.subscription)
        send_test_event(receiver)
        queue.serve_due()
        request = receiver.server.received[0]
        assert len(request.headers["webhook-signature"].split(" ")) == 2
        assert verify(request, new) == verify(request, receiver.secret)
        SigningSecret.objects.filter(ends_at__isnull=False).update(ends_at=timezone.now())
        send_test_event(receiver)
        queue.serve_due()
        request = receiver.server.received[1]
        assert verify(request, new)
        with pytest.raises(WebhookVerificationError):
            verify(request, receiver.secret)

    def test_secret_is_stored_encrypted_and_never_logged(
        self, receiver: Receiver, scenario: Scenario, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        receiver.server.replies = [Reply(500), Reply(410)]
        new = subscriptions.rotate_secret(receiver.subscription)
        scenario.start()
        queue.serve_due()
        make_deliveries_due()
        queue.serve_due()
        stored = " ".join(
            str(list(model._base_manager.values_list()))
            for model in (
                Subscription,
                SigningSecret,
                OutgoingDelivery,
                DeliveryAttempt,
                AuditEntry,
            )
        )
        for secret in (receiver.secret, new):
            assert secret.startswith("whsec_")
            for text in (stored, caplog.text):
                assert secret not in text and secret.removeprefix("whsec_") not in text

    @pytest.mark.parametrize(
        "spelled",
        [
            str,
            json.dumps,
            lambda secret: "".join(f"\\u{ord(char):04x}" for char in secret),
            lambda secret: "".join(f"&#x{ord(char):X};" for char in secret),
            lambda secret: "".join(f"%{ord(char):02x}" for char in secret),
            lambda secret: base64.b64decode(secret.removeprefix("whsec_")).hex(),
            lambda secret: "x" * 480 + secret.removeprefix("whsec_"),
        ],
    )
    def test_secret_in_response_is_redacted(
        self, receiver: Receiver, spelled: Callable[[str], str]
    ) -> None:
        text = spelled(receiver.secret)
        receiver.server.replies = [Reply(200, text.encode())]
        send_test_event(receiver)
        queue.serve_due()
        excerpt = DeliveryAttempt.objects.get().answer
        assert excerpt.removeprefix("x" * 480).strip('"').count("{{secret:") == 1
        # The prefix of the format, "whsec_", is no secret.
        assert text.lstrip("x")[-40:-4] not in excerpt and len(excerpt) <= 500

    def test_nothing_is_sent_without_secrets_key(self, receiver: Receiver, settings: Any) -> None:
        delivery = send_test_event(receiver)
        settings.SECRETS_KEY = []
        queue.serve_due()
        assert "SECRETS_KEY" in delivery.attempts.get().error
        assert receiver.server.received == []
        messages = checks.run_checks(databases=["default"])
        assert "executions.E001" in [message.id for message in messages]
        assert not Secret.objects.exists()
