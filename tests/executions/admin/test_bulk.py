"""Bulk operations in the admin: preview, immediate and background execution."""

from __future__ import annotations

import re
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from executions import services as running
from executions.models import (
    BulkItem,
    BulkKind,
    BulkOperation,
    BulkState,
    Execution,
    Job,
    Move,
    Status,
    Step,
)
from executions.services import bulk
from executions.worker import queue
from tests.conftest import Scenario
from tests.executions.commands.interruptions import run_until
from tests.factories import FindingFactory, WorkflowFactory, call, form, save_line, user_in
from tests.workflows.admin.staff import list_messages, page, statements, text
from workflows.models import AuditEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

LIST = reverse("admin:executions_execution_changelist")
NAP = {"id": "nap", "type": "wait", "data": {"interval": "P1D"}}


def choose(client: Client, action: str, *rows: Execution, **more: Any) -> Any:
    sent = {"action": f"{action}_selected", "_selected_action": [row.pk for row in rows], **more}
    return client.post(LIST, sent)


def confirm(client: Client, why: str = "Reorganized") -> BulkOperation:
    """Confirm the newest operation on its page."""
    operation = BulkOperation.objects.order_by("-pk")[0]
    html = text(client.get(page(operation)))
    (address,) = re.findall(r'<form method="post" action="([^"]*begin/)"', html)
    assert client.post(address, {"why": why})["Location"] == page(operation)
    operation.refresh_from_db()
    return operation


def status(execution: Execution) -> str:
    return str(Execution.objects.get(pk=execution.pk).status)


def napping(number: int) -> list[Execution]:
    workflow = WorkflowFactory()
    save_line(workflow, NAP)
    finding = FindingFactory(entity_name_type=workflow.entity_name_type)
    return [running.start(workflow, finding) for _ in range(number)]


class TestPreview:
    def test_preview_shows_outcome_and_refusals(self, operator: Client, scenario: Scenario) -> None:
        live, ended = scenario.start(), scenario.start()
        running.cancel(ended)
        response = choose(operator, "cancel", live, ended)
        html = text(operator.get(response["Location"]))
        assert (
            "<strong>1</strong> of 2 executions can be changed. The executions are cancelled"
            in html
        )
        assert "1 execution is not changed" in html and "The execution has ended." in html
        assert page(ended) in html
        assert status(live) == Status.WAITING, "nothing is done before it is confirmed"

    def test_preview_without_matches_has_no_button(
        self, operator: Client, scenario: Scenario
    ) -> None:
        response = choose(operator, "retry", scenario.start())
        html = text(operator.get(response["Location"]))
        assert "The execution has no incident." in html
        assert "No execution can be changed." in html and "begin/" not in html

    def test_too_many_executions_are_refused(
        self, operator: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bulk, "MAX_EXECUTIONS", 1)
        response = choose(operator, "cancel", scenario.start(), scenario.start())
        assert any("Select at most 1 executions" in message for message in list_messages(response))
        assert not BulkOperation.objects.exists()

    def test_filtered_executions_can_be_selected(
        self, operator: Client, scenario: Scenario
    ) -> None:
        live, ended = [scenario.start() for _ in range(3)], scenario.start()
        running.cancel(ended)
        choose_all = {"action": "cancel_selected", "select_across": "1"}
        operator.post(f"{LIST}?live=yes", {**choose_all, "_selected_action": [live[0].pk]})
        confirm(operator)
        assert {status(row) for row in live} == {Status.CANCELLED}

    @pytest.mark.parametrize("number", [2, 40])
    def test_preview_query_count_is_constant(
        self, operator: Client, scenario: Scenario, number: int
    ) -> None:
        response = choose(operator, "cancel", *(scenario.start() for _ in range(number)))
        assert statements(lambda: operator.get(response["Location"])) <= 15

    @pytest.mark.parametrize("role", ["viewer", "participant", "designer", "operator"])
    def test_bulk_actions_need_operate_permission(self, role: str, scenario: Scenario) -> None:
        execution = scenario.start()
        client = Client()
        client.force_login(user_in(role, is_staff=True))
        may = role == "operator"
        html = text(client.get(LIST))
        assert ("cancel_selected" in html) is may
        assert ('name="_selected_action"' in html) is may
        choose(client, "cancel", execution)
        assert BulkOperation.objects.exists() is may
        assert ("bulkoperation" in text(client.get(reverse("admin:index")))) is may


