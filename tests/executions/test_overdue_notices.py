"""Notices: the mail about a passed deadline is sent once, and the step stays open."""

from __future__ import annotations

from datetime import timedelta
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.test import Client

from executions import services
from executions.models import Execution, Job, Secret, Status, Step
from executions.models.leased_row import ATTEMPTS
from executions.worker import queue
from tests.executions.engine.test_branches import source, started
from tests.factories import UserFactory
from tests.workflows.api.clients import Client as ApiClient
from tests.workflows.api.clients import client_of
from workflows.admin.base.formatting import admin_url

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

TO = {"to": ["ada@example.com", {"field": "owner"}]}
OWNER: dict[str, Any] = {"owner": "grace@example.com", "name": "Risk 7"}


def start_overdue(notify: dict[str, Any] | None = None, /, **fields: Any) -> Execution:
    """Start an execution at a form whose deadline of an hour has passed."""
    deadline = {"after": "PT1H", "notify": {**TO, **(notify or {})}}
    nodes: dict[str, Any] = {
        "start": "start",
        "form": {"type": "user_action", "data": {"label": "Review", "deadline": deadline}},
        "end": "end",
    }
    execution = started(source(nodes, "start>form", "form>end"), **(fields or OWNER))
    assert Job.objects.get().kind == "deadline"
    pass_time()
    return execution


def pass_time() -> None:
    for job in Job.objects.all():
        job.due_at -= timedelta(hours=2)
        job.save()


def open_step(execution: Execution) -> Step:
    return execution.steps.get(node_id="form")


@pytest.fixture
def server_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def send(self: EmailMessage) -> int:
        raise SMTPServerDisconnected("gone")

    monkeypatch.setattr(EmailMessage, "send", send)


def test_notice_is_sent_by_worker_and_step_stays_open() -> None:
    execution = start_overdue({"subject": "{{name}} waits", "body": "Dear {{owner}}."})
    assert queue.serve_due() == 2
    (sent,) = mail.outbox
    assert sent.to == ["ada@example.com", "grace@example.com"]
    assert (sent.subject, sent.body) == ("Risk 7 waits", "Dear grace@example.com.")
    step = open_step(execution)
    assert sent.extra_headers["X-Idempotency-Key"] == step.cuid
    assert (step.overdue, step.state) == (True, "open")
    assert step.notice["state"] == "sent" and step.notice["to"] == sent.to
    assert not Job.objects.exists() and queue.serve_due() == 0
    assert services.submit(execution, node="form", data={}).status == Status.COMPLETED


def test_default_notice_names_step() -> None:
    start_overdue()
    queue.serve_due()
    (sent,) = mail.outbox
    assert (sent.subject, sent.body) == ("Overdue: Review", "“Review” is overdue.")


def test_notice_has_field_values_of_the_deadline() -> None:
    execution = start_overdue({"subject": "{{name}}"})
    (job,) = queue.claim_jobs()
    queue.serve_job(job)
    assert open_step(execution).notice["fields"] == OWNER
    execution.entity.fields = {"owner": "other@example.com", "name": "Risk 8"}
    execution.entity.save()
    queue.serve_due()
    assert mail.outbox[0].subject == "Risk 7"


def test_failed_notice_is_retried_and_step_can_be_submitted(
    server_is_down: None,
) -> None:
    execution = start_overdue()
    for attempt in range(1, ATTEMPTS):
        queue.serve_due()
        assert (Job.objects.get().kind, Job.objects.get().attempt) == ("overdue", attempt)
        pass_time()
    queue.serve_due()
    step = open_step(execution)
    assert (step.state, step.incident, step.overdue) == ("open", None, True)
    assert (step.notice["state"], step.notice["code"]) == ("failed", "mail_failed")
    assert "failed 5 times" in step.notice["detail"] and "gone" in step.notice["detail"]
    assert not Job.objects.exists()
    assert services.submit(execution, node="form", data={}).status == Status.COMPLETED


def test_notice_without_address_fails_at_once_and_step_can_be_submitted() -> None:
    execution = start_overdue(owner="nobody")
    queue.serve_due()
    step = open_step(execution)
    assert (step.state, step.notice["code"]) == ("open", "no_address")
    assert mail.outbox == [] and not Job.objects.exists()
    assert services.submit(execution, node="form", data={}).status == Status.COMPLETED


def test_notice_is_not_sent_when_step_is_closed(server_is_down: None) -> None:
    execution = start_overdue()
    queue.serve_due()
    assert Job.objects.get().kind == "overdue"
    services.submit(execution, node="form", data={})
    assert not Job.objects.exists()


def test_notice_is_sent_by_last_claim_only() -> None:
    start_overdue()
    (passing,) = queue.claim_jobs()
    queue.serve_job(passing)
    (first,) = queue.claim_jobs(lease=timedelta(seconds=-1))
    (second,) = queue.claim_jobs()
    assert queue.serve_job(first) is False and mail.outbox == []
    assert queue.serve_job(second) is True and len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("kind", "data"), [("approval", {"users": ["ada"]}), ("webhook", {"secret": "key"})]
)
def test_approval_and_webhook_send_notices(kind: str, data: dict[str, Any]) -> None:
    UserFactory(username="ada")
    Secret.objects.create(name="key", encrypted="")
    deadline = {"deadline": {"after": 60, "notify": TO}}
    edges = ["n.approved>end", "n.rejected>end"] if kind == "approval" else ["n>end"]
    nodes: dict[str, Any] = {"start": "start", "n": {"type": kind, "data": {**data, **deadline}}}
    execution = started(source({**nodes, "end": "end"}, "start>n", *edges), **OWNER)
    pass_time()
    queue.serve_due()
    step = execution.steps.get(node_id="n")
    assert (step.state, step.overdue, step.notice["state"]) == ("open", True, "sent")
    assert len(mail.outbox) == 1


@pytest.fixture
def api(db: None) -> ApiClient:
    return client_of(superuser=True)


@pytest.mark.parametrize("owner", ["grace@example.com", "nobody"])
def test_notice_is_readable_before_and_after_step_is_closed(
    api: ApiClient, admin_client: Client, owner: str
) -> None:
    execution = start_overdue(owner=owner)
    path, page = f"executions/{execution.cuid}/", admin_url(execution, "change", execution.pk)
    (step,) = api.get(path).json()["open_steps"]
    assert (step["overdue"], step["notice"]) == (False, None)
    (job,) = queue.claim_jobs()
    queue.serve_job(job)
    (step,) = api.get(path).json()["open_steps"]
    assert (step["overdue"], step["notice"]["state"]) == (True, "pending")
    assert "fields" not in step["notice"]
    assert "The overdue notice will be sent soon." in admin_client.get(page).content.decode()
    queue.serve_due()
    (step,) = api.get(path).json()["open_steps"]
    notice = step["notice"]
    said = "Overdue notice sent to ada@example.com, grace@example.com"
    if owner == "nobody":
        said = "The overdue notice could not be sent."
        assert (notice["state"], notice["code"], notice["to"]) == ("failed", "no_address", None)
    else:
        assert (notice["state"], notice["code"], notice["to"][1]) == ("sent", None, owner)
    assert said in admin_client.get(page).content.decode()
    services.submit(execution, node="form", data={})
    step = api.get(f"{path}steps/").json()["results"][1]
    assert (step["notice"], step["overdue"]) == (notice, True)
    assert said in admin_client.get(page).content.decode()
