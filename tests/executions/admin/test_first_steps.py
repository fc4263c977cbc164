"""The checklist of a new installation, and the pages that return to where a user came from."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from executions.models import Finding, WorkerHeartbeat
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    form,
    save_line,
    user_in,
)
from tests.workflows.admin.staff import list_messages, page, staff, statements, text
from workflows.db import clock
from workflows.models import FindingType, Workflow

pytestmark = pytest.mark.django_db

HOME = reverse("admin:index")
START_ON = "admin:executions_execution_start_on"


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def ticks(client: Client) -> dict[str, bool]:
    """Return the steps of the checklist, each with its tick."""
    found = client.get(HOME).context["first_steps"]
    return {step.title: step.is_done for step in found.steps}


class TestChecklist:
    def test_checklist_ticks_what_exists(self, admin_client: Client) -> None:
        assert set(ticks(admin_client).values()) == {False}
        kind = FindingTypeFactory()
        assert ticks(admin_client)["Create a finding type"]
        workflow = WorkflowFactory(entity_name_type=kind, state=Workflow.State.DRAFT)
        assert ticks(admin_client)["Create a workflow"]
        save_line(workflow, form())
        assert not ticks(admin_client)["Edit its graph and activate it"]
        workflow.refresh_from_db()
        workflow.state = Workflow.State.ACTIVE
        workflow.save()
        assert ticks(admin_client)["Edit its graph and activate it"]
        user_in("viewer")
        assert not ticks(admin_client)["Add people"]
        user_in("participant")
        assert ticks(admin_client)["Add people"]
        now = clock.now()
        WorkerHeartbeat.objects.create(
            name="w", kind="work", host="h", process=1, started_at=now, last_beat=now
        )
        cache.clear()
        found = ticks(admin_client)
        assert [title for title, done in found.items() if not done] == ["Start the first execution"]

    def test_checklist_links_only_what_the_user_may_do(self, admin_client: Client) -> None:
        workflow = WorkflowFactory()
        steps = admin_client.get(HOME).context["first_steps"].steps
        urls = [step.url for step in steps]
        assert urls[0].endswith("?back=%2Fadmin%2F")
        assert urls[2] == page(workflow, "edit")
        assert urls[5] == reverse("admin:executions_execution_start", args=[workflow.pk])
        html = text(staff("workflows.add_workflow", "workflows.view_workflow").get(HOME))
        assert "First steps" in html and "Load example workflows" not in html
        assert reverse("admin:auth_user_add") not in html
        assert "First steps" not in text(staff("workflows.view_workflow").get(HOME))

    def test_checklist_disappears_with_the_first_execution(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        assert "First steps" in text(admin_client.get(HOME))
        scenario.start()
        assert "First steps" not in text(admin_client.get(HOME))

    def test_checklist_takes_at_most_eight_statements(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        # The state of the workers is read once in ten seconds.
        admin_client.get(HOME)
        new = statements(lambda: admin_client.get(HOME))
        scenario.start()
        assert new <= statements(lambda: admin_client.get(HOME)) + 8


class TestReturn:
    def add(self, client: Client, back: str) -> str:
        url = reverse("admin:workflows_findingtype_add")
        response = client.post(f"{url}?back={back}", {"name": f"T {FindingType.objects.count()}"})
        return str(response["Location"])

    def test_adding_a_record_returns_to_the_page_before(self, admin_client: Client) -> None:
        assert self.add(admin_client, "/admin/") == "/admin/"

    @pytest.mark.parametrize(
        "back", ["", "https://elsewhere.example/", "//elsewhere.example", "javascript:x", "\\\\x"]
    )
    def test_adding_a_record_returns_to_this_site_only(
        self, admin_client: Client, back: str
    ) -> None:
        assert self.add(admin_client, back) == reverse("admin:workflows_findingtype_changelist")

    def test_start_page_adds_an_entity_and_returns(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        start = reverse("admin:executions_execution_start", args=[scenario.caller.pk])
        url = admin_client.get(start).context["add_url"]
        assert f"entity_name_type={scenario.limitation.pk}" in url
        sent = {"title": "New", "entity_name_type": scenario.limitation.pk, "fields": "{}"}
        assert admin_client.post(url, sent)["Location"] == start
        assert Finding.objects.filter(title="New").exists()
        viewer = staff("executions.add_execution", "executions.view_execution")
        assert viewer.get(start).context["add_url"] == ""


class TestStartOnEntity:
    def offered(self, client: Client, finding: Any) -> list[str]:
        return [row.title for row in client.get(page(finding)).context["startable"]]

    def test_finding_page_starts_a_workflow(self, admin_client: Client, scenario: Scenario) -> None:
        assert self.offered(admin_client, scenario.finding) == ["Workflow 3", "Workflow 4"]
        url = reverse(START_ON, args=[scenario.finding.pk])
        response = admin_client.post(url, {"workflow": scenario.caller.pk})
        execution = scenario.finding.executions.get()
        assert response["Location"] == page(execution)
        assert list_messages(response) == ["“Workflow 4” was started. The execution is waiting."]

    def test_finding_page_offers_only_workflows_that_can_start(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        WorkflowFactory(title="Of another type")
        WorkflowFactory(entity_name_type=scenario.limitation, state=Workflow.State.DRAFT)
        assert self.offered(admin_client, scenario.finding) == ["Workflow 3", "Workflow 4"]
        viewer = staff("executions.view_finding")
        assert self.offered(viewer, scenario.finding) == []
        url = reverse(START_ON, args=[scenario.finding.pk])
        assert viewer.post(url, {"workflow": scenario.caller.pk}).status_code == 403

    def test_finding_page_shows_the_refusal_of_a_start(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        callee = scenario.callee
        callee.refresh_from_db()
        callee.state = Workflow.State.DRAFT
        callee.save()
        url = reverse(START_ON, args=[scenario.finding.pk])
        response = admin_client.post(url, {"workflow": scenario.caller.pk})
        assert response["Location"] == page(scenario.finding)
        assert "is a draft" in list_messages(response)[0]
        for wrong in ({}, {"workflow": "x"}, {"workflow": "9" * 18}):
            assert list_messages(admin_client.post(url, wrong))[-1] == "Choose a workflow."
        assert admin_client.post(reverse(START_ON, args=[0])).status_code == 404
        assert not scenario.finding.executions.exists()

    def test_finding_page_takes_two_statements_for_what_it_offers(self, scenario: Scenario) -> None:
        may = ("executions.view_finding", "executions.view_execution")
        without = staff(*may)
        starter = staff(*may, "executions.add_execution")
        FindingFactory()
        few = statements(lambda: without.get(page(scenario.finding)))
        assert statements(lambda: starter.get(page(scenario.finding))) <= few + 1


def test_footer_links_documentation_and_api(admin_client: Client, settings: Any) -> None:
    assert f'href="{reverse("api:docs")}"' in text(admin_client.get(HOME))
    settings.DOCS_URL = "https://docs.example/holdfast/"
    assert 'href="https://docs.example/holdfast/"' in text(admin_client.get(HOME))
    steps = admin_client.get(HOME).context["first_steps"].steps
    assert steps[4].url == "https://docs.example/holdfast/how-to/workers.html"
    assert reverse("api:docs") not in text(Client().get(reverse("admin:login")))
