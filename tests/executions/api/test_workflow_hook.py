"""A signed POST starts a workflow, once for each delivery."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.test import Client
from django.utils import timezone

from executions import services
from executions.models import Delivery, Execution, Finding, Secret
from executions.webhooks.incoming import signature
from tests.commands import run
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory, drawn, form
from tests.workflows.api.clients import assert_problem
from workflows import editing as drawing
from workflows.models import AuditEntry, Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def secret(settings: Any, db: None) -> Secret:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row = Secret(name="HOOK")
    row.keep(SECRET)
    row.save()
    return row


@pytest.fixture
def workflow(secret: Secret) -> Workflow:
    row: Workflow = WorkflowFactory(trigger="webhook", trigger_data={"secret": "HOOK"})
    drawn(row, form())
    return row


@pytest.fixture
def finding(workflow: Workflow) -> Finding:
    row: Finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    return row


def post(
    workflow: Workflow,
    body: Any,
    *,
    secret: str = SECRET,
    age: int = 0,
    to: str | None = None,
    **headers: str,
) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    at = str(int(time.time()) - age)
    sent = {
        "X-Holdfast-Timestamp": at,
        "X-Holdfast-Signature": signature(secret, workflow.cuid, at, raw),
        **headers,
    }
    client = Client(enforce_csrf_checks=True)
    path = f"/api/v1/workflows/{to or workflow.cuid}/hook/"
    return client.post(path, raw, content_type="application/json", headers=sent)


def asked(finding: Finding, delivery: str = "d-1") -> dict[str, str]:
    return {"delivery": delivery, "entity": finding.cuid}


def test_a_delivery_starts_it_and_the_same_again_does_nothing(
    workflow: Workflow, finding: Finding
) -> None:
    response = post(workflow, asked(finding))
    execution = Execution.objects.get()
    assert (response.status_code, response.json()) == (
        201,
        {"taken": True, "execution": execution.cuid},
    )
    assert (execution.workflow, execution.entity_id) == (workflow, finding.pk)
    entry = AuditEntry.objects.order_by("-id")[0]
    assert (entry.action, entry.cuid, entry.face) == ("started", workflow.cuid, "api")
    assert entry.after == {
        "trigger": "webhook",
        "entity": finding.cuid,
        "delivery": "d-1",
        "execution": execution.cuid,
    }
    # However it is written.
    again = post(workflow, json.dumps(asked(finding), indent=2).encode())
    assert (again.status_code, again.json()) == (
        200,
        {"taken": False, "execution": execution.cuid},
    )
    assert post(workflow, asked(finding, "d-2")).status_code == 201
    assert Execution.objects.count() == 2


def test_a_delivery_id_is_each_workflows_own(workflow: Workflow, finding: Finding) -> None:
    other = WorkflowFactory(
        entity_name_type=workflow.entity_name_type,
        trigger="webhook",
        trigger_data={"secret": "HOOK"},
    )
    assert [post(row, asked(finding)).status_code for row in (workflow, other)] == [201, 201]


@pytest.mark.postgresql
def test_two_of_the_same_at_once(workflow: Workflow, finding: Finding) -> None:
    answers: list[tuple[int, str]] = []
    begin = threading.Barrier(2)

    def send() -> None:
        try:
            begin.wait(10)
            response = post(workflow, asked(finding))
            answers.append((response.status_code, response.json()["execution"]))
        finally:
            connection.close()

    both = [threading.Thread(target=send) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    cuid = Execution.objects.get().cuid
    assert sorted(answers) == [(200, cuid), (201, cuid)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "another"},
        {"age": 301},
        {"age": -330},
        {"X-Holdfast-Signature": ""},
        {"X-Holdfast-Timestamp": "now"},
    ],
)
def test_a_wrong_signature(workflow: Workflow, finding: Finding, wrong: dict[str, Any]) -> None:
    assert_problem(post(workflow, asked(finding), **wrong), 401, "not_signed")
    assert not Execution.objects.exists()


def test_a_signature_is_good_for_one_workflow(workflow: Workflow, finding: Finding) -> None:
    other = WorkflowFactory(
        entity_name_type=workflow.entity_name_type,
        trigger="webhook",
        trigger_data={"secret": "HOOK"},
    )
    assert post(workflow, asked(finding), to=other.cuid).status_code == 401


@pytest.mark.parametrize("trigger", ["manual", "created", "changed"])
def test_another_trigger_has_no_hook(workflow: Workflow, finding: Finding, trigger: str) -> None:
    workflow.trigger, workflow.trigger_data = trigger, {}
    workflow.save()
    assert_problem(post(workflow, asked(finding)), 404, "not_found")
    assert_problem(post(workflow, asked(finding), to="nothing"), 404, "not_found")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "JSON"),
        ([], "a list"),
        ({"entity": "x"}, "'delivery'"),
        ({"delivery": "d"}, "'entity'"),
        ({"delivery": 1, "entity": "x"}, "a number"),
        ({"delivery": "", "entity": "x"}, "'delivery'"),
        ({"delivery": "d" * 129, "entity": "x"}, "128"),
        ({"delivery": "d", "entity": "nothing"}, "'nothing'"),
        ({"delivery": "d", "entity": "x", "fields": {}}, "'fields'"),
    ],
)
def test_what_asks_for_nothing_that_can_be_done(workflow: Workflow, body: Any, says: str) -> None:
    problem = assert_problem(post(workflow, body), 400, "invalid")
    assert says in problem["detail"]


def test_the_same_id_for_another_entity(workflow: Workflow, finding: Finding) -> None:
    post(workflow, asked(finding))
    other = FindingFactory(entity_name_type=workflow.entity_name_type)
    assert_problem(post(workflow, asked(other)), 400, "invalid")
    assert Execution.objects.count() == 1


def test_a_secret_that_is_gone(workflow: Workflow, finding: Finding, secret: Secret) -> None:
    Secret._base_manager.filter(pk=secret.pk)._raw_delete("default")
    assert_problem(post(workflow, asked(finding)), 503, "unready")
    Secret.objects.create(name="HOOK", encrypted=secret.encrypted)


def test_both_secrets_start_it_when_one_has_replaced_the_other(
    workflow: Workflow, finding: Finding, secret: Secret
) -> None:
    secret.keep("another value")
    secret.save()
    assert post(workflow, asked(finding)).status_code == 201
    assert post(workflow, asked(finding, "d-2"), secret="another value").status_code == 201
    services.revoke_previous_value(secret)
    assert post(workflow, asked(finding, "d-3")).status_code == 401


def test_too_much(workflow: Workflow) -> None:
    assert_problem(post(workflow, b" " * (1024 * 1024 + 1)), 413, "too_large")


def test_what_cannot_start_is_refused_told_and_may_be_delivered_again(
    workflow: Workflow, finding: Finding
) -> None:
    drawing.set_state(workflow, "draft")
    assert_problem(post(workflow, asked(finding)), 400, "not_startable")
    entry = AuditEntry.objects.order_by("-id")[0]
    assert (entry.refused, entry.code, entry.cuid) == (True, "not_startable", workflow.cuid)
    assert entry.after["entity"] == finding.cuid
    assert not Delivery.objects.exists()
    drawing.set_state(workflow, "active")
    assert post(workflow, asked(finding)).status_code == 201


def test_an_entity_of_another_type_is_refused(workflow: Workflow) -> None:
    other = FindingFactory(entity_name_type=FindingTypeFactory())
    assert_problem(post(workflow, asked(other)), 400, "entity_type_mismatch")


def purge(workflow: Workflow, age: int = 0) -> None:
    """End what the workflow has started, and purge it, as if that had been so many days ago."""
    for execution in Execution.objects.live():
        services.cancel(execution)
    moment = timezone.now() - timedelta(days=age)
    Execution._base_manager.update(ended_at=moment)
    Delivery.objects.update(at=moment)
    assert "1 tree deleted" in run("purge_executions", "--older-than", "0h")
    assert not Execution.objects.exists()


def test_delivery_is_answered_the_same_when_its_execution_was_purged(
    workflow: Workflow, finding: Finding
) -> None:
    first = post(workflow, asked(finding)).json()
    purge(workflow)
    again = post(workflow, asked(finding))
    assert (again.status_code, again.json()) == (200, {**first, "taken": False})
    assert not Execution.objects.exists()
    # Another id starts another one.
    assert post(workflow, asked(finding, "d-2")).status_code == 201


def test_delivery_is_answered_the_same_when_its_execution_was_deleted(
    workflow: Workflow, finding: Finding
) -> None:
    first = post(workflow, asked(finding)).json()
    services.cancel(Execution.objects.get())
    Execution.objects.get().delete()
    assert post(workflow, asked(finding)).json() == {**first, "taken": False}
    assert not Execution.objects.exists()


def test_delivery_for_another_entity_is_refused_when_its_execution_was_purged(
    workflow: Workflow, finding: Finding
) -> None:
    post(workflow, asked(finding))
    purge(workflow)
    other = FindingFactory(entity_name_type=workflow.entity_name_type)
    assert_problem(post(workflow, asked(other)), 400, "invalid")
    assert not Execution.objects.exists()


def test_purge_notes_the_answer_when_the_release_before_has_not(
    workflow: Workflow, finding: Finding
) -> None:
    first = post(workflow, asked(finding)).json()
    Delivery.objects.update(execution_cuid="", entity_cuid="")
    assert post(workflow, asked(finding)).json()["execution"] == first["execution"]
    purge(workflow)
    assert post(workflow, asked(finding)).json()["execution"] == first["execution"]


def test_delivery_is_refused_when_nobody_noted_its_answer_before_the_deletion(
    workflow: Workflow, finding: Finding
) -> None:
    post(workflow, asked(finding))
    Delivery.objects.update(execution_cuid="", entity_cuid="")
    services.cancel(Execution.objects.get())
    Execution.objects.get().delete()
    problem = assert_problem(post(workflow, asked(finding)), 400, "invalid")
    assert "deleted" in problem["detail"]
    assert not Execution.objects.exists()


@pytest.mark.parametrize(("age", "is_kept"), [(29, True), (31, False)])
def test_delivery_is_forgotten_when_it_is_old_and_its_execution_was_purged(
    workflow: Workflow, finding: Finding, age: int, is_kept: bool
) -> None:
    post(workflow, asked(finding))
    purge(workflow, age)
    run("run_due")
    assert Delivery.objects.exists() is is_kept


def test_delivery_is_remembered_however_old_when_its_execution_is_there(
    workflow: Workflow, finding: Finding
) -> None:
    first = post(workflow, asked(finding)).json()
    Delivery.objects.update(at=timezone.now() - timedelta(days=4_000))
    run("run_due")
    assert post(workflow, asked(finding)).json() == {**first, "taken": False}


def test_only_posts(workflow: Workflow) -> None:
    response = Client().get(f"/api/v1/workflows/{workflow.cuid}/hook/")
    assert_problem(response, 405, "method_not_allowed")
