"""Incoming webhooks that start a workflow, once per delivery."""

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
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory, form, save_line
from tests.workflows.api.clients import assert_problem
from workflows import editing
from workflows.models import AuditEntry, Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]

SECRET = "hunter2-and-more"


@pytest.fixture(autouse=True)
def secret(settings: Any, db: None) -> Secret:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row = Secret(name="HOOK")
    row.set_value(SECRET)
    row.save()
    return row


@pytest.fixture
def workflow(secret: Secret) -> Workflow:
    row: Workflow = WorkflowFactory(trigger="webhook", trigger_data={"secret": "HOOK"})
    save_line(row, form())
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


def build_body(finding: Finding, delivery: str = "d-1") -> dict[str, str]:
    return {"delivery": delivery, "entity": finding.cuid}


def test_delivery_starts_workflow_once(workflow: Workflow, finding: Finding) -> None:
    response = post(workflow, build_body(finding))
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
    # The same JSON in another spelling.
    again = post(workflow, json.dumps(build_body(finding), indent=2).encode())
    assert (again.status_code, again.json()) == (
        200,
        {"taken": False, "execution": execution.cuid},
    )
    assert post(workflow, build_body(finding, "d-2")).status_code == 201
    assert Execution.objects.count() == 2


def test_delivery_id_is_unique_per_workflow(workflow: Workflow, finding: Finding) -> None:
    other = WorkflowFactory(
        entity_name_type=workflow.entity_name_type,
        trigger="webhook",
        trigger_data={"secret": "HOOK"},
    )
    assert [post(row, build_body(finding)).status_code for row in (workflow, other)] == [201, 201]


@pytest.mark.postgresql
def test_concurrent_deliveries_start_workflow_once(workflow: Workflow, finding: Finding) -> None:
    answers: list[tuple[int, str]] = []
    begin = threading.Barrier(2)

    def send() -> None:
        try:
            begin.wait(10)
            response = post(workflow, build_body(finding))
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
def test_wrong_signature_is_rejected(
    workflow: Workflow, finding: Finding, wrong: dict[str, Any]
) -> None:
    assert_problem(post(workflow, build_body(finding), **wrong), 401, "not_signed")
    assert not Execution.objects.exists()


def test_signature_is_valid_for_one_workflow(workflow: Workflow, finding: Finding) -> None:
    other = WorkflowFactory(
        entity_name_type=workflow.entity_name_type,
        trigger="webhook",
        trigger_data={"secret": "HOOK"},
    )
    assert post(workflow, build_body(finding), to=other.cuid).status_code == 401


@pytest.mark.parametrize("trigger", ["manual", "created", "changed"])
def test_workflow_with_other_trigger_is_not_found(
    workflow: Workflow, finding: Finding, trigger: str
) -> None:
    workflow.trigger, workflow.trigger_data = trigger, {}
    workflow.save()
    assert_problem(post(workflow, build_body(finding)), 404, "not_found")
    assert_problem(post(workflow, build_body(finding), to="nothing"), 404, "not_found")


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
def test_invalid_body_is_rejected(workflow: Workflow, body: Any, says: str) -> None:
    problem = assert_problem(post(workflow, body), 400, "invalid")
    assert says in problem["detail"]


def test_delivery_id_is_rejected_for_other_entity(workflow: Workflow, finding: Finding) -> None:
    post(workflow, build_body(finding))
    other = FindingFactory(entity_name_type=workflow.entity_name_type)
    assert_problem(post(workflow, build_body(other)), 400, "invalid")
    assert Execution.objects.count() == 1


def test_delivery_is_unavailable_when_secret_is_missing(
    workflow: Workflow, finding: Finding, secret: Secret
) -> None:
    Secret._base_manager.filter(pk=secret.pk)._raw_delete("default")
    assert_problem(post(workflow, build_body(finding)), 503, "unready")
    Secret.objects.create(name="HOOK", encrypted=secret.encrypted)


def test_both_values_are_accepted_after_replacement(
    workflow: Workflow, finding: Finding, secret: Secret
) -> None:
    secret.set_value("another value")
    secret.save()
    assert post(workflow, build_body(finding)).status_code == 201
    assert post(workflow, build_body(finding, "d-2"), secret="another value").status_code == 201
    services.revoke_previous_value(secret)
    assert post(workflow, build_body(finding, "d-3")).status_code == 401


def test_large_body_is_rejected(workflow: Workflow) -> None:
    assert_problem(post(workflow, b" " * (1024 * 1024 + 1)), 413, "too_large")


