"""Moves of an execution with an open step, or an incident, at each type of node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet

from executions import services
from executions.engine.nodes import behaviour
from executions.engine.value_sources import InvalidValue
from executions.models import Execution, Job, Secret, Status, Step, Visits
from tests.executions.engine.test_branches import open_nodes, source, started
from tests.executions.moves import move, obstacles, save
from tests.factories import WorkflowFactory, call, form, save_line, voter
from workflows.graph import node_types
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

URL = "https://example.com/"
WAITING: dict[str, Callable[[], dict[str, Any]]] = {
    "user_action": lambda: {"fields": [{"name": "note", "type": "text"}], "deadline": "P1D"},
    "approval": lambda: {"users": ["ada"], "deadline": "P1D"},
    "wait": lambda: {"interval": "P1D"},
    "webhook": lambda: {"secret": "HOOK", "deadline": "P1D"},
    "http_request": lambda: {"url": URL, "deadline": "P1D"},
    "notify": lambda: {"to": ["a@example.com"], "subject": "x"},
    "run_workflow": lambda: call(_callee())["data"],
}
PASSED: dict[str, dict[str, Any]] = {
    "condition": {"branches": [{"handle": "x", "rule": {"field": "n", "op": "eq", "value": 1}}]},
    "set_field": {"values": {"x": 1}},
    "set_state": {"state": "Done"},
    "parallel": {},
    "join": {},
    "end": {},
    "fail": {"message": "No."},
}
EXITS = {"approval": ".approved", "condition": ".default"}
LAST = ("end", "fail")


def _callee() -> Any:
    callee = WorkflowFactory()
    save_line(callee, form("inner"))
    return callee


@pytest.fixture(autouse=True)
def prepared(settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row = Secret(name="HOOK")
    row.set_value("hunter2-and-more")
    row.save()
    voter("ada")


def graph(node_id: str, name: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return a graph with a form and a node of this type, which lead to its end."""
    nodes: dict[str, Any] = {"start": "start", "form": "user_action"}
    nodes[node_id] = {"type": name, "data": data}
    edges = ["start>form", f"form>{node_id}"]
    if name not in LAST:
        nodes["over"] = "end"
        edges.append(f"{node_id}{EXITS.get(name, '')}>over")
    if name == "condition":
        edges.append(f"{node_id}.x>over")
    if name == "approval":
        nodes["no"] = "fail"
        edges.append(f"{node_id}.rejected>no")
    return source(nodes, *edges)


def start(name: str, data: dict[str, Any]) -> Execution:
    """Start an execution and submit its form, so that it comes to the node “old”."""
    workflow = None
    if "workflow" in data:
        kind = Workflow.objects.get(cuid=data["workflow"]).entity_name_type
        workflow = WorkflowFactory(entity_name_type=kind)
    execution = started(graph("old", name, data), workflow)
    return services.submit(execution, node="form", data={"note": "n"})


def test_every_node_type_is_tested() -> None:
    # A start is open while it is scheduled: tests/executions/test_moves.py.
    assert {*WAITING, *PASSED, "start"} == set(node_types())


@pytest.mark.parametrize("name", WAITING)
def test_open_step_goes_to_a_node_with_another_id_and_is_the_same(name: str) -> None:
    data = WAITING[name]()
    execution = start(name, data)
    step = execution.steps.open().get()
    jobs = list(Job.objects.filter(step=step).order_by("pk").values("pk", "kind", "due_at"))
    save(execution.workflow, graph("new", name, {**data, "label": "Other"}))
    assert obstacles(execution) == ["no_target"]
    move(execution, mapping={"old": "new"})
    moved = execution.steps.open().get()
    assert (moved.pk, moved.node_id, moved.label, moved.type) == (step.pk, "new", "Other", name)
    assert (moved.opened_at, moved.due_at, moved.child_id) == (
        step.opened_at,
        step.due_at,
        step.child_id,
    )
    assert list(Job.objects.filter(step=step).order_by("pk").values("pk", "kind", "due_at")) == jobs
    handle = "approved" if name == "approval" else None
    services.skip(execution, node="new", handle=handle, why="w")
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED


@pytest.mark.parametrize("name", WAITING)
def test_step_of_each_type_may_begin_again_as_a_form(name: str) -> None:
    data = WAITING[name]()
    execution = start(name, data)
    step = execution.steps.open().get()
    save(execution.workflow, graph("new", "user_action", form()["data"]))
    if name not in ("user_action", "approval"):
        assert "other_type" in obstacles(execution, mapping={"old": "new"})
    move(execution, mapping={"old": {"node": "new", "restart_step": True}})
    step.refresh_from_db()
    assert step.state == "cancelled" and not step.jobs.exists()
    assert not execution.children.live().exists()
    services.submit(execution, node="new", data={"note": "n"})
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED


@pytest.mark.parametrize("name", [*WAITING, *PASSED])
def test_incident_of_each_type_stays_and_is_retried_at_the_new_node(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter = type(behaviour(name)).enter

    def fail(self: Any, visit: Any) -> None:
        if visit.node.id != "old":
            return enter(self, visit)
        raise InvalidValue("The node cannot be entered.")

    data = PASSED[name] if name in PASSED else WAITING[name]()
    with monkeypatch.context() as patch:
        patch.setattr(type(behaviour(name)), "enter", fail)
        execution = start(name, data)
    incident = execution.steps.get(state="incident").incident
    save(execution.workflow, graph("new", name, data))
    assert obstacles(execution) == ["no_target"]
    move(execution, mapping={"old": "new"})
    step: Step = execution.steps.get(state="incident")
    assert (step.node_id, step.incident) == ("new", incident)
    services.retry(execution, node="new")
    execution.refresh_from_db()
    if name in WAITING:
        assert open_nodes(execution) == {"new"}
        return
    assert execution.status == (Status.FAILED if name == "fail" else Status.COMPLETED)
    assert [visit.node_id for visit in Visits(execution)][2] == "new"
