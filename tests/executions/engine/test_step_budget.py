"""The step budget: an advance over it is undone, and opens an incident at its first step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import services
from executions.models import LIVE, Entity, Execution, Job, Status, Step
from executions.worker import queue
from tests.executions.engine.test_branches import open_nodes, source, started
from tests.factories import FindingFactory, UserFactory, WorkflowFactory, call, voter
from workflows import editing

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]

Nodes = dict[str, str | dict[str, Any]]
# Loops and writes while the field ``again`` is set.
LOOP: Nodes = {
    "start": "start",
    "mark": {"type": "set_field", "data": {"values": {"marked": True}}},
    "stage": {"type": "set_state", "data": {"state": "In the loop", "progress": 50}},
    "ask": {
        "type": "condition",
        "data": {
            "branches": [{"handle": "yes", "rule": {"field": "again", "op": "eq", "value": True}}]
        },
    },
    "end": "end",
}
ROUND = ("mark>stage", "stage>ask", "ask.yes>mark", "ask.default>end")


@pytest.fixture(autouse=True)
def _low_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executions.engine.advance.STEP_BUDGET", 20)


def looping(*edges: str, **nodes: str | dict[str, Any]) -> dict[str, Any]:
    """Return a graph with these nodes before the loop."""
    return source({**nodes, **LOOP}, *edges, *ROUND)


def form() -> dict[str, Any]:
    fields = [{"name": "again", "type": "checkbox"}, {"name": "note", "type": "text"}]
    return {"type": "user_action", "data": {"fields": fields, "deadline": {"after": "P1D"}}}


def require_undone(execution: Execution, node: str, **fields: Any) -> Step:
    """Assert that the only open step is at this node, and that no trace of the loop is left."""
    execution.refresh_from_db()
    step = execution.steps.open().get(state="incident")
    assert (step.node_id, step.incident["code"]) == (node, "step_budget")
    assert (execution.status, execution.stage, execution.progress) == (Status.WAITING, "", None)
    assert not execution.steps.filter(node_id__in=["mark", "stage", "ask", "end"]).exists()
    assert Entity.objects.get(pk=execution.entity_id).fields == fields
    assert not Job.objects.filter(step=step).exists()
    return step


def set_fields(execution: Execution, **fields: Any) -> None:
    Entity.objects.filter(pk=execution.entity_id).update(fields=fields)


class TestStart:
    def test_start_opens_incident_at_the_start_node_when_a_loop_never_waits(self) -> None:
        execution = started(looping("start>mark"), again=True)
        assert execution.status == Status.WAITING
        require_undone(execution, "start", again=True)
        assert execution.steps.count() == 1

    def test_start_continues_when_it_is_retried_with_other_fields(self) -> None:
        execution = started(looping("start>mark"), again=True)
        services.retry(execution, node="start")
        assert require_undone(execution, "start", again=True).attempt == 2
        set_fields(execution, again=False)
        assert services.retry(execution, node="start").status == Status.COMPLETED

    def test_start_continues_when_it_is_skipped_with_other_fields(self) -> None:
        execution = started(looping("start>mark"), again=True)
        services.skip(execution, node="start", why="w")
        require_undone(execution, "start", again=True)
        set_fields(execution)
        assert services.skip(execution, node="start", why="w").status == Status.COMPLETED

    def test_start_is_cancelled_when_an_operator_gives_up(self) -> None:
        execution = started(looping("start>mark"), again=True)
        assert services.cancel(execution).status == Status.CANCELLED

    def test_scheduled_start_opens_incident_at_its_time(self) -> None:
        workflow = WorkflowFactory()
        editing.save_graph(workflow, looping("start>mark"), based_on=1)
        kind = workflow.entity_name_type
        finding = FindingFactory(entity_name_type=kind, fields={"again": True})
        later = timezone.now() + timedelta(days=1)
        execution = services.start(workflow, finding, scheduled_for=later)
        Job.objects.update(due_at=timezone.now())
        assert queue.serve_due() == 1
        require_undone(execution, "start", again=True)

    def test_start_leaves_no_child_when_the_loop_is_in_the_callee(self) -> None:
        caller = WorkflowFactory()
        callee = WorkflowFactory(entity_name_type=caller.entity_name_type)
        editing.save_graph(callee, looping("start>mark"), based_on=1)
        nodes: Nodes = {"start": "start", "call": call(callee), "end": "end"}
        execution = started(source(nodes, "start>call", "call>end"), caller, again=True)
        require_undone(execution, "start", again=True)
        assert Execution.objects.count() == 1

    def test_start_opens_incident_when_a_fork_multiplies(self) -> None:
        nodes = {"fork": "parallel", "other": "end"}
        execution = started(looping("start>fork", "fork>mark", "fork>other", **nodes), again=True)
        require_undone(execution, "start", again=True)
        assert execution.steps.count() == 1


class TestSubmit:
    def started(self, **nodes: Any) -> Execution:
        edges = ("start>fork", "fork>form", "fork>far", "form>mark", "far>end")
        return started(looping(*edges, fork="parallel", form=form(), far="user_action"))

    def test_submit_opens_incident_with_its_input_when_a_loop_never_waits(self) -> None:
        execution, user = self.started(), UserFactory()
        before = execution.steps.count()
        done = services.submit(execution, node="form", data={"again": True, "note": "n"}, by=user)
        assert done.status == Status.WAITING
        step = require_undone(execution, "form")
        assert step.input == {"again": True, "note": "n"}
        assert (step.output, step.closed_at, step.closed_by) == (None, None, None)
        assert execution.steps.count() == before
        assert open_nodes(execution) == {"form", "far"}

    def test_form_is_offered_again_when_the_incident_is_retried(self) -> None:
        execution = self.started()
        services.submit(execution, node="form", data={"again": True})
        services.retry(execution, node="form")
        assert Job.objects.filter(step__node_id="form", kind="deadline").count() == 1
        services.submit(execution, node="form", data={"again": False})
        assert services.submit(execution, node="far", data={}).status == Status.COMPLETED

    def test_other_branch_continues_when_one_has_the_incident(self) -> None:
        execution = self.started()
        services.submit(execution, node="form", data={"again": True})
        services.submit(execution, node="far", data={})
        assert open_nodes(execution) == {"form"}
        services.skip(execution, node="form", why="w")
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_child_stays_live_when_its_end_makes_the_caller_loop(self) -> None:
        caller = WorkflowFactory()
        callee = WorkflowFactory(entity_name_type=caller.entity_name_type)
        nodes: Nodes = {"start": "start", "form": form(), "end": "end"}
        editing.save_graph(callee, source(nodes, "start>form", "form>end"), based_on=1)
        execution = started(looping("start>call", "call>mark", call=call(callee)), caller)
        child = execution.children.get()
        services.submit(child, node="form", data={"again": True})
        require_undone(child, "form")
        assert open_nodes(execution) == {"call"}
        services.retry(child, node="form")
        services.submit(child, node="form", data={"again": False})
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED


class TestOthers:
    def test_timer_opens_incident_at_the_wait(self) -> None:
        wait = {"type": "wait", "data": {"interval": "P1D"}}
        execution = started(looping("start>wait", "wait>mark", wait=wait), again=True)
        Job.objects.update(due_at=timezone.now())
        assert queue.serve_due() == 1
        require_undone(execution, "wait", again=True)
        services.retry(execution, node="wait")
        set_fields(execution)
        assert services.wake(execution, node="wait").status == Status.COMPLETED

    def test_vote_is_stored_when_it_makes_the_execution_loop(self) -> None:
        ada = voter("ada")
        vote = {"type": "approval", "data": {"users": ["ada"]}}
        edges = ("start>vote", "vote.approved>mark", "vote.rejected>end")
        execution = started(looping(*edges, vote=vote), again=True)
        services.vote(execution, node="vote", approves=True, by=ada)
        step = require_undone(execution, "vote", again=True)
        assert step.votes.count() == 1
        set_fields(execution)
        assert (
            services.skip(execution, node="vote", handle="approved", why="w").status
            == Status.COMPLETED
        )

    def test_retried_call_leaves_no_child_when_the_callee_loops(self) -> None:
        caller = WorkflowFactory()
        callee = WorkflowFactory(entity_name_type=caller.entity_name_type)
        ask = {"type": "wait", "data": {"at_field": "due"}}
        editing.save_graph(callee, looping("start>ask_", "ask_>mark", ask_=ask), based_on=1)
        nodes: Nodes = {"start": "start", "call": call(callee), "end": "end"}
        execution = started(source(nodes, "start>call", "call>end"), caller, due="9999-01-01")
        services.cancel(execution.children.get())
        set_fields(execution, again=True)
        services.retry(execution, node="call")
        step = require_undone(execution, "call", again=True)
        assert not execution.children.filter(status__in=LIVE).exists()
        assert step.attempt == 2
        set_fields(execution)
        assert services.retry(execution, node="call").status == Status.COMPLETED