def test_refused_start_is_recorded_and_may_be_delivered_again(
    workflow: Workflow, finding: Finding
) -> None:
    editing.set_state(workflow, "draft")
    assert_problem(post(workflow, build_body(finding)), 400, "not_startable")
    entry = AuditEntry.objects.order_by("-id")[0]
    assert (entry.refused, entry.code, entry.cuid) == (True, "not_startable", workflow.cuid)
    assert entry.after["entity"] == finding.cuid
    assert not Delivery.objects.exists()
    editing.set_state(workflow, "active")
    assert post(workflow, build_body(finding)).status_code == 201


def test_entity_of_other_type_is_refused(workflow: Workflow) -> None:
    other = FindingFactory(entity_name_type=FindingTypeFactory())
    assert_problem(post(workflow, build_body(other)), 400, "entity_type_mismatch")


def purge(workflow: Workflow, age: int = 0) -> None:
    """Cancel the executions of the workflow and purge them, as if they had ended days ago."""
    for execution in Execution.objects.live():
        services.cancel(execution)
    moment = timezone.now() - timedelta(days=age)
    Execution._base_manager.update(ended_at=moment)
    Delivery.objects.update(at=moment)
    assert "1 tree deleted" in run("purge_executions", "--older-than", "0h")
    assert not Execution.objects.exists()


def test_repeated_delivery_returns_same_response_when_execution_was_purged(
    workflow: Workflow, finding: Finding
) -> None:
    first = post(workflow, build_body(finding)).json()
    purge(workflow)
    again = post(workflow, build_body(finding))
    assert (again.status_code, again.json()) == (200, {**first, "taken": False})
    assert not Execution.objects.exists()
    # Another id starts another execution.
    assert post(workflow, build_body(finding, "d-2")).status_code == 201


def test_repeated_delivery_returns_same_response_when_execution_was_deleted(
    workflow: Workflow, finding: Finding
) -> None:
    first = post(workflow, build_body(finding)).json()
    services.cancel(Execution.objects.get())
    Execution.objects.get().delete()
    assert post(workflow, build_body(finding)).json() == {**first, "taken": False}
    assert not Execution.objects.exists()


def test_delivery_id_is_rejected_for_other_entity_when_execution_was_purged(
    workflow: Workflow, finding: Finding
) -> None:
    post(workflow, build_body(finding))
    purge(workflow)
    other = FindingFactory(entity_name_type=workflow.entity_name_type)
    assert_problem(post(workflow, build_body(other)), 400, "invalid")
    assert not Execution.objects.exists()


def test_purge_stores_cuids_when_previous_release_has_not(
    workflow: Workflow, finding: Finding
) -> None:
    first = post(workflow, build_body(finding)).json()
    Delivery.objects.update(execution_cuid="", entity_cuid="")
    assert post(workflow, build_body(finding)).json()["execution"] == first["execution"]
    purge(workflow)
    assert post(workflow, build_body(finding)).json()["execution"] == first["execution"]


def test_delivery_is_rejected_when_execution_was_deleted_without_stored_cuids(
    workflow: Workflow, finding: Finding
) -> None:
    post(workflow, build_body(finding))
    Delivery.objects.update(execution_cuid="", entity_cuid="")
    services.cancel(Execution.objects.get())
    Execution.objects.get().delete()
    problem = assert_problem(post(workflow, build_body(finding)), 400, "invalid")
    assert "deleted" in problem["detail"]
    assert not Execution.objects.exists()


@pytest.mark.parametrize(("age", "is_stored"), [(29, True), (31, False)])
def test_old_delivery_is_deleted_when_execution_was_purged(
    workflow: Workflow, finding: Finding, age: int, is_stored: bool
) -> None:
    post(workflow, build_body(finding))
    purge(workflow, age)
    run("run_due")
    assert Delivery.objects.exists() is is_stored


def test_old_delivery_stays_while_execution_exists(workflow: Workflow, finding: Finding) -> None:
    first = post(workflow, build_body(finding)).json()
    Delivery.objects.update(at=timezone.now() - timedelta(days=4_000))
    run("run_due")
    assert post(workflow, build_body(finding)).json() == {**first, "taken": False}


def test_other_methods_are_refused(workflow: Workflow) -> None:
    response = Client().get(f"/api/v1/workflows/{workflow.cuid}/hook/")
    assert_problem(response, 405, "method_not_allowed")
