"""Triggered starts by the API and the admin: they are made before the response."""

from __future__ import annotations

from typing import Any

import pytest

from executions.models import Execution, Finding
from tests.factories import FindingTypeFactory, WorkflowFactory, form, save_line
from tests.workflows.api.clients import Client, client_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.sqlite,
    pytest.mark.usefixtures("invariants"),
]


@pytest.fixture
def api() -> Client:
    return client_of(superuser=True)


def test_created_finding_starts_workflow_at_once(api: Client) -> None:
    kind = FindingTypeFactory()
    body = {"title": "Review", "entity_name_type": kind.cuid, "state": "active"}
    workflow = api.post("workflows/", {**body, "trigger": "created"}).json()
    graph = {
        "nodes": [{"id": "s", "type": "start"}, form(), {"id": "e", "type": "end"}],
        "edges": [{"source": "s", "target": "form"}, {"source": "form", "target": "e"}],
    }
    api.post(f"workflows/{workflow['cuid']}/1/", graph)
    response = api.post("findings/", {"title": "New", "entity_name_type": kind.cuid})
    assert response.status_code == 201
    (found,) = api.get(f"executions/?entity={response.json()['cuid']}").json()["results"]
    assert (found["workflow"], found["status"]) == (workflow["cuid"], "waiting")
    entries = api.get(f"audit/?cuid={workflow['cuid']}").json()["results"]
    assert "started" in [row["action"] for row in entries]


def test_changed_finding_starts_workflow_at_once(api: Client) -> None:
    rule = {"field": "severity", "op": "eq", "value": "high"}
    workflow = WorkflowFactory(trigger="changed", trigger_data={"rule": rule})
    save_line(workflow, form())
    body = {"title": "New", "entity_name_type": workflow.entity_name_type.cuid}
    cuid = api.post("findings/", {**body, "fields": {"severity": "high"}}).json()["cuid"]
    assert not Execution.objects.exists()
    for severity, number in (("low", 0), ("high", 1), ("high", 1)):
        assert api.edit(f"findings/{cuid}/", fields={"severity": severity}).status_code == 200
        assert api.get(f"executions/?entity={cuid}").json()["count"] == number


def test_admin_edit_starts_workflow(admin_client: Any) -> None:
    created = WorkflowFactory(trigger="created")
    changed = WorkflowFactory(entity_name_type=created.entity_name_type, trigger="changed")
    for row in (created, changed):
        save_line(row, form())
    typed = {"title": "New", "entity_name_type": created.entity_name_type_id, "fields": "{}"}
    response = admin_client.post("/admin/executions/finding/add/", typed)
    assert response.status_code == 302
    finding = Finding.objects.get()
    assert [row.workflow for row in Execution.objects.all()] == [created]
    page = f"/admin/executions/finding/{finding.pk}/change/"
    admin_client.post(page, {**typed, "fields": '{"severity": 3}'})
    assert changed.executions.count() == 1


def test_schema_describes_webhook_of_workflow(api: Client) -> None:
    schema = api.get("schema/?format=json").json()
    operation = schema["paths"]["/api/v1/workflows/{cuid}/hook/"]["post"]
    assert {row["name"] for row in operation["parameters"]} >= {
        "X-Holdfast-Signature",
        "X-Holdfast-Timestamp",
    }
