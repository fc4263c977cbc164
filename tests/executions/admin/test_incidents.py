"""Incidents in the admin: shown as a status, corrected and retried in place, retried by cause."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import services
from executions.models import BulkOperation, Execution
from tests.factories import FindingFactory, WorkflowFactory, save_line, user_with
from tests.workflows.admin.staff import VIEW, statements, text
from workflows.models import Workflow

pytestmark = pytest.mark.django_db

OPERATOR = (*VIEW, "executions.change_execution")


@pytest.fixture
def workflow() -> Workflow:
    """A workflow whose wait reads a date from the finding."""
    found = WorkflowFactory()
    save_line(found, {"id": "nap", "type": "wait", "data": {"at_field": "review"}})
    return found


def fail(workflow: Workflow) -> Execution:
    """Start an execution that fails at the wait."""
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, fields={"review": "soon"})
    execution = services.start(workflow, finding)
    assert execution.steps.get().state == "incident"
    return execution


def address(name: str, execution: Execution, *args: str) -> str:
    return reverse(f"admin:executions_execution_{name}", args=[execution.pk, *args])


def retry_address(execution: Execution) -> str:
    return address("decide", execution, execution.steps.open().get().cuid, "retry")


def correction(fields: Any, read: Any) -> dict[str, str]:
    typed = fields if isinstance(fields, str) else json.dumps(fields)
    return {"correct-fields_of_entity": typed, "correct-read": json.dumps(read), "note": "Typo."}


def client_with(*permissions: str) -> Client:
    client = Client()
    client.force_login(user_with(*permissions, is_staff=True))
    return client


def test_execution_page_shows_incident_first(admin_client: Client, workflow: Workflow) -> None:
    execution = fail(workflow)
    html = text(admin_client.get(address("change", execution)))
    assert "badge-incident" in html
    assert html.index("Incident at") < html.index('id="facts"')
    assert f"#step-{execution.steps.get().cuid}" in html


def test_retry_page_corrects_data_and_retries(admin_client: Client, workflow: Workflow) -> None:
    execution = fail(workflow)
    assert "Fields of the entity" in text(admin_client.get(retry_address(execution)))
    sent = correction({"review": "2020-01-01"}, {"review": "soon"})
    admin_client.post(retry_address(execution), sent)
    execution.refresh_from_db()
    assert execution.status == "completed"
    assert execution.entity.fields == {"review": "2020-01-01"}


def test_correction_keeps_what_others_changed(admin_client: Client, workflow: Workflow) -> None:
    execution = fail(workflow)
    finding = execution.entity
    finding.fields = {"review": "soon", "owner": "ada"}
    finding.save()
    sent = correction({"review": "2020-01-01"}, {"review": "soon"})
    admin_client.post(retry_address(execution), sent)
    finding.refresh_from_db()
    assert finding.fields == {"review": "2020-01-01", "owner": "ada"}


def test_invalid_correction_changes_nothing(admin_client: Client, workflow: Workflow) -> None:
    execution = fail(workflow)
    sent = correction("{nonsense", {"review": "soon"})
    html = text(admin_client.post(retry_address(execution), sent))
    assert "errorlist" in html and "{nonsense" in html
    assert execution.steps.get().state == "incident"


def test_correction_needs_permission_to_change_findings(workflow: Workflow) -> None:
    execution = fail(workflow)
    client = client_with(*OPERATOR)
    assert "Fields of the entity" not in text(client.get(retry_address(execution)))
    sent = correction({"review": "2020-01-01"}, {"review": "soon"})
    client.post(retry_address(execution), sent)
    execution.refresh_from_db()
    assert execution.entity.fields == {"review": "soon"}
    assert execution.steps.open().get().state == "incident"


def test_executions_with_the_same_cause_are_retried_together(
    admin_client: Client, workflow: Workflow
) -> None:
    executions = [fail(workflow) for _ in range(3)]
    other = fail(workflow)
    other.steps.update(incident={"code": "another", "detail": "d"})
    page = text(admin_client.get(address("change", executions[0])))
    assert "Retry all 3 with this cause" in page
    path = address("retry_alike", executions[0], executions[0].steps.get().cuid)
    preview = admin_client.post(path, follow=True)
    assert "of 3 executions can be changed" in text(preview)
    operation = BulkOperation.objects.get()
    assert {item.execution_id for item in operation.items.all()} == {row.pk for row in executions}


def test_incident_page_takes_the_same_statements_for_any_number_alike(
    admin_client: Client, workflow: Workflow
) -> None:
    execution = fail(workflow)
    few = statements(lambda: admin_client.get(address("change", execution)))
    for _ in range(4):
        fail(workflow)
    assert statements(lambda: admin_client.get(address("change", execution))) == few
