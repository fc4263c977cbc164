"""Executions from start to end, through the services."""

from __future__ import annotations

from typing import Any

import pytest

from executions import guards, services
from executions.engine import advance
from executions.engine.forms import FormInvalid
from executions.models import Entity, Execution, Status, Step, StepState, Visits
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    UserFactory,
    WorkflowFactory,
    call,
    form,
    line,
    save_line,
)
from workflows import editing
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


def fields_of(execution: Execution) -> dict[str, Any]:
    return dict(Entity.objects.get(pk=execution.entity_id).fields)


def history(execution: Execution) -> list[tuple[str, str]]:
    return [(step.node_id, step.state) for step in Visits(execution)]


def started(workflow: Workflow, **fields: Any) -> Execution:
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, fields=fields)
    return services.start(workflow, finding)


def branching(workflow: Workflow) -> None:
    """Return a source: high severity fails, medium loops over a form, others end."""
    source = {
        "nodes": [
            {"id": "start", "type": "start"},
            {
                "id": "which",
                "type": "condition",
                "data": {
                    "branches": [
                        {
                            "handle": "high",
                            "rule": {"field": "severity", "op": "gte", "value": 3},
                        },
                        {
                            "handle": "medium",
                            "rule": {"field": "severity", "op": "eq", "value": 2},
                        },
                    ]
                },
            },
            form("ask", {"name": "severity", "type": "number", "required": True}),
            {"id": "bad", "type": "fail", "data": {"message": "Too severe."}},
            {"id": "end", "type": "end"},
        ],
        "edges": [
            {"source": "start", "target": "which"},
            {"source": "which", "target": "bad", "sourceHandle": "high"},
            {"source": "which", "target": "ask", "sourceHandle": "medium"},
            {"source": "which", "target": "end", "sourceHandle": "default"},
            {"source": "ask", "target": "which"},
        ],
    }
    editing.save_graph(workflow, source, based_on=workflow.latest_version.number)


def test_start_completes_at_once_when_no_node_waits() -> None:
    workflow = WorkflowFactory()
    save_line(
        workflow, {"id": "set", "type": "set_field", "data": {"values": {"a": 1}, "clear": ["b"]}}
    )
    execution = started(workflow, b=2, c=3)
    assert execution.status == Status.COMPLETED
    assert not Execution.objects.live().exists()
    assert history(execution) == [("start", "done"), ("set", "done"), ("end", "done")]
    assert fields_of(execution) == {"a": 1, "c": 3}
    assert execution.ended_at is not None


@pytest.mark.parametrize(
    ("severity", "status"), [(5, Status.FAILED), (2, Status.WAITING), (1, Status.COMPLETED)]
)
def test_condition_takes_the_first_branch_that_holds(severity: int, status: Status) -> None:
    workflow = WorkflowFactory()
    branching(workflow)
    execution = started(workflow, severity=severity)
    assert execution.status == status
    assert execution.message == ("Too severe." if status == Status.FAILED else "")


def test_condition_takes_the_default_when_the_field_is_missing() -> None:
    workflow = WorkflowFactory()
    branching(workflow)
    assert started(workflow).status == Status.COMPLETED


def test_loop_through_a_form_visits_its_nodes_again() -> None:
    workflow = WorkflowFactory()
    branching(workflow)
    execution = started(workflow, severity=2)
    services.submit(execution, node="ask", data={"severity": 2})
    services.submit(execution, node="ask", data={"severity": 1})
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED
    assert [node for node, _ in history(execution)].count("ask") == 2


def test_loop_that_never_waits_opens_incident(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advance, "STEP_BUDGET", 50)
    workflow = WorkflowFactory()
    holds = {"field": "go", "op": "missing"}
    source = {
        "nodes": [
            {"id": "start", "type": "start"},
            {
                "id": "again",
                "type": "condition",
                "data": {"branches": [{"handle": "yes", "rule": holds}]},
            },
            {"id": "end", "type": "end"},
        ],
        "edges": [
            {"source": "start", "target": "again"},
            {"source": "again", "target": "again", "sourceHandle": "yes"},
            {"source": "again", "target": "end", "sourceHandle": "default"},
        ],
    }
    editing.save_graph(workflow, source, based_on=1)
    execution = started(workflow)
    assert execution.status == Status.WAITING
    [step] = execution.steps.open()
    assert step.state == StepState.INCIDENT
    assert step.incident["code"] == "step_budget"
    services.cancel(execution)
    execution.refresh_from_db()
    assert execution.status == Status.CANCELLED


