"""Execution pages of the admin: list, details, forms and cancellation."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from executions import services as running
from executions.models import Entity, Execution, Finding, InventoryModel, Status, Step
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    InventoryModelFactory,
    RecordTypeFactory,
    WorkflowFactory,
    accounts,
    call,
    form,
    save_line,
)
from tests.workflows.admin.staff import VIEW, list_messages, page, staff, statements, text
from workflows import guards
from workflows.admin.graph_diagram import type_title

pytestmark = pytest.mark.django_db

MAY = (*VIEW, "executions.change_execution", "executions.submit_execution")
EVERY_TYPE: list[dict[str, Any]] = [
    {"name": "text", "type": "text", "required": True},
    {"name": "csrfmiddlewaretoken", "type": "long_text"},
    {"name": "amount", "type": "number"},
    {"name": "day", "type": "date"},
    {"name": "moment", "type": "datetime"},
    {"name": "kind", "type": "choice", "choices": ["a", {"value": "b", "label": "Bee"}]},
    {"name": "kinds", "type": "multiple_choice", "choices": ["a", "b"]},
    {"name": "sure", "type": "checkbox"},
    {"name": "mail", "type": "email"},
    {"name": "site", "type": "url"},
]


def url(model: Any, name: str = "changelist", *args: Any) -> str:
    options = model._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{name}", args=args)


def open_step(execution: Execution, node: str = "form") -> Step:
    return execution.steps.open().get(node_id=node)


def submit(client: Client, execution: Execution, step: Step, **answers: Any) -> Any:
    sent = {f"{step.cuid}-{name}": value for name, value in answers.items()}
    return client.post(url(Execution, "submit", execution.pk, step.cuid), sent)


def started(*fields: dict[str, Any], **data: Any) -> Execution:
    workflow = WorkflowFactory()
    save_line(workflow, form("form", *fields, **data))
    return running.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


class TestLists:
    @pytest.mark.parametrize("model", [Execution, Finding, InventoryModel])
    def test_list_query_count_is_constant(self, admin_client: Client, model: Any) -> None:
        kind = RecordTypeFactory()

        def fill(number: int) -> None:
            for _ in range(number):
                owner = InventoryModelFactory(primary_record_type=kind)
                execution = started()
                Finding.objects.filter(pk=execution.entity_id).update(inventory_model=owner)

        fill(3)
        few = statements(lambda: admin_client.get(url(model)))
        fill(27)
        assert statements(lambda: admin_client.get(url(model))) == few

    def test_live_filter_separates_live_and_ended(self, admin_client: Client) -> None:
        one, other = started(), started()
        running.cancel(other)
        for live, html, hidden in (("yes", one, other), ("no", other, one)):
            found = text(admin_client.get(url(Execution), {"live": live}))
            assert html.cuid in found
            assert hidden.cuid not in found

    @pytest.mark.parametrize("name", ["workflow", "version", "entity"])
    def test_related_row_filter_keeps_its_executions(self, admin_client: Client, name: str) -> None:
        one, other = started(), started()
        found = text(admin_client.get(url(Execution), {name: getattr(one, f"{name}_id")}))
        assert one.cuid in found
        assert other.cuid not in found

    def test_execution_search_finds_ids_and_titles(self, admin_client: Client) -> None:
        one, other = started(), started()
        for query in (one.cuid, one.workflow.title, one.entity.title):
            assert one.cuid in text(admin_client.get(url(Execution), {"q": query}))
        assert other.cuid not in text(admin_client.get(url(Execution), {"q": one.cuid}))

    def test_execution_search_matches_every_word(self, admin_client: Client) -> None:
        one = started()
        one.workflow.title = "Quarterly review"
        one.workflow.save()
        one.entity.title = "Liquidity model"
        one.entity.save()

        def found(query: str) -> bool:
            return page(one) in text(admin_client.get(url(Execution), {"q": query}))

        for query in (one.cuid.upper(), "LIQUID quarter", '"quarterly review"', "model " * 50):
            assert found(query), query
        for query in (
            "liquid yearly",
            '"review quarterly"',
            f"{one.cuid} yearly",
            one.cuid[1:],
        ):
            assert not found(query), query

    def test_execution_search_limits_words(self, admin_client: Client) -> None:
        def count_queries(words: int) -> int:
            query = " ".join(f"w{number}" for number in range(words))
            return statements(lambda: admin_client.get(url(Execution), {"q": query}))

        started()
        assert count_queries(40) == count_queries(4) <= 25


class TestExecutionPage:
    def test_execution_page_shows_details(self, admin_client: Client, scenario: Scenario) -> None:
        scenario.finding.fields = {"severity": "high", "list": [1], "none": None}
        scenario.finding.save()
        execution = scenario.start()
        running.submit(execution, node="form", data={"note": "A note that was typed"})
        html = text(admin_client.get(page(execution)))
        for row in (
            scenario.caller,
            execution.version,
            scenario.finding,
            execution.children.get(),
            scenario.callee,
        ):
            assert f'href="{page(row)}"' in html
        assert "severity" in html
        assert "A note that was typed" in html
        assert "badge-completed" in html
        child = execution.children.get()
        assert f'href="{page(execution)}"' in text(admin_client.get(page(child)))

    def test_incident_shows_its_cause(self, admin_client: Client) -> None:
        callee = WorkflowFactory()
        save_line(callee, form())
        caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
        save_line(caller, call(callee))
        execution = running.start(caller, FindingFactory(entity_name_type=callee.entity_name_type))
        running.cancel(execution.children.get(), why="No evidence")
        html = text(admin_client.get(page(execution)))
        assert "was cancelled: No evidence" in html
        assert "child_cancelled" in html

    def test_history_query_count_is_constant(self, admin_client: Client) -> None:
        def waits(number: int) -> Execution:
            workflow = WorkflowFactory()
            save_line(workflow, *(form(f"n{index}") for index in range(number)))
            kind = workflow.entity_name_type
            execution = running.start(workflow, FindingFactory(entity_name_type=kind))
            for index in range(number - 1):
                running.submit(execution, node=f"n{index}", data={"note": "x"})
            return execution

        short, long = waits(3), waits(30)
        few = statements(lambda: admin_client.get(page(short)))
        assert statements(lambda: admin_client.get(page(long))) == few

    def test_damaged_graph_is_reported(
        self, admin_client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        execution = started()

        def damaged(self: Execution) -> Any:
            raise guards.Refusal("It is damaged.")

        monkeypatch.setattr(Execution, "get_workflow_manager", damaged)
        html = text(admin_client.get(page(execution)))
        assert "The stored graph is damaged: It is damaged." in html
        step = Step.objects.filter(execution=execution).open().get()
        assert f"{type_title(step.type)}, since" in html

    def test_execution_page_is_read_only(self, admin_client: Client) -> None:
        execution = started()
        running.cancel(execution)
        assert admin_client.post(page(execution), {"status": "active"}).status_code == 403
        assert admin_client.get(page(execution, "delete")).status_code == 403
        assert admin_client.get(url(Execution, "add")).status_code == 403
        html = text(admin_client.get(url(Execution)))
        assert "delete_selected" not in html

    @pytest.mark.parametrize("pk", ["999999", "abc"])
    def test_missing_execution_redirects(self, admin_client: Client, pk: str) -> None:
        response = admin_client.get(url(Execution, "change", pk))
        assert response.status_code == 302
        assert "doesn’t exist" in list_messages(response)[0]


class TestSubmit:
    def test_submitted_form_continues_execution(
        self, admin_client: Client, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        step = open_step(execution)
        assert f"{step.cuid}-note" in text(admin_client.get(page(execution)))
        response = submit(admin_client, execution, step, note="Looks right")
        assert response.status_code == 302
        assert list_messages(response) == ["“form” was submitted. The execution is completed."]
        execution.refresh_from_db()
        scenario.finding.refresh_from_db()
        assert execution.status == Status.COMPLETED
        assert scenario.finding.fields["note"] == "Looks right"
        assert Step.objects.get(pk=step.pk).closed_by.username == "admin"

    def test_form_accepts_every_field_type(self, admin_client: Client) -> None:
        execution = started(*EVERY_TYPE)
        step = open_step(execution)
        response = submit(
            admin_client,
            execution,
            step,
            text="t",
            csrfmiddlewaretoken="kept apart",
            amount="1.5",
            day="2026-01-31",
            moment="2026-01-31T10:30",
            kind="b",
            kinds=["a", "b"],
            sure="on",
            mail="a@example.com",
            site="https://example.com",
        )
        assert response.status_code == 302
        fields = Entity.objects.get(pk=execution.entity_id).fields
        assert fields.pop("moment").startswith("2026-01-31T10:30")
        assert fields == {
            "text": "t",
            "csrfmiddlewaretoken": "kept apart",
            "amount": 1.5,
            "day": "2026-01-31",
            "kind": "b",
            "kinds": ["a", "b"],
            "sure": True,
            "mail": "a@example.com",
            "site": "https://example.com",
        }

    def test_form_errors_keep_submitted_values(self, admin_client: Client) -> None:
        execution = started(*EVERY_TYPE)
        step = open_step(execution)
        response = submit(admin_client, execution, step, amount="many", mail="Typed at random")
        assert response.status_code == 200
        html = text(response)
        assert "This field is required." in html
        assert "Enter a number." in html
        assert 'value="Typed at random"' in html
        assert open_step(execution) == step

    def test_engine_refusal_appears_at_field(self, admin_client: Client) -> None:
        execution = started({"name": "site", "type": "url"})
        step = open_step(execution)
        response = submit(admin_client, execution, step, site="ftp://example.com/a")
        assert response.status_code == 200
        assert "must be a web address (http or https)" in text(response)
        assert 'value="ftp://example.com/a"' in text(response)
        assert open_step(execution) == step

    def test_submission_of_closed_step_shows_message(self, admin_client: Client) -> None:
        workflow = WorkflowFactory()
        save_line(workflow, form("one"), form("two"))
        execution = running.start(
            workflow, FindingFactory(entity_name_type=workflow.entity_name_type)
        )
        step = open_step(execution, "one")
        submit(admin_client, execution, step, note="first")
        for answers in ({"note": "second"}, {}):
            response = submit(admin_client, execution, step, **answers)
            assert response.status_code == 302
            assert "The step “one” is no longer open." in list_messages(response)[-1]
        submit(admin_client, execution, open_step(execution, "two"), note="last")
        response = submit(admin_client, execution, step, note="third")
        assert "The step “one” is no longer open." in list_messages(response)[-1]
        assert Entity.objects.get(pk=execution.entity_id).fields == {"note": "last"}

    def test_form_of_other_assignee_is_refused(self, scenario: Scenario) -> None:
        accounts(groups=["Reviewers"], users=["alice"])
        execution = started(assignees={"groups": ["Reviewers"], "users": ["alice"]})
        client, step = staff(*MAY), open_step(execution)
        html = text(client.get(page(execution)))
        assert "Assigned to group “Reviewers”, user “alice”." in html
        assert f"{step.cuid}-note" not in html
        response = submit(client, execution, step, note="mine")
        assert response.status_code == 200
        assert "is assigned to others" in text(response)

    def test_action_needs_permission(self) -> None:
        execution = started()
        step, viewer = open_step(execution), staff(*VIEW)
        assert f"{step.cuid}-note" not in text(viewer.get(page(execution)))
        assert submit(viewer, execution, step, note="x").status_code == 403
        assert submit(staff(*MAY), execution, step, note="x").status_code == 302

    def test_step_of_other_execution_answers_404(self, admin_client: Client) -> None:
        assert submit(admin_client, started(), open_step(started()), note="x").status_code == 404

    def test_form_url_redirects_to_execution(self, admin_client: Client) -> None:
        execution = started()
        address = url(Execution, "submit", execution.pk, open_step(execution).cuid)
        assert admin_client.get(address)["Location"] == page(execution)


class TestCancel:
    def test_cancellation_asks_for_reason(self, admin_client: Client) -> None:
        execution = started()
        assert page(execution, "cancel") in text(admin_client.get(page(execution)))
        assert "This cannot be undone." in text(admin_client.get(page(execution, "cancel")))
        execution.refresh_from_db()
        assert execution.live
        response = admin_client.post(page(execution, "cancel"), {"why": "Not needed"})
        assert response["Location"] == page(execution)
        execution.refresh_from_db()
        assert (execution.status, execution.message) == (Status.CANCELLED, "Not needed")
        assert "Not needed" in text(admin_client.get(page(execution)))

    def test_cancellation_works_without_reason(self, admin_client: Client) -> None:
        execution = started()
        assert admin_client.post(page(execution, "cancel")).status_code == 302
        execution.refresh_from_db()
        assert execution.status == Status.CANCELLED

    def test_cancellation_of_ended_execution_shows_message(self, admin_client: Client) -> None:
        execution = started()
        running.cancel(execution)
        assert page(execution, "cancel") not in text(admin_client.get(page(execution)))
        response = admin_client.get(page(execution, "cancel"))
        assert list_messages(response) == ["The execution is already cancelled."]
        response = admin_client.post(page(execution, "cancel"), {"why": "again"})
        assert "can no longer be changed" in list_messages(response)[-1]

    def test_action_needs_permission(self) -> None:
        execution, viewer = started(), staff(*VIEW)
        assert page(execution, "cancel") not in text(viewer.get(page(execution)))
        assert viewer.get(page(execution, "cancel")).status_code == 403
        assert viewer.post(page(execution, "cancel"), {"why": ""}).status_code == 403
        execution.refresh_from_db()
        assert execution.live
