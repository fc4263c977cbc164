"""The navigation of the admin, and its search over everything."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions.models import Finding
from tests.conftest import Scenario
from tests.factories import FindingFactory, UserFactory, WorkflowFactory, user_in, user_with
from tests.people import READERS, create_samples
from tests.workflows.admin.staff import statements, text

pytestmark = pytest.mark.django_db

HOME = reverse("admin:index")
SEARCH = reverse("admin:search")


def sections(client: Client, path: str = HOME) -> dict[str, list[str]]:
    """Return the sections of the navigation with the names of their entries."""
    found = client.get(path).context["available_apps"]
    return {str(one["name"]): [str(entry["name"]) for entry in one["models"]] for one in found}


def client_with(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


class TestSections:
    def test_sections_show_what_serves_the_role(self, settings: Any) -> None:
        made = create_samples(settings, is_staff=True)
        found = {role: sections(client_with(made.users[role])) for role in READERS}
        for role, entries in found.items():
            assert {"Executions", "Findings"} <= set(entries["Work"]), role
            assert ("Inbox" in entries["Work"]) == (role not in ("viewer", "designer", "operator"))
            is_administrator = role in ("administrator", "superuser")
            assert ("Users" in entries.get("Administration", [])) == is_administrator, role
        assert "Administration" not in found["viewer"]
        assert found["superuser"]["Work"][0] == "Home"
        assert found["superuser"]["Design"][0] == "Workflows"
        assert found["superuser"]["Administration"][-1] == "Audit log"

    def test_navigation_is_empty_without_role(self) -> None:
        assert sections(client_with(UserFactory(is_staff=True))) == {}

    def test_longest_path_is_current(self, admin_client: Client) -> None:
        for name in ("executions_execution_inbox", "executions_execution_changelist", "index"):
            path = reverse(f"admin:{name}")
            html = text(admin_client.get(path))
            assert set(re.findall(r'href="([^"]*)" aria-current="page"', html)) == {path}


class TestSearch:
    def found(self, client: Client, query: str) -> dict[str, list[str]]:
        found = client.get(SEARCH, {"q": query}).context["sections"]
        return {one.title: [row.title for row in one.matches] for one in found}

    def test_search_finds_titles_and_ids(self, admin_client: Client, scenario: Scenario) -> None:
        execution = scenario.start()
        title = "Workflow 4 on “Finding 1”"
        assert self.found(admin_client, execution.cuid) == {"Executions": [title]}
        assert self.found(admin_client, "finding 1") == {
            "Executions": [title],
            "Findings": ["Finding 1"],
        }
        assert self.found(admin_client, "workflow 4 finding") == {"Executions": [title]}
        assert self.found(admin_client, "limitation") == {"Finding types": ["Model Limitation"]}
        assert self.found(admin_client, scenario.callee.cuid) == {"Workflows": ["Workflow 3"]}
        for query in ("", "no such title", "\0", "x" * 500):
            assert self.found(admin_client, query) == {}

    def test_search_finds_only_what_the_user_may_view(self, scenario: Scenario) -> None:
        scenario.start()
        viewer = client_with(user_in("viewer", is_staff=True))
        assert set(self.found(viewer, "1")) == {"Executions", "Findings"}
        some = client_with(user_with("executions.view_finding", is_staff=True))
        assert set(self.found(some, "1")) == {"Findings"}
        nobody = client_with(UserFactory(is_staff=True))
        assert self.found(nobody, "1") == {}
        assert "Search everything" not in text(nobody.get(HOME))

    def test_search_lists_ten_and_takes_no_statement_per_match(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        few = statements(lambda: admin_client.get(SEARCH, {"q": "Finding"}))
        for _ in range(11):
            scenario.start()
            WorkflowFactory(title="Finding review")
        FindingFactory.create_batch(11)
        found = self.found(admin_client, "Finding")
        assert {len(rows) for rows in found.values()} == {10}
        assert Finding.objects.count() == 12
        assert statements(lambda: admin_client.get(SEARCH, {"q": "Finding"})) <= few + 1
        assert "Show all" in text(admin_client.get(SEARCH, {"q": "Finding"}))

    def test_search_escapes_what_was_typed(self, admin_client: Client) -> None:
        assert "<script>x" not in text(admin_client.get(SEARCH, {"q": "<script>x"}))


class TestListOfExecutions:
    URL = reverse("admin:executions_execution_changelist")

    def test_list_shows_step_assignees_due_time_and_incident(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        html = text(admin_client.get(self.URL))
        assert "field-steps" in html and execution.steps.get().label in html
        execution.steps.update(
            state="incident", incident={"code": "c", "detail": "d"}, due_at="2031-01-02T03:04:05Z"
        )
        html = text(admin_client.get(self.URL))
        assert "badge-incident" in html and "2031" in html

    def test_filters_offer_workflows_versions_steps_and_starters(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        scenario.start()
        query: dict[str, Any] = {"workflow": execution.workflow_id, "version": execution.version_id}
        listed = admin_client.get(self.URL, {**query, "node": "form"})
        assert listed.context["cl"].result_count == 2
        specs = {str(one.title): one for one in listed.context["cl"].filter_specs}
        choices = {
            title: [str(one[1]) for one in specs[title].lookup_choices]
            for title in ("workflow", "version", "current step", "started by")
        }
        assert choices["workflow"] == ["Workflow 3", "Workflow 4"]
        numbers = scenario.caller.versions.order_by("-number").values_list("number", flat=True)
        assert choices["version"] == [f"Version {number}" for number in numbers]
        assert len(choices["current step"]) == 2
        assert choices["started by"] == ["Me"]
        execution.started_by = UserFactory(username="ada")
        type(execution)._base_manager.filter(pk=execution.pk).update(
            started_by=execution.started_by
        )
        mine = admin_client.get(self.URL, {"started_by": str(execution.started_by_id)})
        assert [row.pk for row in mine.context["cl"].result_list] == [execution.pk]
