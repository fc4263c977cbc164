"""Form fields of the type ``user`` accept active users."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import WorkflowFactory, form, save_line
from tests.workflows.api.clients import assert_problem
from workflows.admin.base.formatting import admin_url

pytestmark = pytest.mark.django_db

OWNER = {"name": "owner", "type": "user", "required": True}
DEPUTY = {"name": "deputy", "type": "user"}


@pytest.fixture
def execution(scenario: Scenario) -> Execution:
    """Return an execution at a form with a required and an optional user."""
    from executions import services

    users = get_user_model().objects
    users.create_user("ada")
    users.create_user("gone", is_active=False)
    workflow = WorkflowFactory(entity_name_type=scenario.limitation)
    save_line(workflow, form("form", OWNER, DEPUTY))
    return services.start(workflow, scenario.finding)


def submitted(admin_client: Client, execution: Execution, **data: Any) -> Any:
    path = f"/api/v1/executions/{execution.cuid}/submit/"
    body = {"node": "form", "data": data}
    return admin_client.post(path, body, content_type="application/json")


@pytest.mark.parametrize("who", ["nobody", "gone", "Ada"])
def test_user_field_refuses_unknown_and_inactive_users(
    admin_client: Client, execution: Execution, who: str
) -> None:
    body = assert_problem(
        submitted(admin_client, execution, owner="ada", deputy=who), 400, "invalid_form"
    )
    assert [error["pointer"] for error in body["errors"]] == ["/data/deputy"]
    assert who in body["errors"][0]["detail"]
    execution.entity.refresh_from_db()
    assert execution.entity.fields == {}


@pytest.mark.parametrize("answers", [{"owner": "ada"}, {"owner": "ada", "deputy": "admin"}])
def test_user_field_stores_active_users(
    admin_client: Client, execution: Execution, answers: dict[str, str]
) -> None:
    assert submitted(admin_client, execution, **answers).json()["status"] == "completed"
    execution.entity.refresh_from_db()
    assert execution.entity.fields == answers


def test_admin_shows_the_error_at_the_user_field(
    admin_client: Client, execution: Execution
) -> None:
    step = execution.steps.get(node_id="form")
    url = admin_url(execution, "submit", execution.pk, step.cuid)
    page = admin_client.post(url, {f"{step.cuid}-owner": "nobody"}).content.decode()
    assert "There is no active user" in page
    assert 'value="nobody"' in page
    admin_client.post(url, {f"{step.cuid}-owner": "ada"})
    execution.refresh_from_db()
    assert execution.status == "completed"
