"""Graphs with endless loops are refused."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from django.test import Client

from executions import integrity
from executions import services as running
from tests.executions.engine.test_branches import condition, source
from tests.factories import FindingFactory, FindingTypeFactory, UserFactory, WorkflowFactory
from tests.workflows.admin.staff import text
from tests.workflows.admin.test_json_page import save
from workflows import editing
from workflows.graph import WorkflowValidationError, parse
from workflows.models import Workflow

Nodes = dict[str, str | dict[str, Any]]
SET: dict[str, Any] = {"type": "set_field", "data": {"values": {"x": 1}}}
STAGE: dict[str, Any] = {"type": "set_state", "data": {"state": "On"}}
FORM = "user_action"
ENDS: Nodes = {"start": "start", "end": "end"}
TRAP = source(
    {"start": "start", "fork": "parallel", "set": SET, "end": "end"},
    *("start>fork", "fork>set", "fork>end", "set>fork"),
)


def flawed(graph: dict[str, Any]) -> list[str]:
    """Return the ids of the nodes that are refused as part of an endless loop."""
    with pytest.raises(WorkflowValidationError) as refused:
        parse(graph, is_new=True)
    assert {problem.code for problem in refused.value.problems} == {"invalid_graph"}
    assert all("loop that never ends" in problem.detail for problem in refused.value.problems)
    places = [int(problem.pointer.split("/")[2]) for problem in refused.value.problems]
    return [graph["nodes"][place]["id"] for place in places]


REFUSED: dict[str, tuple[Nodes, tuple[str, ...], str]] = {
    "fork that leads into itself": (
        {"fork": "parallel"},
        ("start>fork", "fork>fork", "fork>end"),
        "fork",
    ),
    "fork with a way back": (
        {"fork": "parallel", "set": SET},
        ("start>fork", "fork>set", "set>fork", "fork>end"),
        "fork set",
    ),
    "fork whose other branch waits": (
        {"fork": "parallel", "set": SET, "form": FORM},
        ("start>fork", "fork>set", "set>fork", "fork>form", "form>end"),
        "fork set",
    ),
    "form before the loop": (
        {"form": FORM, "fork": "parallel", "set": SET},
        ("start>form", "form>fork", "fork>set", "set>fork", "fork>end"),
        "fork set",
    ),
    "all exits of a condition lead back": (
        {"fork": "parallel", "ask": condition("on", "x"), "a": SET, "b": STAGE},
        ("start>fork", "fork>ask", "fork>end", "ask.on>a", "ask.default>b", "a>fork", "b>fork"),
        "fork ask a b",
    ),
    "join of two branches that come back": (
        {"join": "join", "fork": "parallel", "a": SET, "b": STAGE},
        ("start>join", "join>fork", "fork>a", "fork>b", "fork>end", "a>join", "b>join"),
        "join fork a b",
    ),
    "join that waits once for a form before the loop": (
        {"first": "parallel", "form": FORM, "join": "join", "fork": "parallel"},
        ("start>first", "first>form", "first>join", "form>join", "join>fork")
        + ("fork>join", "fork>end"),
        "join fork",
    ),
    "two forks that lead to one another": (
        {"one": "parallel", "two": "parallel"},
        ("start>one", "one>two", "one>end", "two>one", "two>end"),
        "one two",
    ),
    "two loops": (
        {"one": "parallel", "two": "parallel", "way": STAGE},
        ("start>one", "one>one", "one>way", "way>two", "two>two", "two>end"),
        "one two way",
    ),
}
TAKEN: dict[str, tuple[Nodes, tuple[str, ...]]] = {
    "condition leaves": (
        {"set": SET, "ask": condition("on", "x")},
        ("start>set", "set>ask", "ask.on>set", "ask.default>end"),
    ),
    "condition leaves a loop through a fork": (
        {"fork": "parallel", "ask": condition("on", "x")},
        ("start>fork", "fork>ask", "fork>end", "ask.on>fork", "ask.default>end"),
    ),
    "form": (
        {"fork": "parallel", "form": FORM},
        ("start>fork", "fork>form", "fork>end", "form>fork"),
    ),
    "wait": (
        {"fork": "parallel", "wait": {"type": "wait", "data": {"interval": "P1D"}}},
        ("start>fork", "fork>wait", "fork>end", "wait>fork"),
    ),
    "join with a form on the loop": (
        {"join": "join", "fork": "parallel", "form": FORM},
        ("start>join", "join>fork", "fork>join", "fork>form", "form>join", "fork>end"),
    ),
    "join of the branches of a fork": (
        {"fork": "parallel", "a": SET, "b": STAGE, "join": "join"},
        ("start>fork", "fork>a", "fork>b", "a>join", "b>join", "join>end"),
    ),
    "fork that comes back by a form alone": (
        {"fork": "parallel", "set": SET, "form": FORM},
        ("start>fork", "fork>set", "set>form", "form>fork", "fork>end"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_graph_is_refused_when_a_loop_is_endless(name: str) -> None:
    nodes, edges, expected = REFUSED[name]
    assert sorted(flawed(source({**ENDS, **nodes}, *edges))) == sorted(expected.split())


@pytest.mark.parametrize("name", TAKEN)
def test_graph_is_accepted_when_a_loop_can_wait_or_end(name: str) -> None:
    nodes, edges = TAKEN[name]
    assert parse(source({**ENDS, **nodes}, *edges), is_new=True)


def test_graph_is_refused_when_no_edge_leaves_the_loop() -> None:
    nodes: Nodes = {**ENDS, "ask": condition("on", "x"), "a": SET, "b": STAGE}
    edges = ("start>ask", "ask.on>end", "ask.default>a", "a>b", "b>a")
    with pytest.raises(WorkflowValidationError) as refused:
        parse(source(nodes, *edges), is_new=True)
    assert [problem.pointer for problem in refused.value.problems] == ["/nodes/3", "/nodes/4"]


def test_call_counts_as_a_wait_in_a_loop() -> None:
    calling = {"type": "run_workflow", "data": {"workflow": "c1"}}
    edges = ("start>fork", "fork>call", "fork>end", "call>fork")
    graph = source({**ENDS, "fork": "parallel", "call": calling}, *edges)
    assert parse(graph, is_new=True)


def test_largest_graph_is_checked_in_a_second() -> None:
    names = [f"n{number}" for number in range(2_499)]
    nodes: Nodes = {**ENDS}
    edges = [f"start>{names[0]}"]
    for name, after in zip(names, [*names[1:], "end"], strict=True):
        nodes[name], nodes[f"{name}_join"] = "parallel", "join"
        edges += [f"{name}>{name}_join", f"{name}>{after}", f"{name}_join>{after}"]
    started = process_time()
    assert parse(source(nodes, *edges), is_new=True)
    assert process_time() - started < 2


@pytest.fixture
def version_with_endless_loop(monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """Return a workflow whose version was saved before endless loops were refused."""
    workflow = WorkflowFactory()
    with monkeypatch.context() as patched:
        patched.setattr("workflows.graph.parsing.find_endless_loops", lambda *_: [])
        editing.save_graph(workflow, TRAP, based_on=1)
    return workflow


@pytest.mark.django_db
class TestInterfaces:
    def test_service_refuses_the_graph_and_its_dry_run(self) -> None:
        workflow = WorkflowFactory()
        for dry_run in (False, True):
            with pytest.raises(WorkflowValidationError) as refused:
                editing.save_graph(workflow, TRAP, based_on=1, dry_run=dry_run)
            assert refused.value.code == "invalid_graph"
            assert [one.pointer for one in refused.value.problems] == ["/nodes/1", "/nodes/2"]

    def test_editor_shows_the_problems_and_refuses_the_draft(self) -> None:
        workflow, user = WorkflowFactory(), UserFactory()
        found = editing.graph_problems(workflow, TRAP)
        assert [problem.pointer for problem in found] == ["/nodes/1", "/nodes/2"]
        token = editing.open_draft(workflow, user).token
        editing.edit_draft(workflow, user, token, lambda _: (TRAP, "Drawn"))
        with pytest.raises(WorkflowValidationError):
            editing.save_draft(workflow, user, editing.open_draft(workflow, user).token)

    def test_graph_page_refuses_the_graph(self, admin_client: Client) -> None:
        response = save(admin_client, WorkflowFactory(), TRAP)
        assert "part of a loop that never ends" in text(response)
        assert "<code>/nodes/1</code>" in text(response)


@pytest.mark.django_db(transaction=True)
class TestStoredVersions:
    def test_context_changes_when_the_latest_version_has_an_endless_loop(
        self, version_with_endless_loop: Workflow
    ) -> None:
        editing.change_entity_context(
            [version_with_endless_loop], entity_name_type=FindingTypeFactory()
        )
        assert version_with_endless_loop.latest_version.validate_source().start.id == "start"
        assert integrity.find_violations() == []

    def test_execution_has_an_incident_when_its_version_has_an_endless_loop(
        self, version_with_endless_loop: Workflow
    ) -> None:
        finding = FindingFactory(entity_name_type=version_with_endless_loop.entity_name_type)
        execution = running.start(version_with_endless_loop, finding)
        assert execution.steps.get().incident["code"] == "step_budget"
        assert running.cancel(execution).status == "cancelled"
