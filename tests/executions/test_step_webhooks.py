"""Incoming webhooks of waiting steps."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test import Client

from executions import integrity, services
from executions.models import Execution, Job, Secret, Status, Visits
from executions.webhooks.incoming import signature
from executions.worker import queue
from tests.commands import run
from tests.executions.engine.test_branches import source, started
from tests.executions.engine.test_step_budget import looping
from workflows.graph import find_data_problems, node_types

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

SECRET = "hunter2-and-more"
BODY = b'{"score": 3}'


@pytest.fixture(autouse=True)
def secret(settings: Any, db: None) -> Secret:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row = Secret(name="HOOK")
    row.set_value(SECRET)
    row.save()
    return row


def start_waiting(**data: Any) -> Execution:
    nodes: dict[str, Any] = {
        "start": "start",
        "hook": {"type": "webhook", "data": {"secret": "HOOK", "save_to": "risk", **data}},
        "form": "user_action",
        "end": "end",
    }
    return started(source(nodes, "start>hook", "hook>form", "form>end"))


def deliver(
    execution: Execution,
    body: bytes = BODY,
    *,
    secret: str = SECRET,
    age: int = 0,
    cuid: str | None = None,
    **headers: str,
) -> Any:
    step = execution.steps.get(node_id="hook").cuid
    at = str(int(time.time()) - age)
    sent = {
        "X-Holdfast-Timestamp": at,
        "X-Holdfast-Signature": signature(secret, step, at, body),
        **headers,
    }
    client = Client(enforce_csrf_checks=True)
    return client.post(
        f"/hooks/{cuid or step}/", body, content_type="application/json", headers=sent
    )


def step_state(execution: Execution) -> str:
    execution.refresh_from_db()
    execution.entity.refresh_from_db()
    return execution.steps.get(node_id="hook").state


def test_delivery_is_saved_once() -> None:
    execution = start_waiting()
    response = deliver(execution)
    assert (response.status_code, response.json()) == (200, {"taken": True})
    assert step_state(execution) == "done"
    assert execution.entity.fields == {"risk": {"score": 3}}
    response = deliver(execution)
    assert (response.status_code, response.json()) == (200, {"taken": False})
    assert deliver(execution, b'{"score": 4}').status_code == 410
    assert step_state(execution) == "done" and execution.entity.fields == {"risk": {"score": 3}}
    services.submit(execution, node="form", data={"note": "x"})
    assert deliver(execution).json() == {"taken": False}


def test_delivery_stays_at_step_when_execution_loops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("executions.engine.advance.STEP_BUDGET", 20)
    node = {"type": "webhook", "data": {"secret": "HOOK", "save_to": "risk"}}
    execution = started(looping("start>hook", "hook>mark", hook=node), again=True)
    assert deliver(execution).json() == {"taken": True}
    step = execution.steps.get(node_id="hook")
    assert (step.incident["code"], step.input["value"]) == ("step_budget", {"score": 3})
    assert step_state(execution) == "incident"
    assert execution.entity.fields == {"again": True}
    assert deliver(execution).status_code == 503


def test_delivery_is_not_found_when_execution_was_purged() -> None:
    execution = start_waiting()
    deliver(execution)
    step = execution.steps.get(node_id="hook")
    services.cancel(execution)
    assert "1 tree deleted" in run("purge_executions", "--older-than", "0h")
    at = str(int(time.time()))
    sent = {
        "X-Holdfast-Timestamp": at,
        "X-Holdfast-Signature": signature(SECRET, step.cuid, at, BODY),
    }
    path = f"/hooks/{step.cuid}/"
    response = Client().post(path, BODY, content_type="application/json", headers=sent)
    assert response.status_code == 404


@pytest.mark.postgresql
def test_concurrent_deliveries_resume_step_once() -> None:
    execution = start_waiting()
    answers: list[tuple[int, bool]] = []
    begin = threading.Barrier(2)

    def send() -> None:
        try:
            begin.wait(10)
            response = deliver(execution)
            answers.append((response.status_code, response.json()["taken"]))
        finally:
            connection.close()

    both = [threading.Thread(target=send) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(answers) == [(200, False), (200, True)]
    assert execution.steps.filter(node_id="form").count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "another"},
        {"age": 301},
        {"age": -330},
        {"X-Holdfast-Signature": ""},
        {"X-Holdfast-Signature": "sha256=é"},
        {"X-Holdfast-Timestamp": "0"},
        {"X-Holdfast-Timestamp": "now"},
    ],
)
def test_wrong_signature_is_rejected(wrong: dict[str, Any]) -> None:
    execution = start_waiting()
    assert deliver(execution, **wrong).status_code == 401
    assert step_state(execution) == "open"


def test_signature_is_valid_for_one_step() -> None:
    execution, other = start_waiting(), start_waiting()
    cuid = other.steps.get(node_id="hook").cuid
    assert deliver(execution, cuid=cuid).status_code == 401
    assert step_state(other) == "open"


def test_unknown_step_is_404_and_closed_step_is_410() -> None:
    execution = start_waiting()
    assert deliver(execution, cuid="nothing").status_code == 404
    start = Visits(execution)[0].cuid
    assert deliver(execution, cuid=start).status_code == 404
    services.cancel(execution)
    assert deliver(execution).status_code == 410
    assert "risk" not in execution.entity.fields


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": "\\u0000"}', b"\xff"]
)
def test_invalid_json_is_rejected(body: bytes) -> None:
    execution = start_waiting()
    assert deliver(execution, body).status_code == 400
    assert step_state(execution) == "open"


def test_large_body_is_rejected() -> None:
    assert deliver(start_waiting(), b"[" + b" " * 1024 * 1024 + b"]").status_code == 413


def test_unstorable_address_is_not_found() -> None:
    for cuid in ("%00", "x%00y"):
        assert Client().post(f"/hooks/{cuid}/", b"{}", "application/json").status_code == 404


def test_other_methods_are_refused() -> None:
    assert Client().get("/hooks/nothing/").status_code == 405


def test_delivery_is_unavailable_when_secret_is_missing(secret: Secret) -> None:
    execution = start_waiting()
    Secret._base_manager.filter(pk=secret.pk)._raw_delete("default")
    assert deliver(execution).status_code == 503
    assert step_state(execution) == "open"
    (found,) = integrity.find_violations()
    assert (found.invariant, found.cuid) == ("I9", execution.version.cuid)
    assert "Create the secret “HOOK”" in found.remedy
    Secret.objects.create(name="HOOK", encrypted=secret.encrypted)
    assert deliver(execution).status_code == 200


def test_deadline_marks_step_overdue() -> None:
    execution = start_waiting(deadline="PT1H")
    job = Job.objects.get()
    job.due_at -= timedelta(hours=2)
    job.save()
    queue.serve_due()
    assert execution.steps.get(node_id="hook").overdue
    assert deliver(execution).status_code == 200
    assert execution.status == Status.WAITING


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({}, "/secret"),
        ({"secret": "a b"}, "/secret"),
        ({"secret": "A", "save_to": "1"}, "/save_to"),
        ({"secret": "A", "deadline": "x"}, "/deadline"),
    ],
)
def test_invalid_webhook_node_is_refused(data: dict[str, Any], pointer: str) -> None:
    assert [at for at, _ in find_data_problems(node_types()["webhook"], data)] == [pointer]
