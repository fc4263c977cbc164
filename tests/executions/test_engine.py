"""Executions from start to end, through the services."""

from __future__ import annotations

from typing import Any

import pytest

from executions import guards, services
from executions.engine import advance
from executions.engine.forms import FormInvalid
from executions.models import Entity, Execution, Status, Step, StepState
from tests.conftest import Scenario
from tests.factories import (
    FindingFactory,
    UserFactory,
    WorkflowFactory,
    call,
    drawn,
    form,
    line,
)
from workflows import editing as drawing
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("laws")]


def fields_of(execution: Execution) -> dict[str, Any]:
    return dict(Entity.objects.get(pk=execution.entity_id).fields)


def history(execution: Execution) -> list[tuple[str, str]]:
    return list(execution.steps.values_list("node_id", "state"))


def started(workflow: Workflow, **fields: Any) -> Execution:
    finding = FindingFactory(entity_name_type=workflow.entity_name_type, fields=fields)
    return services.start(workflow, finding)


def branching(workflow: Workflow) -> None:
    """high severity → fail, medium → a form and back to the condition, else → end."""
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
    drawing.save_graph(workflow, source, based_on=workflow.latest_version.number)


def test_a_workflow_without_waits_runs_to_its_end_at_once() -> None:
    workflow = WorkflowFactory()
    drawn(
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
def test_a_condition_leaves_by_the_first_branch_that_holds(severity: int, status: Status) -> None:
    workflow = WorkflowFactory()
    branching(workflow)
    execution = started(workflow, severity=severity)
    assert execution.status == status
    assert execution.message == ("Too severe." if status == Status.FAILED else "")


def test_a_missing_field_takes_the_default_branch() -> None:
    workflow = WorkflowFactory()
    branching(workflow)
    assert started(workflow).status == Status.COMPLETED


def test_a_loop_through_a_form_visits_the_same_nodes_again() -> None:
    workflow = WorkflowFactory()
    branching(workflow)
    execution = started(workflow, severity=2)
    services.submit(execution, node="ask", data={"severity": 2})
    services.submit(execution, node="ask", data={"severity": 1})
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED
    assert [node for node, _ in history(execution)].count("ask") == 2


def test_a_loop_that_never_waits_becomes_an_incident(monkeypatch: pytest.MonkeyPatch) -> None:
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
    drawing.save_graph(workflow, source, based_on=1)
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
        drawn(
            workflow,
            form(
                "form",
                {"name": "note", "type": "text", "required": True},
                {"name": "score", "type": "number"},
                {"name": "kind", "type": "choice", "choices": ["a", "b"]},
            ),
        )
        return started(workflow, kept=1)

    def test_what_is_submitted_is_written_to_the_entity_and_the_history(
        self, execution: Execution
    ) -> None:
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
        passed = execution.steps.exclude(node_id="form")
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
    def test_a_form_that_does_not_fit_is_refused_and_nothing_is_written(
        self, execution: Execution, data: object, pointers: list[str]
    ) -> None:
        with pytest.raises(FormInvalid) as refused:
            services.submit(execution, node="form", data=data)
        assert sorted(problem.pointer for problem in refused.value.problems) == sorted(pointers)
        execution.refresh_from_db()
        assert execution.status == Status.WAITING
        assert fields_of(execution) == {"kept": 1}

    def test_a_node_that_is_not_open_is_refused_and_named(self, execution: Execution) -> None:
        with pytest.raises(guards.NotOpen, match=r"“end” is not open.*“form”"):
            services.submit(execution, node="end", data={})

    def test_an_ended_execution_is_refused(self, execution: Execution) -> None:
        services.submit(execution, node="form", data={"note": "n"})
        with pytest.raises(guards.Ended, match="is completed"):
            services.submit(execution, node="form", data={"note": "n"})

    def test_a_step_is_found_by_its_cuid_too(self, execution: Execution) -> None:
        step = execution.steps.open().get()
        services.submit(execution, step=step.cuid, data={"note": "n"})
        step.refresh_from_db()
        assert step.state == StepState.DONE

    def test_a_step_that_is_assigned_is_submitted_by_its_assignees_only(self) -> None:
        workflow = WorkflowFactory()
        mine, other = UserFactory(username="mine"), UserFactory()
        drawn(workflow, form(assignees={"users": ["mine"]}))
        execution = started(workflow)
        with pytest.raises(guards.NotAssigned):
            services.submit(execution, node="form", data={"note": "n"}, by=other)
        services.submit(execution, node="form", data={"note": "n"}, by=mine)
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED


class TestCalls:
    def test_a_child_runs_on_the_same_entity_and_its_end_resumes_the_parent(
        self, scenario: Scenario
    ) -> None:
        drawn(scenario.callee, form("inner", {"name": "inner", "type": "text"}))
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

    def test_calls_that_do_not_wait_run_to_the_end_in_one_start(self) -> None:
        kind = WorkflowFactory().entity_name_type
        below = WorkflowFactory(entity_name_type=kind)
        for _ in range(20):
            above = WorkflowFactory(entity_name_type=kind)
            drawn(above, call(below))
            below = above
        execution = started(below)
        assert execution.status == Status.COMPLETED
        assert Execution.objects.filter(status=Status.COMPLETED).count() == 21

    def test_a_child_that_fails_is_an_incident_of_the_step_that_called_it(
        self, scenario: Scenario
    ) -> None:
        drawing.save_graph(
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

    def test_cancel_takes_the_children_along(self, scenario: Scenario) -> None:
        drawn(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        services.cancel(execution, why="Not needed.")
        execution.refresh_from_db()
        assert (execution.status, execution.message) == (Status.CANCELLED, "Not needed.")
        assert execution.children.get().status == Status.CANCELLED
        assert not Step.objects.open().exists()
        assert not execution.pins.live().exists()
        with pytest.raises(guards.Ended):
            services.cancel(execution)

    def test_cancelling_a_child_is_an_incident_of_the_step_that_called_it(
        self, scenario: Scenario
    ) -> None:
        drawn(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        services.cancel(execution.children.get())
        execution.refresh_from_db()
        assert execution.status == Status.WAITING
        assert execution.steps.open().get().incident["code"] == "child_cancelled"


class TestPins:
    def test_a_callees_graph_changed_while_the_root_waits_does_not_reach_it(
        self, scenario: Scenario
    ) -> None:
        old = {"id": "old", "type": "set_field", "data": {"values": {"which": "old"}}}
        new = {"id": "new", "type": "set_field", "data": {"values": {"which": "new"}}}
        drawn(scenario.callee, old)
        execution = scenario.start()
        saved = drawn(scenario.callee, new)
        assert saved.number == 2
        services.submit(execution, node="form", data={"note": "n"})
        assert fields_of(execution)["which"] == "old"
        assert execution.children.get().version.number == 1
        later = scenario.start()
        services.submit(later, node="form", data={"note": "n"})
        assert fields_of(later)["which"] == "new"

    def test_the_whole_closure_is_pinned_at_the_start(self, scenario: Scenario) -> None:
        leaf = WorkflowFactory(title="Leaf", entity_name_type=scenario.limitation)
        drawn(scenario.callee, call(leaf))
        execution = scenario.start()
        pinned = execution.pins.values_list("callee__title", "version__number", "live")
        assert sorted(pinned) == [("Leaf", 1, True), ("Workflow 3", 1, True)]

    def test_pins_let_go_when_the_root_ends(self, scenario: Scenario) -> None:
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        assert list(execution.pins.values_list("live", "held_key")) == [(False, None)]

    def test_the_workflow_manager_judges_by_what_is_frozen(self, scenario: Scenario) -> None:
        execution = scenario.start()
        manager = execution.get_workflow_manager()
        assert manager.workflow == scenario.caller
        assert manager.version.validate_source().callee_cuids() == [scenario.callee.cuid]
        assert manager.context.key == execution.context_key


class TestStart:
    @pytest.mark.parametrize("state", ["draft", "retired"])
    def test_only_active_workflows_start(self, state: str) -> None:
        workflow = WorkflowFactory(state=state)
        with pytest.raises(guards.NotStartable, match="only active workflows"):
            started(workflow)
        drawing.set_state(workflow, "active")
        assert started(workflow).status == Status.COMPLETED

    def test_a_draft_callee_stops_the_start_and_is_named(self, scenario: Scenario) -> None:
        drawing.set_state(scenario.callee, "draft")
        with pytest.raises(guards.NotStartable, match="“Workflow 3” is a draft") as refused:
            scenario.start()
        assert [row.cuid for row in refused.value.blockers.workflows] == [scenario.callee.cuid]
        assert not Execution.objects.exists()

    def test_an_entity_of_another_type_is_refused(self, scenario: Scenario) -> None:
        finding = FindingFactory(entity_name_type=scenario.exception)
        with pytest.raises(guards.EntityTypeMismatch, match="Policy Exception"):
            services.start(scenario.caller, finding)


def test_a_terminal_status_is_final_and_what_it_started_with_is_written_once(
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
    with pytest.raises(guards.Ended):
        execution.save()
