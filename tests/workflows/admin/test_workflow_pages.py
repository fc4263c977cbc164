"""Workflow and version pages: lists, sections, states, deletions and permissions."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from executions import services as running
from executions.models import Execution, Subscription
from tests.conftest import Scenario
from tests.executions.receivers import create_webhook
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
    user_in,
)
from tests.workflows.admin.staff import (
    TOGETHER,
    VIEW,
    act,
    delete,
    list_messages,
    page,
    settings_of,
    staff,
    statements,
    text,
)
from workflows import guards
from workflows.admin.workflow import WorkflowAdmin
from workflows.models import FindingType, Version, Workflow

pytestmark = pytest.mark.django_db


def url(model: Any, name: str = "changelist") -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}")


class TestLists:
    @pytest.mark.parametrize("model", [Workflow, Version, FindingType])
    def test_list_query_count_is_constant(self, admin_client: Client, model: Any) -> None:
        kind = FindingTypeFactory()
        finding = FindingFactory(entity_name_type=kind)

        def fill(number: int) -> None:
            for _ in range(number):
                workflow = WorkflowFactory(entity_name_type=kind)
                save_line(workflow, form())
                running.start(workflow, finding)
                FindingTypeFactory()

        fill(3)
        few = statements(lambda: admin_client.get(url(model)))
        fill(27)
        assert statements(lambda: admin_client.get(url(model))) == few

    def test_workflow_list_is_searched_and_filtered(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        for query in ({"q": "Workflow 4"}, {"q": scenario.caller.cuid}):
            html = text(admin_client.get(url(Workflow), query))
            assert page(scenario.caller) in html
            assert page(scenario.callee) not in html
        html = text(admin_client.get(url(Version), {"workflow": scenario.callee.pk}))
        assert page(scenario.callee.latest_version) in html
        assert page(scenario.caller.latest_version) not in html

    @pytest.mark.parametrize("value", ["abc", "999999", "-1"])
    def test_filter_by_missing_row_is_ignored(self, admin_client: Client, value: str) -> None:
        assert admin_client.get(url(Version), {"workflow": value}).status_code == 200


class TestSections:
    def test_workflow_page_links_executions_versions_and_calls(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        html = text(admin_client.get(page(scenario.caller)))
        assert "Live executions (1)" in html
        assert page(execution) in html
        assert page(scenario.caller.latest_version) in html
        assert page(scenario.callee) in html
        assert page(scenario.caller) in text(admin_client.get(page(scenario.callee)))

    def test_workflow_page_links_list_of_all_executions(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        for _ in range(23):
            scenario.start()
        html = text(admin_client.get(page(scenario.caller)))
        assert "The newest 20 of 23." in html
        rest = f"{url(Execution)}?workflow={scenario.caller.pk}&amp;live=yes"
        assert f'<a href="{rest}">Show all 23</a>' in html
        assert "23 executions" in text(admin_client.get(rest.replace("&amp;", "&")))

    def test_workflow_pages_escape_text(self, admin_client: Client) -> None:
        workflow = WorkflowFactory(title="<script>alert(1)</script>")
        save_line(workflow, form(title="<b>bold</b>"))
        for address in (
            page(workflow),
            page(workflow.latest_version),
            page(workflow, "graph"),
            reverse(TOGETHER) + f"?workflows={workflow.pk}",
            url(Workflow),
        ):
            html = text(admin_client.get(address))
            assert "<script>alert" not in html
            assert "<b>bold" not in html

    def test_workflow_pages_have_no_inline_scripts(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        for address in (
            page(scenario.caller),
            page(scenario.caller, "graph"),
            page(execution),
            page(execution, "cancel"),
            reverse("admin:executions_execution_start", args=[scenario.caller.pk]),
        ):
            html = text(admin_client.get(address))
            assert "<script>" not in html
            assert "<style" not in html
            assert ' style="' not in html
            assert " onclick=" not in html


class TestVersions:
    def test_version_page_is_read_only(self, admin_client: Client, scenario: Scenario) -> None:
        execution = scenario.start()
        version = scenario.caller.latest_version
        html = text(admin_client.get(page(version)))
        assert version.checksum in html
        assert "user_action" in html
        assert page(scenario.callee) in html
        assert page(execution) in html
        assert 'name="_save"' not in html
        assert admin_client.post(page(version), {}).status_code == 403
        assert admin_client.get(page(version, "delete")).status_code == 403
        assert admin_client.get(url(Version, "add")).status_code == 403

    def test_missing_version_redirects(self, admin_client: Client) -> None:
        missing = reverse("admin:workflows_version_change", args=[999_999])
        assert admin_client.get(missing).status_code == 302


class TestStates:
    def test_workflows_are_retired_and_activated(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        response = act(admin_client, "retire", scenario.caller, scenario.callee)
        # The callee comes first, when the caller still calls it.
        callee, caller = list_messages(response)
        assert "The state of “Workflow 3” was not changed." in callee
        assert "Cannot retire this workflow: 1 other workflow calls it" in callee
        assert f'href="{page(scenario.caller)}"' in callee
        assert caller == "“Workflow 4” is now retired."
        assert list_messages(act(admin_client, "retire", scenario.callee))[-1] == (
            "“Workflow 3” is now retired."
        )
        refused = list_messages(act(admin_client, "activate", scenario.caller))[-1]
        assert "is retired and cannot be called" in refused
        scenario.caller.refresh_from_db()
        assert scenario.caller.state == Workflow.State.RETIRED

    def test_unchanged_state_is_reported(self, admin_client: Client) -> None:
        workflow = WorkflowFactory(title="One")
        assert list_messages(act(admin_client, "activate", workflow)) == [
            "“One” is already active."
        ]

    def test_state_refusal_appears_at_field(self, admin_client: Client, scenario: Scenario) -> None:
        response = admin_client.post(
            page(scenario.callee), settings_of(scenario.callee, state="retired")
        )
        html = str(response.context["adminform"].form.errors["state"])
        assert "Cannot retire this workflow" in html
        assert page(scenario.caller) in html


class TestDeletion:
    def test_deletion_page_shows_blockers(self, admin_client: Client, scenario: Scenario) -> None:
        html = text(admin_client.get(page(scenario.callee, "delete")))
        assert "Cannot delete this workflow: 1 other workflow calls it" in html
        assert page(scenario.caller) in html
        assert 'name="post"' not in html
        admin_client.post(page(scenario.callee, "delete"), {"post": "yes"})
        assert Workflow.objects.filter(pk=scenario.callee.pk).exists()

    def test_workflow_with_executions_is_not_deleted(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        html = text(admin_client.get(page(scenario.caller, "delete")))
        assert "Cannot delete this workflow: executions have run on it." in html
        assert page(execution) in html

    def test_used_type_is_not_deleted(self, admin_client: Client, scenario: Scenario) -> None:
        html = text(admin_client.get(page(scenario.limitation, "delete")))
        assert "Cannot delete the finding type “Model Limitation”: it is in use by" in html
        assert page(scenario.caller) in html

    def test_unused_workflow_is_deleted(self, admin_client: Client) -> None:
        workflow, kind = WorkflowFactory(), FindingTypeFactory()
        for row in (workflow, kind):
            assert admin_client.post(page(row, "delete"), {"post": "yes"}).status_code == 302
            assert not type(row).objects.filter(pk=row.pk).exists()

    def test_bulk_deletion_is_all_or_nothing(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        free = WorkflowFactory()
        question = text(act(admin_client, "delete_selected", free, scenario.callee))
        assert "Cannot delete this workflow: 1 other workflow calls it" in question
        act(admin_client, "delete_selected", free, scenario.callee, post="yes")
        assert Workflow.objects.count() == 3
        act(admin_client, "delete_selected", free, post="yes")
        assert Workflow.objects.count() == 2

    @pytest.mark.parametrize("selected", [False, True])
    def test_concurrent_refusal_of_deletion_is_message(
        self,
        admin_client: Client,
        scenario: Scenario,
        monkeypatch: pytest.MonkeyPatch,
        selected: bool,
    ) -> None:
        monkeypatch.setattr(WorkflowAdmin, "refuse_deletion", lambda *_: None)
        response = delete(admin_client, scenario.callee, selected=selected)
        assert response.status_code == 302
        [message] = list_messages(response)
        assert "Cannot delete this workflow: 1 other workflow calls it" in message
        assert f'href="{page(scenario.caller)}"' in message
        assert Workflow.objects.filter(pk=scenario.callee.pk).exists()
        assert not LogEntry.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_database_refusal_of_deletion_is_message(
        self, admin_client: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(guards, "refuse_referenced", lambda *_, **__: None)
        response = admin_client.post(page(scenario.callee, "delete"), {"post": "yes"})
        assert response.status_code == 302
        assert len(list_messages(response)) == 1
        assert "successfully" not in list_messages(response)[0]
        assert Workflow.objects.filter(pk=scenario.callee.pk).exists()

    def test_deletion_needs_no_version_permission(self) -> None:
        workflow = WorkflowFactory()
        client = staff(*VIEW, "workflows.delete_workflow")
        assert client.post(page(workflow, "delete"), {"post": "yes"}).status_code == 302
        assert not Workflow.objects.exists()

    @pytest.mark.parametrize("selected", [False, True])
    def test_deletion_page_counts_hidden_webhooks(self, settings: Any, selected: bool) -> None:
        settings.HTTP_REQUEST_HOSTS = ["hooks.example"]
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        workflow, other = WorkflowFactory(), WorkflowFactory()
        create_webhook("https://hooks.example/one", workflow=workflow)
        stored, _ = create_webhook("https://hooks.example/other", workflow=other)
        client = Client()
        client.force_login(user_in("designer", is_staff=True))
        question = (
            act(client, "delete_selected", workflow)
            if selected
            else client.get(page(workflow, "delete"))
        )
        html = text(question)
        assert "Webhooks: 1" in html
        assert "hooks.example" not in html
        assert "permission" not in html
        assert delete(client, workflow, selected=selected).status_code == 302
        assert list(Workflow.objects.all()) == [other]
        assert list(Subscription.objects.all()) == [stored]

    @pytest.mark.parametrize("selected", [False, True])
    def test_deletion_needs_permission(self, selected: bool) -> None:
        workflow = WorkflowFactory()
        client = staff(*VIEW, "executions.delete_subscription")
        delete(client, workflow, selected=selected)
        assert Workflow.objects.exists()


class TestPermissions:
    def test_viewer_has_no_buttons(self, scenario: Scenario) -> None:
        viewer = staff(*VIEW)
        html = text(viewer.get(page(scenario.caller)))
        assert "Called by" in html
        for button in ("Start execution", "Edit graph", 'name="_save"'):
            assert button not in html
        assert viewer.post(page(scenario.caller), {}).status_code == 403
        assert viewer.get(page(scenario.caller, "graph")).status_code == 403
        assert viewer.post(page(scenario.caller, "graph"), {}).status_code == 403
        assert viewer.get(page(scenario.caller, "delete")).status_code == 403
        act(viewer, "retire", scenario.caller)
        scenario.caller.refresh_from_db()
        assert scenario.caller.state == Workflow.State.ACTIVE

    def test_button_needs_permission(self, scenario: Scenario) -> None:
        html = text(staff(*VIEW, "workflows.add_version").get(page(scenario.caller)))
        assert "Edit graph" in html
        assert "Start execution" not in html

    def test_workflow_pages_need_permission(self, scenario: Scenario) -> None:
        assert staff().get(page(scenario.caller)).status_code == 403
        assert staff().get(url(Workflow)).status_code == 403


def test_indirect_calls_are_marked(admin_client: Client) -> None:
    low = WorkflowFactory(title="Low")
    middle = WorkflowFactory(title="Middle", entity_name_type=low.entity_name_type)
    top = WorkflowFactory(title="Top", entity_name_type=low.entity_name_type)
    save_line(middle, call(low))
    save_line(top, call(middle))
    html = text(admin_client.get(page(low)))
    assert "Called by (2)" in html
    assert "indirect" in html


def test_history_page_judges_no_change_of_type(
    admin_client: Any, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(workflow: Workflow) -> None:
        raise AssertionError("the page shows no notice")

    monkeypatch.setattr("workflows.admin.workflow.type_change_notice", judge)
    response = admin_client.get(f"/admin/workflows/workflow/{scenario.caller.pk}/history/")
    assert response.status_code == 200
