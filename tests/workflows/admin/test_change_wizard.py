"""The type change pages: choice, preview, change now or when drained, result."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import services as running
from tests.conftest import Scenario
from tests.factories import RecordTypeFactory, WorkflowFactory, form, save_line, user_in
from tests.workflows.admin.staff import (
    OWN,
    TOGETHER,
    VIEW,
    list_messages,
    page,
    staff,
    statements,
    text,
    type_of,
)
from workflows.models import AuditEntry, PendingChange, Version, Workflow

DONE = "admin:workflows_workflow_type_changed"

pytestmark = pytest.mark.django_db


class TestGroupChange:
    def ids(self, *workflows: Workflow) -> str:
        return ",".join(str(row.pk) for row in workflows)

    def test_list_action_opens_type_change(self, admin_client: Client, scenario: Scenario) -> None:
        sent = {"action": "change_type", "_selected_action": [scenario.caller.pk]}
        response = admin_client.post(reverse("admin:workflows_workflow_changelist"), sent)
        assert response.status_code == 302
        assert response["Location"] == f"{reverse(TOGETHER)}?workflows={scenario.caller.pk}"
        assert scenario.caller.title in text(admin_client.get(response["Location"]))

    def test_refused_preview_links_group_change(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        query: dict[str, Any] = {
            "workflows": scenario.caller.pk,
            "type": f"finding-{scenario.exception.pk}",
        }
        html = text(admin_client.get(reverse(TOGETHER), query))
        assert "Run Workflow: Incompatible entity name types." in html
        assert "Select these 2 workflows" in html
        assert f"type=finding-{scenario.exception.pk}" in html
        assert "Allowed" not in html

    def test_preview_shows_blocking_executions(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        query = {
            "workflows": self.ids(scenario.caller, scenario.callee),
            "type": f"finding-{scenario.exception.pk}",
        }
        for response in (
            admin_client.get(reverse(TOGETHER), query),
            admin_client.post(reverse(TOGETHER), query),
        ):
            assert response.status_code == 200
            assert OWN in text(response)
            assert f'href="{page(execution)}"' in text(response)
        assert type_of(scenario.caller) == scenario.limitation

    def test_preview_changes_nothing_and_confirmation_changes_group(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        query = {
            "workflows": self.ids(scenario.caller, scenario.callee),
            "type": f"finding-{scenario.exception.pk}",
            "why": "Reclassified",
        }
        assert "Nothing blocks the change" in text(admin_client.get(reverse(TOGETHER), query))
        assert type_of(scenario.caller) == scenario.limitation
        response = admin_client.post(reverse(TOGETHER), query)
        assert response.status_code == 302
        assert type_of(scenario.caller) == type_of(scenario.callee) == scenario.exception
        version: Version = scenario.caller.latest_version
        done = text(admin_client.get(response["Location"]))
        assert "2 workflows changed" in done
        for row in (scenario.caller, version):
            assert f'href="{page(row)}"' in done
        assert f"cuid={scenario.caller.cuid}" in done
        assert version.notes == "Reclassified"
        assert version.created_by is not None

    def test_type_change_to_record_type_changes_entity_name(self, admin_client: Client) -> None:
        workflow, kind = WorkflowFactory(), RecordTypeFactory()
        query = {"workflows": workflow.pk, "type": f"record-{kind.pk}"}
        assert admin_client.post(reverse(TOGETHER), query).status_code == 302
        workflow.refresh_from_db()
        assert (workflow.entity_name, workflow.primary_record_type) == ("InventoryModel", kind)

    @pytest.mark.parametrize("ids", ["", "abc", "999999", "99999999999999999999"])
    def test_type_change_without_workflows_redirects(self, admin_client: Client, ids: str) -> None:
        response = admin_client.get(reverse(TOGETHER), {"workflows": ids})
        assert list_messages(response) == ["Choose a workflow."]

    def test_unknown_type_is_form_error(self, admin_client: Client) -> None:
        query = {"workflows": WorkflowFactory().pk, "type": "finding-999999"}
        response = admin_client.post(reverse(TOGETHER), query)
        assert response.status_code == 200
        assert "Select a valid choice" in text(response)

    def test_type_change_needs_permission(self, scenario: Scenario) -> None:
        query = {"workflows": scenario.caller.pk}
        assert staff(*VIEW).get(reverse(TOGETHER), query).status_code == 403
        assert staff(*VIEW).get(reverse(DONE)).status_code == 403
        assert "Change finding type" not in text(staff(*VIEW).get(page(scenario.caller)))
        allowed = staff(*VIEW, "workflows.change_entity_context")
        assert allowed.get(reverse(TOGETHER), query).status_code == 200
        assert "Change finding type" in text(allowed.get(page(scenario.caller)))

    def test_result_page_ignores_missing_rows(self, admin_client: Client) -> None:
        for query in ({}, {"versions": "x,,999999", "same": "99999999999999999999"}):
            response = admin_client.get(reverse(DONE), query)
            assert "No workflow was changed." in text(response)

    def test_result_page_names_unchanged_workflows(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        query = {"workflows": scenario.caller.pk, "type": f"finding-{scenario.limitation.pk}"}
        response = admin_client.post(reverse(TOGETHER), query)
        done = text(admin_client.get(response["Location"]))
        assert f"{scenario.caller.title}</a>: this workflow already had the type." in done

    def test_preview_lists_workflows_that_must_change(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        query: dict[str, Any] = {
            "workflows": scenario.caller.pk,
            "type": f"finding-{scenario.exception.pk}",
        }
        response = admin_client.get(reverse(TOGETHER), query)
        assert [(item["row"], item["is_chosen"]) for item in response.context["rows"]] == [
            (scenario.caller, True),
            (scenario.callee, False),
        ]
        assert "These 2 workflows must change together" in text(response)
        assert "must change too" in text(response)

    @pytest.mark.parametrize("role", ["operator", "administrator"])
    def test_blocking_execution_has_cancel_link(self, scenario: Scenario, role: str) -> None:
        execution = scenario.start()
        client = Client()
        client.force_login(user_in(role, is_staff=True))
        query: dict[str, Any] = {
            "workflows": scenario.caller.pk,
            "type": f"finding-{scenario.exception.pk}",
        }
        cancel = page(execution, "cancel")
        for html in (client.get(reverse(TOGETHER), query), client.get(page(scenario.caller))):
            assert f'href="{cancel}"' in text(html)
        assert client.get(cancel).status_code == 200

    def test_cancel_link_needs_permission(self, scenario: Scenario) -> None:
        execution = scenario.start()
        client = staff(*VIEW, "workflows.change_entity_context")
        query: dict[str, Any] = {
            "workflows": scenario.caller.pk,
            "type": f"finding-{scenario.exception.pk}",
        }
        for html in (client.get(reverse(TOGETHER), query), client.get(page(scenario.caller))):
            assert page(execution) in text(html)
            assert page(execution, "cancel") not in text(html)

    def test_type_change_pages_have_bounded_query_count(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        for _ in range(30):
            scenario.start()
        both = {"workflows": self.ids(scenario.caller, scenario.callee)}
        to = {"type": f"finding-{scenario.exception.pk}"}
        versions = {"versions": scenario.caller.latest_version.pk, "same": scenario.callee.pk}
        one: dict[str, Any] = {"workflows": scenario.caller.pk}
        for url, query in (
            (TOGETHER, both),
            (TOGETHER, {**both, **to}),
            (TOGETHER, {**one, **to}),
            (DONE, versions),
        ):
            assert statements(partial(admin_client.get, reverse(url), query)) <= 25


class TestDrainedChange:
    def query(self, scenario: Scenario, **more: Any) -> dict[str, Any]:
        return {
            "workflows": f"{scenario.callee.pk},{scenario.caller.pk}",
            "type": f"finding-{scenario.exception.pk}",
            **more,
        }

    def token(self, client: Client, scenario: Scenario) -> str:
        response = client.get(reverse(TOGETHER), self.query(scenario))
        token: str = response.context["token"]
        assert f'name="token" value="{token}"' in text(response)
        return token

    def test_preview_lists_resulting_versions(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        running.cancel(scenario.start())
        save_line(scenario.callee, form())
        html = text(admin_client.get(reverse(TOGETHER), self.query(scenario)))
        rows = dict(
            re.findall(
                r"<tr> <td><a[^>]*>(Workflow \d)</a>.*?<td>((?:New|Replaces)[^<]*)</td>", html
            )
        )
        assert rows == {
            "Workflow 4": "New version 2",
            "Workflow 3": "Replaces unused version 2",
        }

    @pytest.mark.django_db(transaction=True)
    def test_change_is_put_on_hold_when_only_executions_block(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        executions = [scenario.start(), scenario.start()]
        response = admin_client.get(reverse(TOGETHER), self.query(scenario))
        assert "Finish or cancel 2 live executions first." in text(response)
        assert "when all 2 live executions have ended" in text(response)
        assert "Put the change on hold" in text(response)
        sent = self.query(
            scenario, token=response.context["token"], when="drained", why="Reclassified"
        )
        response = admin_client.post(reverse(TOGETHER), sent)
        pending = PendingChange.objects.get()
        assert response["Location"] == page(pending)
        assert (
            f'<a href="{page(pending)}">Open the change on hold</a>' in list_messages(response)[0]
        )
        assert (pending.why, pending.asked_by.username) == ("Reclassified", "admin")
        assert type_of(scenario.caller) == scenario.limitation
        for execution in executions:
            running.cancel(execution)
        assert type_of(scenario.caller) == type_of(scenario.callee) == scenario.exception

    def test_hold_is_not_offered_when_graphs_conflict(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        query = self.query(scenario, workflows=scenario.caller.pk)
        response = admin_client.get(reverse(TOGETHER), query)
        assert not response.context["could_wait"]
        assert 'name="when"' not in text(response)
        # The remedy links the change of the whole group.
        group = f"{reverse(TOGETHER)}?workflows={scenario.callee.pk}%2C{scenario.caller.pk}"
        assert text(response).count(f'href="{group}') == 2

    def test_refusal_on_workflow_page_links_type_change(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        html = text(admin_client.get(page(scenario.caller)))
        assert (
            f'<a class="small-button" href="{reverse(TOGETHER)}?workflows={scenario.caller.pk}">'
            "Put the change on hold…</a>" in html
        )

    def test_preview_links_other_pending_change(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        admin_client.post(reverse(TOGETHER), self.query(scenario, when="drained"))
        html = text(admin_client.get(reverse(TOGETHER), self.query(scenario)))
        assert "The change cannot be put on hold" in html
        assert f'href="{page(PendingChange.objects.get())}"' in html
        assert 'name="when"' not in html

    def test_drained_workflow_is_changed_immediately(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        token = self.token(admin_client, scenario)
        running.cancel(execution)
        sent = self.query(scenario, token=token, when="drained")
        response = admin_client.post(reverse(TOGETHER), sent)
        assert response["Location"].startswith(reverse(DONE))
        assert type_of(scenario.caller) == scenario.exception
        assert not PendingChange.objects.exists()

    @pytest.mark.parametrize("when", ["now", "drained"])
    def test_stale_token_is_refused_with_new_preview(
        self, admin_client: Client, scenario: Scenario, when: str
    ) -> None:
        token = self.token(admin_client, scenario)
        execution = scenario.start()
        sent = self.query(scenario, token=token, when=when, why="Kept")
        response = admin_client.post(reverse(TOGETHER), sent)
        html = text(response)
        assert "Nothing was changed" in html
        assert f"Execution {execution.cuid} of “Workflow 4” now blocks the change." in html
        assert "when the live execution has ended" in html
        assert "Kept</textarea>" in html
        assert type_of(scenario.caller) == scenario.limitation
        assert not PendingChange.objects.exists()
        assert AuditEntry.objects.filter(refused=True, code="stale_token").count() == 2
        fresh = {**sent, "token": response.context["token"], "when": "drained"}
        assert admin_client.post(reverse(TOGETHER), fresh).status_code == 302
        assert PendingChange.objects.exists()

    def test_token_of_other_change_is_refused(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        sent = self.query(scenario, token="nonsense")
        html = text(admin_client.post(reverse(TOGETHER), sent))
        assert "The token does not come from an impact of this change." in html
        assert "Allowed now" in html
        assert type_of(scenario.caller) == scenario.limitation

    def test_hold_needs_no_view_permission(self, scenario: Scenario) -> None:
        scenario.start()
        client = staff(*VIEW, "workflows.change_entity_context")
        response = client.post(reverse(TOGETHER), self.query(scenario, when="drained"))
        assert response["Location"] == reverse("admin:workflows_workflow_changelist")
        assert PendingChange.objects.exists()
