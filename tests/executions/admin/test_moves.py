"""Moving executions to another version in the admin."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from executions import services
from executions.guards import SeveralWorkflows
from executions.models import BulkOperation, Execution, Move
from executions.services.move_writing import write_move
from executions.worker import queue
from tests.executions.moves import correct, start_at
from tests.factories import FindingFactory, WorkflowFactory, call, form, line, save_line
from tests.workflows.admin.staff import list_messages, page, post_and_commit, text
from workflows import editing
from workflows.models import AuditEntry, Version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

LIST = reverse("admin:executions_execution_changelist")


def address(execution: Execution) -> str:
    return reverse("admin:executions_execution_move", args=[execution.pk])


def version_address(version: Version) -> str:
    return reverse("admin:executions_execution_move_version", args=[version.pk])


def token(html: str) -> str:
    (found,) = re.findall(r'name="token" value="(\w+)"', html)
    return str(found)


def check(client: Client, url: str, **sent: Any) -> tuple[str, dict[str, Any]]:
    """Check a plan on its page; return the page, and what confirms it."""
    html = text(client.post(url, {"_check": "1", **sent}))
    return html, {**sent, "token": token(html), "_move": "1", "why": "Wrong graph"}


def start_more(first: Execution, number: int) -> list[Execution]:
    kind = first.workflow.entity_name_type
    findings = FindingFactory.create_batch(number, entity_name_type=kind)
    return [first, *(services.start(first.workflow, finding) for finding in findings)]


class TestOneExecution:
    def test_page_names_obstacle_and_offers_nodes(self, operator: Client) -> None:
        execution = start_at(form("old", label="Assess"))
        correct(execution, form("new", label="Review"))
        assert address(execution) in text(operator.get(page(execution)))
        html = text(operator.get(address(execution)))
        assert "The new version has no node “old”." in html
        assert "Choose a node" in html and '<option value="new">Review' in html
        assert "Now: version 1" in html and "After the move: version 2" in html
        assert "_move" not in html, "nothing can be moved yet"

    def test_checked_plan_is_moved_and_displayed(self, operator: Client) -> None:
        execution = start_at(form("old"))
        correct(execution, form("new"))
        html, confirmed = check(operator, address(execution), **{"map:old": "new"})
        assert "_move" in html and 'value="new" selected' in html
        answer = operator.post(address(execution), confirmed)
        assert answer["Location"] == page(execution)
        assert "The execution was moved to version 2." in list_messages(answer)
        html = text(operator.get(page(execution)))
        assert "Moves (1)" in html and "Wrong graph" in html
        assert "Path on version 1" in html

    def test_changed_choice_is_displayed_before_it_is_confirmed(self, operator: Client) -> None:
        execution = start_at(form("old"))
        correct(execution, form("new"), form("other"))
        _, confirmed = check(operator, address(execution), **{"map:old": "new"})
        answer = operator.post(address(execution), {**confirmed, "map:old": "other"})
        assert "The plan has changed. Check it, then confirm." in text(answer)
        assert not Move.objects.exists()

    def test_submit_outdates_the_plan(self, operator: Client) -> None:
        execution = start_at(form(), form("second"))
        correct(execution, form(), form("second"), form("third"))
        _, confirmed = check(operator, address(execution))
        services.submit(execution, data={"note": "n"})
        answer = operator.post(address(execution), confirmed)
        assert "The plan has changed." in text(answer) and not Move.objects.exists()

    def test_reason_is_required(self, operator: Client) -> None:
        execution = start_at(form())
        correct(execution, form(), form("second"))
        _, confirmed = check(operator, address(execution))
        answer = operator.post(address(execution), {**confirmed, "why": " "})
        assert "This field is required." in text(answer) and not Move.objects.exists()

    def test_step_begins_again_at_a_chosen_node(self, operator: Client) -> None:
        execution = start_at(form())
        nap = {"id": "nap", "type": "wait", "data": {"interval": "P1D"}}
        correct(execution, nap)
        _, confirmed = check(
            operator, address(execution), **{"map:form": "restart:nap", "version": "2"}
        )
        operator.post(address(execution), confirmed)
        assert execution.steps.open().get().node_id == "nap"

    def test_child_leads_to_its_root_and_ended_execution_back(self, operator: Client) -> None:
        callee = WorkflowFactory()
        save_line(callee, form())
        caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
        editing.save_graph(caller, line(call(callee)), based_on=1)
        finding = FindingFactory(entity_name_type=callee.entity_name_type)
        execution = services.start(caller, finding)
        child = execution.children.get()
        assert operator.get(address(child))["Location"] == address(execution)
        services.cancel(execution)
        assert operator.get(address(execution))["Location"] == page(execution)


class TestManyExecutions:
    def test_version_page_offers_to_move_its_executions(self, operator: Client) -> None:
        executions = start_more(start_at(form("old")), 2)
        old = executions[0].version
        correct(executions[0], form("new"))
        assert version_address(old) in text(operator.get(page(old)))
        html, confirmed = check(operator, version_address(old), **{"map:old": "new"})
        assert "<strong>3</strong> of 3 can be moved" in html
        answer = post_and_commit(operator, version_address(old), confirmed)
        operation = BulkOperation.objects.get()
        assert answer["Location"] == page(operation)
        assert {row.version.number for row in Execution.objects.all()} == {2}
        assert text(operator.get(page(operation))).count("3 of 3") == 1

    @pytest.mark.django_db(transaction=True)
    def test_each_of_few_executions_is_moved_in_its_own_transaction(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        executions = start_more(start_at(form()), 1)
        old = executions[0].version
        correct(executions[0], form(), form("second"))
        html, confirmed = check(operator, version_address(old))
        (once,) = re.findall(r'name="_once" value="(\w+)"', html)
        outer = []

        def watched(*arguments: Any, **options: Any) -> Any:
            outer.append(len(connection.savepoint_ids))
            return write_move(*arguments, **options)

        monkeypatch.setattr("executions.services.moving.write_move", watched)
        operator.post(version_address(old), {**confirmed, "_once": once})
        # The savepoint is that of the move in the transaction of its item.
        assert outer == [1, 1] and Move.objects.count() == 2
        entries = AuditEntry.objects.filter(action="moved").values_list("who", "face")
        assert list(entries) == [("ada", "admin")] * 2

    def test_selected_executions_are_planned_and_moved(self, operator: Client) -> None:
        executions = start_more(start_at(form("old")), 1)
        correct(executions[0], form("new"))
        selected = [row.pk for row in executions]
        answer = operator.post(LIST, {"action": "move_selected", "_selected_action": selected})
        operation = BulkOperation.objects.get()
        html = text(operator.get(answer["Location"]))
        (begin,) = re.findall(r'action="([^"]*begin/)"', html)
        _, confirmed = check(operator, begin, **{"map:old": "new"})
        post_and_commit(operator, begin, confirmed)
        operation.refresh_from_db()
        assert operation.options == {"to": None, "mapping": {"old": "new"}, "retime": False}
        assert {row.version.number for row in Execution.objects.all()} == {2}

    def test_tree_that_cannot_be_moved_is_listed(self, operator: Client) -> None:
        first, second = start_more(start_at(form("old"), form("second")), 1)
        correct(first, form("new"), form("third"))
        services.submit(second, data={"note": "n"})
        html, confirmed = check(operator, version_address(first.version), **{"map:old": "new"})
        assert "<strong>1</strong> of 2 can be moved" in html
        post_and_commit(operator, version_address(first.version), confirmed)
        html = text(operator.get(page(BulkOperation.objects.get())))
        assert html.count("version 1 → version 2") == 1, "the result of the other tree"
        assert "move_refused" in html and "The new version has no node “second”." in html
        assert Move.objects.count() == 1

    def test_executions_of_several_workflows_are_refused(self, operator: Client) -> None:
        rows = [start_at(form()), start_at(form())]
        sent = {"action": "move_selected", "_selected_action": [row.pk for row in rows]}
        (message,) = list_messages(operator.post(LIST, sent))
        assert str(SeveralWorkflows.message) in message
        assert not BulkOperation.objects.exists()

    def test_large_operation_runs_in_background_and_moves_each_once(
        self, operator: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("executions.services.bulk.MAX_IMMEDIATE", 1)
        executions = start_more(start_at(form("old")), 2)
        correct(executions[0], form("new"))
        old = executions[0].version
        _, confirmed = check(operator, version_address(old), **{"map:old": "new"})
        post_and_commit(operator, version_address(old), confirmed)
        assert not Move.objects.exists()
        queue.serve_due()
        assert Move.objects.count() == 3
        queue.serve_due()
        assert Move.objects.count() == 3


def test_saved_graph_offers_to_move_live_executions(admin_client: Client) -> None:
    executions = start_more(start_at(form()), 1)
    workflow = executions[0].workflow
    source = json.dumps(line(form(), form("second")))
    sent = {"source": source, "based_on": 1, "notes": ""}
    answer = admin_client.post(page(workflow, "graph"), sent)
    saved, offer = list_messages(answer)
    assert saved.startswith("Version 2 was saved.")
    assert offer.startswith("2 live executions run version 1.")
    assert version_address(executions[0].version) in offer
