"""The page that starts a workflow on an entity."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import FindingFactory, FindingTypeFactory
from tests.workflows.admin.staff import VIEW, list_messages, page, staff, text
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def address(workflow: Workflow) -> str:
    return reverse("admin:executions_execution_start", args=[workflow.pk])


def test_start_page_offers_entities_of_type(admin_client: Client, scenario: Scenario) -> None:
    other = FindingFactory(title="Of another type")
    assert address(scenario.caller) in text(admin_client.get(page(scenario.caller)))
    html = text(admin_client.get(address(scenario.caller)))
    assert f">{scenario.finding.title}<" in html
    assert f">{other.title}<" not in html
    sent = {"entity": scenario.finding.pk}
    response = admin_client.post(address(scenario.caller), sent)
    execution = Execution.objects.get()
    assert response["Location"] == page(execution)
    assert execution.started_by.username == "admin"
    assert list_messages(response) == ["“Workflow 4” was started. The execution is waiting."]


def test_start_page_searches_entities(admin_client: Client, scenario: Scenario) -> None:
    rows = [
        FindingFactory(title=f"Row {number:02}", entity_name_type=scenario.limitation)
        for number in range(40)
    ]
    html = text(admin_client.get(address(scenario.caller)))
    assert "The first 25 of 41." in html
    for query in ("row 37", rows[37].cuid):
        html = text(admin_client.get(address(scenario.caller), {"q": query}))
        assert f">{rows[37].title}<" in html
        assert f">{rows[36].title}<" not in html
    assert admin_client.get(address(scenario.caller), {"q": "\0"}).status_code == 200


def test_refused_start_shows_links(admin_client: Client, scenario: Scenario) -> None:
    draft = Workflow.objects.get(pk=scenario.callee.pk)
    draft.state = Workflow.State.DRAFT
    draft.save()
    response = admin_client.post(
        address(scenario.caller), {"entity": scenario.finding.pk, "q": "Find"}
    )
    html = text(response)
    assert "Workflow “Workflow 3” is a draft" in html
    assert f'href="{page(scenario.callee)}"' in html
    assert f'value="{scenario.finding.pk}" required checked' in html
    assert not Execution.objects.exists()


def test_entity_of_other_type_is_refused(admin_client: Client, scenario: Scenario) -> None:
    other = FindingFactory(entity_name_type=FindingTypeFactory(name="Other"))
    response = admin_client.post(address(scenario.caller), {"entity": other.pk})
    assert "“Workflow 4” works on “Model Limitation”" in text(response)


@pytest.mark.parametrize("entity", ["", "abc", "999999", "99999999999999999999"])
def test_start_without_entity_shows_message(
    admin_client: Client, scenario: Scenario, entity: str
) -> None:
    response = admin_client.post(address(scenario.caller), {"entity": entity})
    assert "Choose an entity." in text(response)


def test_start_needs_permission(scenario: Scenario) -> None:
    viewer = staff(*VIEW)
    assert viewer.get(address(scenario.caller)).status_code == 403
    sent = {"entity": scenario.finding.pk}
    assert viewer.post(address(scenario.caller), sent).status_code == 403
    allowed = staff(*VIEW, "executions.add_execution")
    assert allowed.post(address(scenario.caller), sent).status_code == 302


def test_start_of_missing_workflow_answers_404(admin_client: Client) -> None:
    assert (
        admin_client.get(reverse("admin:executions_execution_start", args=[999_999])).status_code
        == 404
    )
