"""Pages of changes on hold, and notices on the workflows they block."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import services as running
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    UserFactory,
    WorkflowFactory,
    call,
    end_unseen,
    form,
    save_line,
)
from tests.workflows.admin.staff import VIEW, list_messages, page, staff, statements, text
from workflows import editing
from workflows.models import AuditEntry, PendingChange, Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

LIST = "/admin/workflows/pendingchange/"
MAY = (*VIEW, "workflows.view_pendingchange")


def make_impossible(scenario: Scenario) -> None:
    other = WorkflowFactory(title="Other", entity_name_type=scenario.limitation)
    save_line(scenario.callee, call(other))


class TestPendingList:
    def test_pending_list_shows_request(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        html = text(admin_client.get(LIST))
        for part in (
            '<span class="badge badge-waiting">Waiting</span>',
            "Policy Exception",
            "ada",
            "Reclassified",
            f'href="{page(scenario.caller)}"',
            f'href="{page(scenario.callee)}"',
        ):
            assert part in html

    def test_pending_list_query_count_is_constant(self, admin_client: Client) -> None:
        kind = FindingTypeFactory()

        def fill(number: int) -> None:
            for _ in range(number):
                workflow = WorkflowFactory()
                save_line(workflow, form())
                running.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))
                editing.change_entity_context(
                    [workflow], entity_name_type=kind, when="drained", by=UserFactory()
                )

        fill(3)
        few = statements(lambda: admin_client.get(LIST))
        workflows = reverse("admin:workflows_workflow_changelist")
        few_workflows = statements(lambda: admin_client.get(workflows))
        fill(27)
        assert statements(lambda: admin_client.get(LIST)) == few
        assert statements(lambda: admin_client.get(workflows)) == few_workflows

    def test_pending_list_is_searched_and_filtered(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        for query in ("Workflow 4", scenario.caller.cuid, pending.cuid, "ada", "reclass"):
            assert page(pending) in text(admin_client.get(LIST, {"q": query})), query
        assert page(pending) not in text(admin_client.get(LIST, {"state__exact": "applied"}))


class TestChangePage:
    def test_change_page_links_blocking_executions(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        execution = Execution.objects.get()
        html = text(admin_client.get(page(pending)))
        assert "Waiting for executions (1)" in html
        assert f'href="{page(execution)}"' in html
        assert f'href="{page(scenario.callee)}"' in html
        assert page(pending, "withdraw") in html
        assert "Apply now" not in html
        assert "could not be applied" not in html

    def test_change_page_counts_executions_of_callers(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        save_line(scenario.caller, form())
        found = scenario.hold(scenario.callee).pending
        assert found is not None
        html = text(admin_client.get(page(found)))
        assert "Waiting for executions (1)" in html
        assert f'href="{page(Execution.objects.get())}"' in html

    def test_change_page_shows_remaining_refusal(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        make_impossible(scenario)
        html = text(admin_client.get(page(pending)))
        assert "The change would be refused even when the executions have ended" in html
        assert "Run Workflow: Incompatible entity name types." in html
        assert "Select these 3 workflows" in html

    @pytest.mark.django_db(transaction=True)
    def test_refused_change_shows_reason_and_is_dismissed(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        make_impossible(scenario)
        running.cancel(Execution.objects.get())
        html = text(admin_client.get(page(pending)))
        assert "The change could not be applied" in html
        assert "Run Workflow: Incompatible entity name types." in html
        assert "Dismiss" in html
        assert "Apply now" not in html
        assert admin_client.post(page(pending, "withdraw")).status_code == 302
        assert not PendingChange.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_applied_change_offers_no_action(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        running.cancel(Execution.objects.get())
        html = text(admin_client.get(page(pending)))
        assert "badge-applied" in html
        assert page(pending, "withdraw") not in html
        assert "Apply now" not in html

    def test_change_page_names_deleted_workflow(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        editing.withdraw(pending)
        extra = WorkflowFactory(title="Extra", entity_name_type=scenario.limitation)
        found = scenario.hold(scenario.caller, scenario.callee, extra).pending
        assert found is not None
        extra.delete()
        html = text(admin_client.get(page(found)))
        assert 'Extra <span class="quiet">(deleted)</span>' in html
        assert "Extra" in text(admin_client.get(LIST))

    def test_change_page_is_read_only(self, admin_client: Client, pending: PendingChange) -> None:
        assert admin_client.get(f"{LIST}add/").status_code == 403
        assert admin_client.post(page(pending), {}).status_code == 403
        assert admin_client.post(page(pending, "delete"), {"post": "yes"}).status_code == 403
        assert admin_client.get(f"{LIST}999999/change/").status_code == 302


class TestWithdraw:
    def test_withdrawal_asks_and_releases_workflows(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        question = text(admin_client.get(page(pending, "withdraw")))
        assert "new executions can start again" in question
        assert PendingChange.objects.exists()
        response = admin_client.post(page(pending, "withdraw"))
        assert response["Location"] == LIST
        assert list_messages(response) == [
            "The type change was withdrawn: “Workflow 3”, “Workflow 4” to Policy Exception."
        ]
        assert not PendingChange.objects.exists()
        assert scenario.start().status == "waiting"
        entry = AuditEntry.objects.get(cuid=pending.cuid, action="withdrawn")
        assert (entry.who, entry.face) == ("admin", "admin")

    @pytest.mark.django_db(transaction=True)
    def test_withdrawal_of_applied_change_is_refused(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        running.cancel(Execution.objects.get())
        response = admin_client.post(page(pending, "withdraw"))
        assert response["Location"] == page(pending)
        assert "has been applied already" in list_messages(response)[0]
        entry = AuditEntry.objects.latest("pk")
        assert (entry.action, entry.refused, entry.code) == ("withdrawn", True, "settled")

    def test_withdrawal_of_missing_change_answers_404(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        editing.withdraw(pending)
        for name in ("withdraw", "try"):
            assert admin_client.post(page(pending, name)).status_code == 404

    def test_withdrawal_needs_permission(self, pending: PendingChange) -> None:
        viewer = staff(*MAY)
        html = text(viewer.get(page(pending)))
        assert page(pending, "withdraw") not in html
        assert "Apply now" not in html
        for name in ("withdraw", "try"):
            assert viewer.post(page(pending, name)).status_code == 403
        assert staff(*VIEW).get(page(pending)).status_code == 403
        allowed = staff(*MAY, "workflows.change_entity_context")
        assert allowed.post(page(pending, "withdraw")).status_code == 302
        assert not PendingChange.objects.exists()


class TestApplyNow:
    def test_apply_now_changes_nothing_while_blocked(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        response = admin_client.post(page(pending, "try"))
        assert "Executions still block it" in list_messages(response)[0]
        assert PendingChange.objects.get().state == "waiting"

    def test_apply_now_sees_executions_ended_in_database(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        end_unseen(Execution.objects.get())
        assert "No execution blocks the change." in text(admin_client.get(page(pending)))
        response = admin_client.post(page(pending, "try"))
        assert list_messages(response)[0].startswith("The type change was applied: ")
        assert Workflow.objects.get(pk=scenario.caller.pk).context_type == scenario.exception

    def test_apply_now_shows_reason_of_refusal(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        make_impossible(scenario)
        end_unseen(Execution.objects.get())
        response = admin_client.post(page(pending, "try"))
        assert (
            "The change could not be applied: Run Workflow: Incompatible"
            in list_messages(response)[0]
        )

    def test_apply_now_ignores_get_request(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        end_unseen(Execution.objects.get())
        assert admin_client.get(page(pending, "try"))["Location"] == page(pending)
        assert PendingChange.objects.get().state == "waiting"


class TestDrainingWorkflow:
    def test_workflow_page_shows_pending_change(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        for row in (scenario.caller, scenario.callee):
            html = text(admin_client.get(page(row)))
            assert (
                "The type changes to “Policy Exception” when the live executions have ended" in html
            )
            assert "by ada." in html and "Requested on" in html
            assert f'href="{page(pending)}"' in html
        editing.withdraw(pending)
        assert "Requested on" not in text(admin_client.get(page(scenario.caller)))

    def test_workflow_page_hides_requester_without_permission(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        html = text(staff(*VIEW).get(page(scenario.caller)))
        assert "The type changes to “Policy Exception” when the live executions have ended" in html
        assert "Requested on" not in html and "Reclassified" not in html
        assert page(pending) not in html

    def test_workflow_list_has_draining_badge(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        WorkflowFactory()
        html = text(admin_client.get(reverse("admin:workflows_workflow_changelist")))
        assert html.count("badge-draining") == 2

    @pytest.mark.parametrize("who", ["caller", "dependent"])
    def test_start_of_draining_workflow_is_refused_with_link(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange, who: str
    ) -> None:
        workflow: Any = scenario.caller
        if who == "dependent":
            workflow = WorkflowFactory(entity_name_type=scenario.limitation)
            save_line(workflow, call(scenario.callee))
        address = reverse("admin:executions_execution_start", args=[workflow.pk])
        for response, heading in (
            (admin_client.get(address), "Executions cannot start now"),
            (admin_client.post(address, {"entity": scenario.finding.pk}), "Not started"),
        ):
            assert heading in text(response)
            assert "ada requested to change" in text(response)
            assert f'href="{page(pending)}"' in text(response)
        assert Execution.objects.count() == 1