class TestSubmit:
    @pytest.fixture
    def execution(self) -> Execution:
        workflow = WorkflowFactory()
        save_line(
            workflow,
            form(
                "form",
                {"name": "note", "type": "text", "required": True},
                {"name": "score", "type": "number"},
                {"name": "kind", "type": "choice", "choices": ["a", "b"]},
            ),
        )
        return started(workflow, kept=1)

    def test_submit_writes_entity_fields_and_history(self, execution: Execution) -> None:
        user = UserFactory()
        services.submit(
            execution, node="form", data={"note": "n", "score": 2, "kind": "a"}, by=user
        )
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED
        assert fields_of(execution) == {"kept": 1, "note": "n", "score": 2, "kind": "a"}
        step = execution.steps.get(node_id="form")
        assert step.output == {"note": "n", "score": 2, "kind": "a"}
        assert (step.state, step.closed_by) == (StepState.DONE, user)
        passed = [step for step in Visits(execution) if step.node_id != "form"]
        assert {step.closed_by for step in passed} == {None}, "they waited for nobody"

    @pytest.mark.parametrize(
        ("data", "pointers"),
        [
            ({}, ["/data/note"]),
            ({"note": ""}, ["/data/note"]),
            ({"note": "n", "score": "many"}, ["/data/score"]),
            ({"note": "n", "kind": "c"}, ["/data/kind"]),
            ({"note": "n", "colour": "red"}, ["/data/colour"]),
            ({"score": [], "kind": 4}, ["/data/note", "/data/score", "/data/kind"]),
            (["note"], ["/data"]),
        ],
    )
    def test_invalid_form_is_refused_and_writes_nothing(
        self, execution: Execution, data: object, pointers: list[str]
    ) -> None:
        with pytest.raises(FormInvalid) as refused:
            services.submit(execution, node="form", data=data)
        assert sorted(problem.pointer for problem in refused.value.problems) == sorted(pointers)
        execution.refresh_from_db()
        assert execution.status == Status.WAITING
        assert fields_of(execution) == {"kept": 1}

    def test_submit_is_refused_when_the_node_is_not_open(self, execution: Execution) -> None:
        with pytest.raises(guards.NotOpen, match=r"“end” is not open.*“form”"):
            services.submit(execution, node="end", data={})

    def test_submit_is_refused_when_the_execution_has_ended(self, execution: Execution) -> None:
        services.submit(execution, node="form", data={"note": "n"})
        with pytest.raises(guards.ExecutionEnded, match="is completed"):
            services.submit(execution, node="form", data={"note": "n"})

    def test_submit_finds_a_step_by_its_cuid(self, execution: Execution) -> None:
        step = execution.steps.open().get()
        services.submit(execution, step=step.cuid, data={"note": "n"})
        step.refresh_from_db()
        assert step.state == StepState.DONE

    def test_only_assignees_may_submit_an_assigned_step(self) -> None:
        workflow = WorkflowFactory()
        mine, other = UserFactory(username="mine"), UserFactory()
        save_line(workflow, form(assignees={"users": ["mine"]}))
        execution = started(workflow)
        with pytest.raises(guards.NotAssigned):
            services.submit(execution, node="form", data={"note": "n"}, by=other)
        services.submit(execution, node="form", data={"note": "n"}, by=mine)
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED


