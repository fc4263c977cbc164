"""Calls with for_each: a child for each item of a list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import services as running
from executions.engine import advance
from executions.engine.nodes import run_workflow
from executions.models import Execution, Job, JobKind, Status, Step, StepState, Visits
from executions.services.postponing import NotPostponable
from executions.worker.jobs import fail_job, finish_job
from tests.factories import FindingFactory, WorkflowFactory, form, line, save_line
from workflows import editing
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

ANSWER = {"name": "answer", "scope": "execution"}
OWNERS = ["ann", "bob", "cid"]


def callee_with(*nodes: dict[str, Any]) -> Workflow:
    callee = WorkflowFactory()
    save_line(callee, *(nodes or (form("ask", ANSWER),)))
    return callee


def calling(callee: Workflow, **loop: Any) -> Workflow:
    """Return a workflow with a call for each of ``owners``, then a form."""
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    each = {"items": {"variable": "owners"}, "as": "owner", "collect": "answers", **loop}
    data = {"workflow": callee.cuid, "label": "Ask", "output": {"said": "answer"}}
    call = {"id": "call", "type": "run_workflow", "data": {**data, "for_each": each}}
    save_line(caller, call, form("last"))
    return caller


def started(caller: Workflow, owners: Any = OWNERS) -> Execution:
    finding = FindingFactory(entity_name_type=caller.entity_name_type)
    return running.start(caller, finding, variables={"owners": owners})


def children(execution: Execution, *statuses: str) -> dict[int, Execution]:
    """Return the latest child of each item."""
    rows = execution.children.order_by("pk")
    rows = rows.filter(status__in=statuses) if statuses else rows
    return {row.item: row for row in rows if row.item is not None}


def answer(execution: Execution, item: int, text: str = "") -> None:
    child = children(execution, Status.WAITING)[item]
    running.submit(child, node="ask", data={"answer": text or child.variables["owner"].upper()})


def open_nodes(execution: Execution) -> list[tuple[str, str]]:
    return [(step.label, step.state) for step in Step.objects.open().filter(execution=execution)]


def state(execution: Execution) -> tuple[str, Any]:
    execution.refresh_from_db()
    return str(execution.status), execution.variables.get("answers")


def test_call_starts_a_child_for_each_item_and_collects_in_their_order() -> None:
    execution = started(calling(callee_with()))
    found = children(execution)
    assert {item: row.variables for item, row in found.items()} == {
        item: {"owner": owner} for item, owner in enumerate(OWNERS)
    }
    assert [label for label, _ in open_nodes(execution)] == [
        *("Ask", "Ask (1/3)", "Ask (2/3)", "Ask (3/3)")
    ]
    for item in (2, 0, 1):
        assert state(execution)[1] is None
        answer(execution, item)
    assert state(execution)[1] == [{"said": "ANN"}, {"said": "BOB"}, {"said": "CID"}]
    assert open_nodes(execution) == [("last", StepState.OPEN)]
    call = Step.objects.get(execution=execution, label="Ask")
    assert call.output == {"items": 3, "completed": 3}
    assert call.input == {"items": 3, "started": 3, "completed": 3}


def test_limit_restricts_the_live_children() -> None:
    execution = started(calling(callee_with(), limit=2))
    assert set(children(execution)) == {0, 1}
    answer(execution, 1)
    assert set(children(execution, Status.WAITING)) == {0, 2}
    answer(execution, 0)
    answer(execution, 2)
    assert state(execution)[1] == [{"said": "ANN"}, {"said": "BOB"}, {"said": "CID"}]


def test_call_continues_when_enough_children_have_completed() -> None:
    execution = started(calling(callee_with(), needed=2))
    answer(execution, 2)
    answer(execution, 0)
    assert state(execution)[1] == [{"said": "ANN"}, None, {"said": "CID"}]
    assert children(execution)[1].status == Status.CANCELLED
    cancelled = Step.objects.get(execution=execution, label="Ask (2/3)")
    assert cancelled.state == StepState.CANCELLED
    assert open_nodes(execution) == [("last", StepState.OPEN)]


def test_children_that_never_wait_are_passed_in_one_advance() -> None:
    copy = {"id": "copy", "type": "set_field"}
    copy["data"] = {"values": {"$answer": {"variable": "owner"}}}  # type: ignore[assignment]
    execution = started(calling(callee_with(copy), limit=1))
    assert state(execution)[1] == [{"said": owner} for owner in OWNERS]
    steps = [(step.label, step.state, step.child_cuid) for step in Visits(execution)]
    cuids = [children(execution)[item].cuid for item in range(3)]
    assert steps[1:] == [
        ("Ask", StepState.DONE, None),
        *((f"Ask ({item + 1}/3)", StepState.DONE, cuids[item]) for item in range(3)),
        ("last", StepState.OPEN, None),
    ]


def test_items_that_end_at_once_later_keep_their_times() -> None:
    either = {
        "id": "if",
        "type": "condition",
        "data": {
            "branches": [{"handle": "ask", "rule": {"field": "$owner", "op": "eq", "value": "ann"}}]
        },
    }
    callee = WorkflowFactory()
    source = line(either, form("ask", ANSWER))
    source["edges"][1]["sourceHandle"] = "ask"
    source["edges"].append({"source": "if", "target": "end", "sourceHandle": "default"})
    editing.save_graph(callee, source, based_on=1)
    execution = started(calling(callee, limit=1), ["ann", "bob", "ann"])
    answer(execution, 0)
    assert set(children(execution, Status.WAITING)) == {2}
    call = Step.objects.get(execution=execution, label="Ask")
    assert call.passed is not None and "opened_at" in call.passed[0]
    answer(execution, 2)
    assert state(execution)[1] == [{"said": "ANN"}, {}, {"said": "ANN"}]
    labels = [step.label for step in Visits(execution)]
    assert sorted(labels) == sorted(["start", "Ask", "Ask (1/3)", "Ask (2/3)", "Ask (3/3)", "last"])


@pytest.mark.parametrize("owners", [None, [], ""])
def test_call_without_items_continues_at_once(owners: Any) -> None:
    execution = started(calling(callee_with()), owners)
    assert open_nodes(execution) == [("last", StepState.OPEN)]
    assert state(execution)[1] is None


@pytest.mark.parametrize(
    ("owners", "code", "text"),
    [
        ("ann", "no_list", "The items must be a list, not 'ann'."),
        ({"a": 1}, "no_list", "The items must be a list, not an object."),
        (["x"] * 4, "too_many_items", "There are 4 items. A call takes at most 3."),
    ],
)
def test_wrong_items_are_an_incident(monkeypatch: Any, owners: Any, code: str, text: str) -> None:
    monkeypatch.setattr(run_workflow, "MAX_ITEMS", 3)
    execution = started(calling(callee_with()), owners)
    step = Step.objects.open().get(execution=execution)
    assert step.incident is not None
    assert (step.incident["code"], step.incident["detail"]) == (code, text)
    running.retry(execution, node="call")
    running.skip(execution, node="call", why="no items")
    assert open_nodes(execution) == [("last", StepState.OPEN)]


# Failures and decisions


def test_child_that_fails_is_an_incident_of_its_item() -> None:
    execution = started(calling(callee_with(), limit=2))
    running.cancel(children(execution)[1])
    assert open_nodes(execution) == [
        ("Ask", StepState.OPEN),
        ("Ask (1/3)", StepState.OPEN),
        ("Ask (2/3)", StepState.INCIDENT),
        ("Ask (3/3)", StepState.OPEN),
    ]
    step = Step.objects.incidents().get(execution=execution)
    running.retry(execution, step=step.cuid)
    again = children(execution)[1]
    assert (again.status, again.variables) == (Status.WAITING, {"owner": "bob"})
    for item in range(3):
        answer(execution, item)
    assert state(execution)[1] == [{"said": "ANN"}, {"said": "BOB"}, {"said": "CID"}]


def test_skipped_item_has_no_result() -> None:
    execution = started(calling(callee_with()))
    answer(execution, 0)
    for item in (1, 2):
        step = Step.objects.open().get(execution=execution, child=children(execution)[item])
        running.skip(execution, step=step.cuid, why="not needed")
        assert children(execution)[item].status == Status.CANCELLED
    assert state(execution)[1] == [{"said": "ANN"}, None, None]
    assert open_nodes(execution) == [("last", StepState.OPEN)]


def test_skipping_the_call_cancels_its_children() -> None:
    execution = started(calling(callee_with(), limit=2))
    call = Step.objects.open().get(execution=execution, label="Ask")
    running.skip(execution, step=call.cuid, why="no time")
    assert {row.status for row in children(execution).values()} == {Status.CANCELLED}
    assert open_nodes(execution) == [("last", StepState.OPEN)]
    assert state(execution)[1] is None


def test_cancelling_the_caller_cancels_its_children() -> None:
    execution = started(calling(callee_with()))
    running.cancel(execution)
    assert {row.status for row in children(execution).values()} == {Status.CANCELLED}
    new = running.restart(execution)
    assert set(children(new, Status.WAITING)) == {0, 1, 2}


def calling_with_exits(**loop: Any) -> Workflow:
    """Return a workflow whose call has a deadline, and edges by ``failed`` and ``timeout``."""
    callee = callee_with()
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    each = {"items": {"variable": "owners"}, "as": "owner", **loop}
    data = {"workflow": callee.cuid, "label": "Ask", "for_each": each, "deadline": "P3D"}
    source = line({"id": "call", "type": "run_workflow", "data": data}, form("last"))
    source["nodes"] += [form("rescue"), form("late")]
    source["edges"] += [
        {"source": "call", "target": "rescue", "sourceHandle": "failed"},
        {"source": "call", "target": "late", "sourceHandle": "timeout"},
        {"source": "rescue", "target": "end"},
        {"source": "late", "target": "end"},
    ]
    editing.save_graph(caller, source, based_on=1)
    return caller


def test_call_leaves_by_failed_when_a_child_fails() -> None:
    execution = started(calling_with_exits())
    failing = children(execution)[1]
    running.cancel(failing)
    assert open_nodes(execution) == [("rescue", StepState.OPEN)]
    assert {row.status for row in children(execution).values()} == {Status.CANCELLED}
    execution.refresh_from_db()
    cause = execution.variables["error"]
    assert (cause["code"], cause["execution"]) == ("child_cancelled", failing.cuid)
    assert Step.objects.get(execution=execution, label="Ask").handle == "failed"


def test_call_leaves_by_failed_when_too_few_children_can_still_complete() -> None:
    execution = started(calling_with_exits(needed=2, limit=2))
    running.cancel(children(execution)[0])
    answer(execution, 1)
    assert ("Ask (1/3)", StepState.INCIDENT) in open_nodes(execution)
    running.cancel(children(execution)[2])
    assert open_nodes(execution) == [("rescue", StepState.OPEN)]


@pytest.mark.parametrize(("handle", "node"), [("failed", "rescue"), ("timeout", "late")])
def test_skipping_an_item_by_a_named_exit_leaves_the_call_by_it(handle: str, node: str) -> None:
    execution = started(calling_with_exits())
    step = Step.objects.open().get(execution=execution, child=children(execution)[1])
    running.skip(execution, step=step.cuid, handle=handle, why="no answer")
    assert open_nodes(execution) == [(node, StepState.OPEN)]
    assert {row.status for row in children(execution).values()} == {Status.CANCELLED}


def test_deadline_that_passes_cancels_the_items() -> None:
    execution = started(calling_with_exits())
    job = Job.objects.get(step__execution=execution)
    assert finish_job(job, {})
    assert open_nodes(execution) == [("late", StepState.OPEN)]
    assert {row.status for row in children(execution).values()} == {Status.CANCELLED}


def test_deadline_is_postponed_at_the_call_and_not_at_an_item() -> None:
    execution = started(calling_with_exits())
    until = timezone.now() + timedelta(days=9)
    call = Step.objects.open().get(execution=execution, label="Ask")
    item = Step.objects.open().get(execution=execution, child=children(execution)[1])
    with pytest.raises(NotPostponable):
        running.postpone(execution, step=item.cuid, until=until, why="later")
    running.postpone(execution, step=call.cuid, until=until, why="later")
    assert Job.objects.get().due_at == until


def test_retry_of_a_call_starts_its_deadline_again() -> None:
    execution = started(calling_with_exits())
    fail_job(Job.objects.get(step__execution=execution), "broken", "It failed.")
    call = Step.objects.incidents().get(execution=execution)
    running.retry(execution, step=call.cuid)
    call.refresh_from_db()
    assert call.due_at is not None
    assert Job.objects.get(step=call).kind == JobKind.DEADLINE
    assert set(children(execution, Status.WAITING)) == {0, 1, 2}


def test_results_that_are_too_large_are_an_incident_of_the_item(monkeypatch: Any) -> None:
    execution = started(calling(callee_with()))
    monkeypatch.setattr("executions.engine.for_each.MAX_VARIABLES", 60)
    answer(execution, 0, "x" * 60)
    step = Step.objects.incidents().get(execution=execution)
    assert step.incident is not None
    assert (step.label, step.incident["code"]) == ("Ask (1/3)", "invalid_value")
    running.retry(execution, step=step.cuid)
    for item in range(3):
        answer(execution, item)
    assert state(execution)[1][0] == {"said": "ANN"}


def test_collected_list_that_is_too_large_is_an_incident_of_the_call(monkeypatch: Any) -> None:
    execution = started(calling(callee_with()))
    answer(execution, 0)
    answer(execution, 1)
    monkeypatch.setattr("executions.engine.tree.MAX_VARIABLES", 60)
    answer(execution, 2)
    step = Step.objects.open().get(execution=execution)
    assert (step.label, step.state) == ("Ask", StepState.INCIDENT)
    monkeypatch.undo()
    running.retry(execution, node="call")
    assert state(execution)[1] == [{"said": "ANN"}, {"said": "BOB"}, {"said": "CID"}]


def test_calls_at_one_node_at_once_keep_their_items_apart() -> None:
    callee = callee_with()
    caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
    each = {"items": {"variable": "owners"}, "as": "owner"}
    data = {"workflow": callee.cuid, "label": "Ask", "for_each": each}
    source = line({"id": "call", "type": "run_workflow", "data": data}, form("last"))
    source["nodes"].append({"id": "fork", "type": "parallel"})
    source["edges"][0]["target"] = "fork"
    source["edges"] += [{"source": "fork", "target": "call"}] * 2
    source["edges"][-1] = {**source["edges"][-1], "id": "second"}
    editing.save_graph(caller, source, based_on=1)
    execution = started(caller, ["ann"])
    first, second = execution.children.order_by("pk")
    running.submit(first, node="ask", data={"answer": "a"})
    assert [label for label, _ in open_nodes(execution)] == ["Ask", "Ask (1/1)", "last"]
    running.submit(second, node="ask", data={"answer": "b"})
    assert [label for label, _ in open_nodes(execution)] == ["last", "last"]


def test_advance_over_the_step_budget_is_undone_with_its_items(monkeypatch: Any) -> None:
    stage = {"id": "stage", "type": "set_state", "data": {"state": "s"}}
    copy = {**stage, "id": "more"}
    execution = started(calling(callee_with(stage, copy, form("ask", ANSWER)), limit=1))
    monkeypatch.setattr(advance, "STEP_BUDGET", 3)
    running.cancel(children(execution)[0])
    found = dict(open_nodes(execution))
    assert found["Ask (1/3)"] == StepState.INCIDENT
    assert set(children(execution)) == {0}
    monkeypatch.undo()
    for step in Step.objects.incidents().filter(execution=execution).order_by("pk"):
        running.retry(execution, step=step.cuid)
    for item in range(3):
        answer(execution, item)
    assert state(execution)[1] == [{"said": "ANN"}, {"said": "BOB"}, {"said": "CID"}]