class TestSmallOperations:
    def test_small_operation_runs_on_confirmation(
        self, operator: Client, scenario: Scenario
    ) -> None:
        rows = [scenario.start() for _ in range(3)]
        choose(operator, "cancel", *rows)
        running.cancel(rows[0])
        operation = confirm(operator)
        assert operation.state == BulkState.DONE
        assert [status(row) for row in rows] == [Status.CANCELLED] * 3
        html = text(operator.get(page(operation)))
        assert "<dt>Done</dt><dd>2</dd>" in html and "<dt>Refused</dt><dd>1</dd>" in html
        assert "can no longer be changed" in html
        entries = AuditEntry.objects.filter(action="cancelled", refused=False, why="Reorganized")
        assert [(entry.who, entry.face) for entry in entries] == [("ada", "admin")] * 2

    def test_operation_is_confirmed_once(self, operator: Client, scenario: Scenario) -> None:
        choose(operator, "cancel", scenario.start())
        operation = confirm(operator)
        begin = reverse("admin:executions_bulkoperation_begin", args=[operation.pk])
        assert any(
            "already confirmed" in message for message in list_messages(operator.post(begin))
        )

    def test_incidents_are_retried(self, operator: Client, scenario: Scenario) -> None:
        caller = WorkflowFactory(entity_name_type=scenario.limitation)
        callee = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(callee, form())
        save_line(caller, call(callee))
        broken = running.start(caller, scenario.finding)
        running.cancel(broken.children.get())
        choose(operator, "retry", broken, scenario.start())
        operation = confirm(operator)
        assert bulk.progress(operation) == bulk.Progress(done=1, refused=1, remaining=0)
        assert not Step.objects.incidents().exists()
        assert broken.children.live().count() == 1

    def test_waits_are_skipped(self, operator: Client) -> None:
        first, second = napping(2)
        choose(operator, "wake", first, second)
        confirm(operator)
        assert status(first) == status(second) == Status.COMPLETED

    def test_child_cancelled_with_parent_counts_as_done(
        self, operator: Client, scenario: Scenario
    ) -> None:
        caller = WorkflowFactory(entity_name_type=scenario.limitation)
        callee = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(callee, form())
        save_line(caller, call(callee))
        root = running.start(caller, scenario.finding)
        choose(operator, "cancel", root, root.children.get())
        assert bulk.progress(confirm(operator)) == bulk.Progress(2, 0, 0)