class TestCalls:
    def test_parent_continues_when_the_child_completes(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner", {"name": "inner", "type": "text"}))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        execution.refresh_from_db()
        assert execution.status == Status.WAITING
        [child] = execution.children.all()
        assert (child.status, child.entity_id, child.root_id) == (
            Status.WAITING,
            execution.entity_id,
            execution.pk,
        )
        services.submit(child, node="inner", data={"inner": "i"})
        for row in (execution, child):
            row.refresh_from_db()
            assert row.status == Status.COMPLETED
        assert fields_of(execution) == {"note": "n", "inner": "i"}
        assert not Step.objects.open().exists()

    def test_calls_complete_in_one_start_when_no_node_waits(self) -> None:
        kind = WorkflowFactory().entity_name_type
        below = WorkflowFactory(entity_name_type=kind)
        for _ in range(20):
            above = WorkflowFactory(entity_name_type=kind)
            save_line(above, call(below))
            below = above
        execution = started(below)
        assert execution.status == Status.COMPLETED
        assert Execution.objects.filter(status=Status.COMPLETED).count() == 21

    def test_failed_child_opens_incident_at_the_calling_step(self, scenario: Scenario) -> None:
        editing.save_graph(
            scenario.callee,
            line(last={"id": "bad", "type": "fail", "data": {"message": "No."}}),
            based_on=1,
        )
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        execution.refresh_from_db()
        assert execution.status == Status.WAITING
        step = execution.steps.open().get()
        assert step.state == StepState.INCIDENT
        assert step.incident["code"] == "child_failed"
        assert "No." in step.incident["detail"]
        assert step.child.status == Status.FAILED

    def test_cancel_cancels_the_children(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        services.cancel(execution, why="Not needed.")
        execution.refresh_from_db()
        assert (execution.status, execution.message) == (Status.CANCELLED, "Not needed.")
        assert execution.children.get().status == Status.CANCELLED
        assert not Step.objects.open().exists()
        with pytest.raises(guards.ExecutionEnded):
            services.cancel(execution)

    def test_cancelled_child_opens_incident_at_the_calling_step(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        services.cancel(execution.children.get())
        execution.refresh_from_db()
        assert execution.status == Status.WAITING
        assert execution.steps.open().get().incident["code"] == "child_cancelled"


class TestPins:
    def test_child_runs_the_pinned_graph_when_the_callee_was_changed(
        self, scenario: Scenario
    ) -> None:
        old = {"id": "old", "type": "set_field", "data": {"values": {"which": "old"}}}
        new = {"id": "new", "type": "set_field", "data": {"values": {"which": "new"}}}
        save_line(scenario.callee, old)
        execution = scenario.start()
        saved = save_line(scenario.callee, new)
        assert saved.number == 2
        services.submit(execution, node="form", data={"note": "n"})
        assert fields_of(execution)["which"] == "old"
        assert execution.children.get().version.number == 1
        later = scenario.start()
        services.submit(later, node="form", data={"note": "n"})
        assert fields_of(later)["which"] == "new"

    def test_start_pins_the_whole_closure(self, scenario: Scenario) -> None:
        leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
        save_line(scenario.callee, call(leaf))
        execution = scenario.start()
        pinned = execution.pins.values_list("callee__title", "version__number")
        assert sorted(pinned) == [("Leaf", 1), ("Workflow 3", 1)]

    def test_descendants_have_the_pins_of_their_root(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        child = execution.children.get()
        assert child.closure is None
        assert list(child.pins) == list(execution.pins)

    def test_workflow_manager_validates_against_the_frozen_context(
        self, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        manager = execution.get_workflow_manager()
        assert manager.workflow == scenario.caller
        assert manager.version.validate_source().callee_cuids() == [scenario.callee.cuid]
        assert manager.context.key == execution.context_key


class TestStart:
    @pytest.mark.parametrize("state", ["draft", "retired"])
    def test_start_is_refused_when_the_workflow_is_not_active(self, state: str) -> None:
        workflow = WorkflowFactory(state=state)
        with pytest.raises(guards.NotStartable, match="only active workflows"):
            started(workflow)
        editing.set_state(workflow, "active")
        assert started(workflow).status == Status.COMPLETED

    def test_start_is_refused_when_a_callee_is_a_draft(self, scenario: Scenario) -> None:
        editing.set_state(scenario.callee, "draft")
        with pytest.raises(guards.NotStartable, match="“Workflow 3” is a draft") as refused:
            scenario.start()
        assert [row.cuid for row in refused.value.blockers.workflows] == [scenario.callee.cuid]
        assert not Execution.objects.exists()

    def test_start_is_refused_when_the_entity_has_another_type(self, scenario: Scenario) -> None:
        finding = FindingFactory(entity_name_type=scenario.exception)
        with pytest.raises(guards.EntityTypeMismatch, match="Policy Exception"):
            services.start(scenario.caller, finding)


def test_final_status_and_frozen_fields_cannot_be_changed(
    scenario: Scenario,
) -> None:
    execution = scenario.start()
    other = WorkflowFactory(entity_name_type=scenario.limitation)
    execution.version = other.latest_version
    with pytest.raises(guards.ExecutionFrozen, match="version"):
        execution.save()
    execution.refresh_from_db()
    with pytest.raises(guards.ExecutionLive):
        execution.delete()
    services.cancel(execution)
    execution.refresh_from_db()
    execution.status = Status.ACTIVE
    with pytest.raises(guards.ExecutionEnded):
        execution.save()
