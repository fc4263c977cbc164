"""The notify node: recipients, text and failures."""

from __future__ import annotations

from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from executions import services
from executions.models import Execution, Job, Status, Step
from executions.models.leased_row import ATTEMPTS
from executions.worker import queue
from tests.executions.engine.test_branches import source, started
from workflows.graph import find_data_problems, node_types

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

TEXTS = {"subject": "About {{name}}", "body": "Dear {{who}},\n{{amount}} {{missing}}."}


def notifying(*to: Any, **data: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "start": "start",
        "mail": {"type": "notify", "data": {"to": list(to), **TEXTS, **data}},
        "end": "end",
    }
    return source(nodes, "start>mail", "mail>end")


def step_of(execution: Execution) -> Step:
    return execution.steps.get(node_id="mail")


def test_mail_is_sent_in_the_background() -> None:
    execution = started(
        notifying("ada@example.com", {"field": "owner"}, {"field": "others"}),
        name="Risk\r\nBcc: x@example.com",
        who="{{name}}",
        amount=5,
        owner="grace@example.com",
        others=["ada@example.com", "linus@example.com"],
    )
    assert execution.status == Status.WAITING
    assert mail.outbox == [] and Job.objects.get().kind == "mail"
    assert queue.serve_due() == 1
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.com", "grace@example.com", "linus@example.com"]
    assert sent.subject == "About Risk Bcc: x@example.com"
    assert sent.body == "Dear {{name}},\n5 ."
    step = step_of(execution)
    assert sent.extra_headers["X-Idempotency-Key"] == step.cuid
    assert sent.message()["Message-ID"].startswith(f"<{step.cuid}@")
    assert step.output == {"to": sent.to, "subject": sent.subject, "attempts": 1}


def test_failed_mail_is_retried_and_finally_opens_incident(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def send(self: EmailMessage) -> int:
        raise SMTPServerDisconnected("gone")

    execution = started(notifying("ada@example.com"))
    with monkeypatch.context() as patched:
        patched.setattr(EmailMessage, "send", send)
        queue.serve_due()
        assert Job.objects.get().due_at > timezone.now()
        for _ in range(ATTEMPTS - 1):
            Job.objects.update(due_at=timezone.now() - timedelta(seconds=1))
            queue.serve_due()
    incident = step_of(execution).incident
    assert incident is not None and incident["code"] == "mail_failed"
    assert "failed 5 times" in incident["detail"] and "gone" in incident["detail"]
    services.retry(execution, node="mail")
    queue.serve_due()
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED
    assert len(mail.outbox) == 1


@pytest.mark.parametrize("value", [None, "nobody", 5, ["ada@example.com", ""], "a@b.c\r\nX: y"])
def test_field_without_an_address_opens_incident_at_once(value: Any) -> None:
    execution = started(notifying({"field": "owner"}), owner=value)
    queue.serve_due()
    incident = step_of(execution).incident
    assert incident is not None and incident["code"] == "no_address"
    assert mail.outbox == [] and not Job.objects.exists()


def test_mail_is_not_sent_when_the_execution_has_ended() -> None:
    execution = started(notifying("ada@example.com"))
    services.cancel(execution)
    assert not Job.objects.exists()
    assert queue.serve_due() == 0 and mail.outbox == []


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({}, "/to"),
        ({"to": []}, "/to"),
        ({"to": ["nobody"]}, "/to/0"),
        ({"to": [{}]}, "/to/0/field"),
        ({"to": [{"field": "x", "name": "x"}]}, "/to/0/name"),
        ({"to": [{"field": "a b"}]}, "/to/0/field"),
        ({"to": [1]}, "/to/0"),
        ({"to": ["a@example.com"] * 101}, "/to"),
        ({"to": ["a@example.com"], "subject": " "}, "/subject"),
        ({"to": ["a@example.com"], "subject": "{{a.b}}"}, "/subject"),
        ({"to": ["a@example.com"], "body": "{{secret:X}}"}, "/body"),
        ({"to": ["a@example.com"], "body": None}, "/body"),
    ],
)
def test_graph_is_refused_when_the_mail_is_invalid(data: dict[str, Any], pointer: str) -> None:
    problems = list(find_data_problems(node_types()["notify"], {"subject": "Hello", **data}))
    assert [at for at, _ in problems] == [pointer]