class TestBackgroundOperations:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bulk, "MAX_IMMEDIATE", 2)
        monkeypatch.setattr(bulk, "BATCH", 2)

    def test_large_operation_runs_in_background(self, operator: Client, scenario: Scenario) -> None:
        rows = [scenario.start() for _ in range(5)]
        choose(operator, "cancel", *rows)
        operation = confirm(operator)
        assert {status(row) for row in rows} == {Status.WAITING}
        response = operator.get(page(operation))
        assert response["Refresh"] == "3" and "0 of 5" in text(response)
        assert not operator.get(page(operation) + "?still=1").has_header("Refresh")
        (claimed,) = queue.claim_bulk_operations()
        assert queue.claim_bulk_operations() == [], "another works at it"
        bulk.serve_batch(claimed, timedelta(minutes=1))
        assert "2 of 5" in text(operator.get(page(operation)))
        call_command("run_due")
        response = operator.get(page(operation))
        assert "5 of 5" in text(response) and not response.has_header("Refresh")
        assert {status(row) for row in rows} == {Status.CANCELLED}

    def test_operation_can_be_stopped(self, operator: Client, scenario: Scenario) -> None:
        rows = [scenario.start() for _ in range(5)]
        choose(operator, "cancel", *rows)
        operation = confirm(operator)
        (claimed,) = queue.claim_bulk_operations()
        bulk.serve_batch(claimed, timedelta(minutes=1))
        stop = reverse("admin:executions_bulkoperation_stop", args=[operation.pk])
        assert f'action="{stop}"' in text(operator.get(page(operation)))
        operator.post(stop)
        call_command("run_due")
        assert bulk.progress(operation) == bulk.Progress(done=2, refused=0, remaining=3)
        assert Execution.objects.live().count() == 3
        assert any("had already ended" in message for message in list_messages(operator.post(stop)))

    def test_worker_without_lease_stops(self, operator: Client, scenario: Scenario) -> None:
        choose(operator, "cancel", *(scenario.start() for _ in range(5)))
        confirm(operator)
        (slow,) = queue.claim_bulk_operations()
        past = timezone.now() - timedelta(seconds=1)
        BulkOperation.objects.update(leased_until=past)
        (quick,) = queue.claim_bulk_operations()
        assert bulk.serve_batch(slow, timedelta(minutes=1)) == 0
        assert bulk.serve_batch(quick, timedelta(minutes=1)) == 2

    def test_due_job_runs_before_bulk_operation(
        self, operator: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = napping(5)
        choose(operator, "cancel", *rows[:4])
        confirm(operator)
        Job.objects.filter(step__execution=rows[4]).update(due_at=timezone.now())
        seen: list[str] = []
        carry_on = bulk.serve_batch

        def watched(*args: Any) -> int:
            seen.append(status(rows[4]))
            return carry_on(*args)

        monkeypatch.setattr(bulk, "serve_batch", watched)
        call_command("run_due")
        assert seen == [Status.COMPLETED] * 2

    def test_fault_in_one_execution_does_not_stop_others(
        self, operator: Client, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [scenario.start() for _ in range(3)]
        cancel = running.cancel

        def faulty(execution: Execution, **how: Any) -> Execution:
            done = cancel(execution, **how)
            if execution.pk == rows[1].pk:
                raise RuntimeError("secret detail")
            return done

        monkeypatch.setattr(bulk, "cancel", faulty)
        choose(operator, "cancel", *rows)
        operation = confirm(operator)
        call_command("run_due")
        assert bulk.progress(operation) == bulk.Progress(done=2, refused=1, remaining=0)
        assert status(rows[1]) == Status.WAITING, "what failed is undone"
        assert "secret detail" not in text(operator.get(page(operation)))

    def test_unconfirmed_operation_expires(self, operator: Client, scenario: Scenario) -> None:
        choose(operator, "cancel", scenario.start())
        call_command("run_due")
        assert BulkOperation.objects.exists()
        BulkOperation.objects.update(asked_at=timezone.now() - timedelta(days=2))
        call_command("run_due")
        assert not BulkOperation.objects.exists() and not BulkItem.objects.exists()

    def test_purge_deletes_completed_operations(self, operator: Client, scenario: Scenario) -> None:
        choose(operator, "cancel", scenario.start())
        operation = confirm(operator)
        Execution._base_manager.update(ended_at=timezone.now() - timedelta(days=400))
        call_command("purge_executions", "--older-than", "365d")
        assert not Execution.objects.exists()
        assert operator.get(page(operation)).status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("nth", [1, 20])
def test_bulk_operation_is_completed_by_another_worker_when_its_worker_is_killed(
    operator: Client, scenario: Scenario, tmp_path: Path, nth: int
) -> None:
    rows = [scenario.start() for _ in range(bulk.MAX_IMMEDIATE + 10)]
    choose(operator, "cancel", *rows)
    operation = confirm(operator)
    code, err = run_until(
        signal.SIGKILL, nth, 'UPDATE "executions_bulkitem"', "work", directory=tmp_path
    )
    assert code == -signal.SIGKILL, err
    assert bulk.progress(operation).done == nth - 1, "the item in work is not committed"
    # The lease expires.
    BulkOperation.objects.update(leased_until=None)
    call_command("run_due")
    assert bulk.progress(operation) == bulk.Progress(done=len(rows), refused=0, remaining=0)
    assert not Execution.objects.live().exists()
    assert AuditEntry.objects.filter(action="cancelled").count() == len(rows)


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_killed_move_of_many_executions_is_completed_and_moves_none_twice(
    operator: Client, scenario: Scenario, tmp_path: Path
) -> None:
    rows = [scenario.start() for _ in range(bulk.MAX_IMMEDIATE + 10)]
    save_line(scenario.caller, form(), form("second"), call(scenario.callee))
    operation = bulk.create_operation(BulkKind.MOVE, Execution.objects.live())
    bulk.confirm(operation, why="Wrong graph", options={"mapping": {}})
    code, err = run_until(
        signal.SIGKILL, 7, 'UPDATE "executions_bulkitem"', "work", directory=tmp_path
    )
    assert code == -signal.SIGKILL, err
    assert Move.objects.count() == 6, "the item in work is not committed"
    BulkOperation.objects.update(leased_until=None)
    call_command("run_due")
    assert bulk.progress(operation) == bulk.Progress(done=len(rows), refused=0, remaining=0)
    assert Move.objects.count() == len(rows)
    assert not Execution.objects.filter(version__number=1, workflow=scenario.caller).exists()
