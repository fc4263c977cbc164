"""Pages offer nothing that would be refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import services
from executions.models import Execution
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    UserFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from tests.people import create_samples
from tests.workflows.admin.staff import page, staff, text
from workflows import editing
from workflows.models import Workflow

pytestmark = pytest.mark.django_db


def delete_links(client: Client, row: Any) -> tuple[bool, bool]:
    """Return whether the page of a row offers its deletion, and whether it explains the refusal."""
    html = text(client.get(page(row)))
    return 'class="deletelink"' in html, "Why it cannot be deleted" in html


class TestDeletions:
    def test_unused_record_can_be_deleted(self, admin_client: Client) -> None:
        for row in (FindingFactory(), FindingTypeFactory(), WorkflowFactory(), UserFactory()):
            assert delete_links(admin_client, row) == (True, False), row

    def test_record_in_use_says_why_it_cannot_be_deleted(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        ben = UserFactory(username="ben")
        save_line(scenario.callee, form(assignees={"users": ["ben"]}))
        services.start(scenario.callee, scenario.finding)
        for row in (scenario.finding, scenario.limitation, scenario.callee, ben):
            assert delete_links(admin_client, row) == (False, True), row

    def test_secret_in_use_says_why_it_cannot_be_deleted(
        self, admin_client: Client, settings: Any
    ) -> None:
        made = create_samples(settings)
        assert delete_links(admin_client, made.secret) == (True, False)
        workflow = WorkflowFactory()
        save_line(
            workflow,
            {
                "id": "send",
                "type": "http_request",
                "data": {
                    "method": "POST",
                    "url": "https://hooks.example/",
                    "headers": {"Authorization": "{{secret:key}}"},
                },
            },
        )
        assert delete_links(admin_client, made.secret) == (False, True)

    def test_form_offers_no_deletion_of_the_type_that_it_has(self, admin_client: Client) -> None:
        html = text(admin_client.get(page(FindingFactory())))
        assert 'class="related-widget-wrapper-link change-related"' in html
        assert "delete-related" not in html


class TestRestarts:
    def offers(self, client: Client, execution: Execution) -> bool:
        return page(execution, "restart") in text(client.get(page(execution)))

    def test_execution_of_an_active_workflow_can_be_restarted(
        self, operator: Client, scenario: Scenario
    ) -> None:
        assert self.offers(operator, scenario.start())

    def test_execution_of_a_retired_workflow_cannot(
        self, operator: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        editing.change_state(scenario.caller, Workflow.State.RETIRED, read="active")
        assert not self.offers(operator, execution)

    def test_execution_of_a_workflow_on_hold_cannot(
        self, operator: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        editing.change_entity_context(
            [scenario.caller, scenario.callee],
            entity_name_type=scenario.exception,
            when="drained",
        )
        assert not self.offers(operator, execution)


class TestMoves:
    def offers(self, client: Client, execution: Execution) -> tuple[bool, bool]:
        """Return whether the pages of the execution and of its version offer a move."""
        of_version = reverse("admin:executions_execution_move_version", args=[execution.version_id])
        return (
            page(execution, "move") in text(client.get(page(execution))),
            of_version in text(client.get(page(execution.version))),
        )

    def test_move_is_offered_when_there_is_another_version(
        self, operator: Client, scenario: Scenario
    ) -> None:
        save_line(scenario.callee, form())
        execution = services.start(scenario.callee, scenario.finding)
        assert self.offers(operator, execution) == (False, False)
        save_line(scenario.callee, form(label="Other"))
        assert self.offers(operator, execution) == (True, True)

    def test_move_is_offered_when_a_callee_has_a_newer_version(
        self, operator: Client, scenario: Scenario
    ) -> None:
        caller = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(scenario.callee, form())
        save_line(caller, call(scenario.callee))
        execution = services.start(caller, scenario.finding)
        assert not self.offers(operator, execution)[0]
        save_line(scenario.callee, form(label="Other"))
        assert self.offers(operator, execution)[0]

    def test_workflow_page_moves_the_executions_of_an_older_version(
        self, operator: Client, scenario: Scenario
    ) -> None:
        save_line(scenario.callee, form())
        execution = services.start(scenario.callee, scenario.finding)
        move = reverse("admin:executions_execution_move_version", args=[execution.version_id])
        assert move not in text(operator.get(page(scenario.callee)))
        save_line(scenario.callee, form(label="Other"))
        assert move in text(operator.get(page(scenario.callee)))
        viewer = staff("workflows.view_workflow", "workflows.view_version")
        assert move not in text(viewer.get(page(scenario.callee)))


class TestStarts:
    def test_entity_page_has_a_button_for_each_of_few_workflows(
        self, operator: Client, scenario: Scenario
    ) -> None:
        html = text(operator.get(page(scenario.finding)))
        assert f"Start “{scenario.caller}”</button>" in html and "start-workflow" not in html
        WorkflowFactory.create_batch(3, entity_name_type=scenario.limitation)
        html = text(operator.get(page(scenario.finding)))
        assert f"Start “{scenario.caller}”</button>" not in html and "start-workflow" in html


class TestWebhooks:
    def test_disabled_webhook_offers_no_delivery(self, admin_client: Client, settings: Any) -> None:
        made = create_samples(settings)
        test, again = page(made.webhook, "test"), page(made.delivery, "redeliver")
        assert test in text(admin_client.get(page(made.webhook)))
        assert again in text(admin_client.get(page(made.delivery)))
        made.webhook.state = "disabled"
        made.webhook.save()
        assert test not in text(admin_client.get(page(made.webhook)))
        assert again not in text(admin_client.get(page(made.delivery)))

    def test_list_names_all_events_in_one_word(self, admin_client: Client, settings: Any) -> None:
        create_samples(settings)
        html = text(admin_client.get(reverse("admin:executions_subscription_changelist")))
        assert '<td data-label="Events" class="field-event_names">all</td>' in html


def test_readers_see_the_values_of_the_fields(scenario: Scenario) -> None:
    scenario.finding.fields = {"severity": "high", "open": True}
    scenario.finding.save()
    html = text(staff("executions.view_finding").get(page(scenario.finding)))
    # The databases store the names in different orders.
    assert "<dt>severity</dt><dd>high</dd>" in html and "<dt>open</dt><dd>yes</dd>" in html


def test_workflow_on_hold_offers_no_other_change_of_its_type(
    admin_client: Client, scenario: Scenario
) -> None:
    scenario.start()
    offers = ("Put the change on hold:", "/change-type/?")
    html = text(admin_client.get(page(scenario.caller)))
    assert all(offer in html for offer in offers)
    editing.change_entity_context(
        [scenario.caller, scenario.callee], entity_name_type=scenario.exception, when="drained"
    )
    html = text(admin_client.get(page(scenario.caller)))
    assert "Why the type is locked" in html
    assert not any(offer in html for offer in offers)


@pytest.mark.parametrize("model", ["finding", "inventorymodel", "subscription", "secret"])
def test_form_of_a_new_record_has_no_fields_of_the_system(
    model: str, admin_client: Client, scenario: Scenario
) -> None:
    html = text(admin_client.get(reverse(f"admin:executions_{model}_add")))
    assert "field-cuid" not in html and "field-created_at" not in html


def test_filter_names_the_choice_of_records_without_a_type(
    admin_client: Client, scenario: Scenario
) -> None:
    html = text(admin_client.get(reverse("admin:workflows_workflow_changelist")))
    assert 'entity_name_type__isnull=True">None</a>' in html


def test_page_of_a_user_has_no_part_of_the_password_hash(admin_client: Client) -> None:
    user = UserFactory()
    html = text(admin_client.get(page(user)))
    assert "A password is set." in html and "algorithm" not in html
    user.set_unusable_password()
    user.save()
    assert "No password set." in text(admin_client.get(page(user)))
