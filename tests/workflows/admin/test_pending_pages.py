"""Changes on hold in the admin: what they wait for, withdrawn, tried, and said where they hold."""

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
from tests.workflows.admin.staff import VIEW, page, staff, statements, text, told
from workflows import editing
from workflows.models import AuditEntry, PendingChange, Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

LIST = "/admin/workflows/pendingchange/"
MAY = (*VIEW, "workflows.view_pendingchange")


def make_impossible(scenario: Scenario) -> None:
    other = WorkflowFactory(title="Other", entity_name_type=scenario.limitation)
    save_line(scenario.callee, call(other))


class TestTheList:
    def test_it_tells_who_asked_for_what_and_why(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        shown = text(admin_client.get(LIST))
        for part in (
            '<span class="badge badge-waiting">Waiting</span>',
            "Policy Exception",
            "ada",
            "Reclassified",
            f'href="{page(scenario.caller)}"',
            f'href="{page(scenario.callee)}"',
        ):
            assert part in shown

    def test_it_takes_as_many_statements_for_three_changes_as_for_thirty(
        self, admin_client: Client
    ) -> None:
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

    def test_search_and_filters(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        for query in ("Workflow 4", scenario.caller.cuid, pending.cuid, "ada", "reclass"):
            assert page(pending) in text(admin_client.get(LIST, {"q": query})), query
        assert page(pending) not in text(admin_client.get(LIST, {"state__exact": "applied"}))


class TestOneChange:
    def test_what_it_waits_for_is_counted_and_linked(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        execution = Execution.objects.get()
        shown = text(admin_client.get(page(pending)))
        assert "Waits for (1)" in shown
        assert f'href="{page(execution)}"' in shown
        assert f'href="{page(scenario.callee)}"' in shown
        assert page(pending, "withdraw") in shown
        assert "Try now" in shown
        assert "could not be made" not in shown

    def test_what_depends_on_its_workflows_is_waited_for_too(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        scenario.start()
        save_line(scenario.caller, form())
        found = scenario.hold(scenario.callee).pending
        assert found is not None
        shown = text(admin_client.get(page(found)))
        assert "Waits for (1)" in shown
        assert f'href="{page(Execution.objects.get())}"' in shown

    def test_it_says_beforehand_that_it_could_not_be_made(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        make_impossible(scenario)
        shown = text(admin_client.get(page(pending)))
        assert "As things are, it could not be made even then" in shown
        assert "Run Workflow: Incompatible entity name types." in shown
        assert "Choose these 3" in shown

    @pytest.mark.django_db(transaction=True)
    def test_one_that_could_not_be_made_tells_its_reason_and_is_put_away(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        make_impossible(scenario)
        running.cancel(Execution.objects.get())
        shown = text(admin_client.get(page(pending)))
        assert "Could not be made" in shown
        assert "Run Workflow: Incompatible entity name types." in shown
        assert "Put away" in shown
        assert "Try now" not in shown
        assert admin_client.post(page(pending, "withdraw")).status_code == 302
        assert not PendingChange.objects.exists()

    @pytest.mark.django_db(transaction=True)
    def test_one_that_was_made_offers_nothing(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        running.cancel(Execution.objects.get())
        shown = text(admin_client.get(page(pending)))
        assert "badge-applied" in shown
        assert page(pending, "withdraw") not in shown
        assert "Try now" not in shown

    def test_a_workflow_that_was_deleted_is_named(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        editing.withdraw(pending)
        extra = WorkflowFactory(title="Extra", entity_name_type=scenario.limitation)
        found = scenario.hold(scenario.caller, scenario.callee, extra).pending
        assert found is not None
        extra.delete()
        shown = text(admin_client.get(page(found)))
        assert 'Extra <span class="quiet">(deleted)</span>' in shown
        assert "Extra" in text(admin_client.get(LIST))

    def test_it_is_told_never_edited(self, admin_client: Client, pending: PendingChange) -> None:
        assert admin_client.get(f"{LIST}add/").status_code == 403
        assert admin_client.post(page(pending), {}).status_code == 403
        assert admin_client.post(page(pending, "delete"), {"post": "yes"}).status_code == 403
        assert admin_client.get(f"{LIST}999999/change/").status_code == 302


class TestWithdraw:
    def test_it_asks_first_and_then_executions_start_again(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        asked = text(admin_client.get(page(pending, "withdraw")))
        assert "executions start on them again" in asked
        assert PendingChange.objects.exists()
        response = admin_client.post(page(pending, "withdraw"))
        assert response["Location"] == LIST
        assert told(response) == [
            "Withdrawn: the change of “Workflow 3”, “Workflow 4” to Policy Exception."
        ]
        assert not PendingChange.objects.exists()
        assert scenario.start().status == "waiting"
        entry = AuditEntry.objects.get(cuid=pending.cuid, action="withdrawn")
        assert (entry.who, entry.face) == ("admin", "admin")

    @pytest.mark.django_db(transaction=True)
    def test_one_that_was_made_meanwhile_is_refused_and_recorded(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        running.cancel(Execution.objects.get())
        response = admin_client.post(page(pending, "withdraw"))
        assert response["Location"] == page(pending)
        assert "has been made already" in told(response)[0]
        entry = AuditEntry.objects.latest("pk")
        assert (entry.action, entry.refused, entry.code) == ("withdrawn", True, "settled")

    def test_one_that_is_gone(self, admin_client: Client, pending: PendingChange) -> None:
        editing.withdraw(pending)
        for name in ("withdraw", "try"):
            assert admin_client.post(page(pending, name)).status_code == 404

    def test_it_takes_the_permission(self, pending: PendingChange) -> None:
        viewer = staff(*MAY)
        shown = text(viewer.get(page(pending)))
        assert page(pending, "withdraw") not in shown
        assert "Try now" not in shown
        for name in ("withdraw", "try"):
            assert viewer.post(page(pending, name)).status_code == 403
        assert staff(*VIEW).get(page(pending)).status_code == 403
        allowed = staff(*MAY, "workflows.change_entity_context")
        assert allowed.post(page(pending, "withdraw")).status_code == 302
        assert not PendingChange.objects.exists()


class TestTryNow:
    def test_while_something_runs_nothing_is_changed(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        response = admin_client.post(page(pending, "try"))
        assert "it waits still" in told(response)[0]
        assert PendingChange.objects.get().state == "waiting"

    def test_what_ended_behind_pythons_back_is_waited_for_no_longer(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        end_unseen(Execution.objects.get())
        assert "No execution stands in the way any more." in text(admin_client.get(page(pending)))
        response = admin_client.post(page(pending, "try"))
        assert told(response)[0].startswith("Made: ")
        assert Workflow.objects.get(pk=scenario.caller.pk).context_type == scenario.exception

    def test_one_that_cannot_be_made_says_why(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        make_impossible(scenario)
        end_unseen(Execution.objects.get())
        response = admin_client.post(page(pending, "try"))
        assert "It could not be made: Run Workflow: Incompatible" in told(response)[0]

    def test_a_look_at_its_address_changes_nothing(
        self, admin_client: Client, pending: PendingChange
    ) -> None:
        end_unseen(Execution.objects.get())
        assert admin_client.get(page(pending, "try"))["Location"] == page(pending)
        assert PendingChange.objects.get().state == "waiting"


class TestWhereItHolds:
    def test_the_page_of_a_workflow_says_who_asked_and_links_the_change(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        for row in (scenario.caller, scenario.callee):
            shown = text(admin_client.get(page(row)))
            assert "The type changes to “Policy Exception” once what runs has ended" in shown
            assert "ada asked for it on" in shown
            assert f'href="{page(pending)}"' in shown
        editing.withdraw(pending)
        assert "asked for it on" not in text(admin_client.get(page(scenario.caller)))

    def test_page_says_that_it_drains_but_not_who_asked_when_changes_may_not_be_viewed(
        self, scenario: Scenario, pending: PendingChange
    ) -> None:
        shown = text(staff(*VIEW).get(page(scenario.caller)))
        assert "The type changes to “Policy Exception” once what runs has ended" in shown
        assert "ada asked for it on" not in shown and "Reclassified" not in shown
        assert page(pending) not in shown

    def test_the_list_of_workflows_has_a_badge(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange
    ) -> None:
        WorkflowFactory()
        shown = text(admin_client.get(reverse("admin:workflows_workflow_changelist")))
        assert shown.count("badge-draining") == 2

    @pytest.mark.parametrize("who", ["caller", "dependent"])
    def test_a_start_is_refused_with_the_link_and_the_page_says_so_beforehand(
        self, admin_client: Client, scenario: Scenario, pending: PendingChange, who: str
    ) -> None:
        workflow: Any = scenario.caller
        if who == "dependent":
            workflow = WorkflowFactory(entity_name_type=scenario.limitation)
            save_line(workflow, call(scenario.callee))
        address = reverse("admin:executions_execution_start", args=[workflow.pk])
        for response, heading in (
            (admin_client.get(address), "Nothing can be started now"),
            (admin_client.post(address, {"entity": scenario.finding.pk}), "Not started"),
        ):
            assert heading in text(response)
            assert "is draining: ada asked on" in text(response)
            assert f'href="{page(pending)}"' in text(response)
        assert Execution.objects.count() == 1
