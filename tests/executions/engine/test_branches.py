"""Parallel branches and joins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from executions import services
from executions.models import Execution, Status, Visits
from tests.factories import FindingFactory, WorkflowFactory, call
from workflows import editing
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

NOTE = {"fields": [{"name": "note", "type": "text"}]}


def source(nodes: Mapping[str, str | Mapping[str, Any]], *edges: str) -> dict[str, Any]:
    """Return a source. ``nodes``: type or node by id. ``edges``: ``a>b`` or ``a.handle>b``."""
    graph = []
    for name, kind in nodes.items():
        own: Mapping[str, Any] = {"type": kind} if isinstance(kind, str) else kind
        node = {"id": name, **own}
        if node["type"] == "user_action":
            node.setdefault("data", NOTE)
        graph.append(node)
    lines = []
    for edge in edges:
        left, target = edge.split(">")
        name, _, handle = left.partition(".")
        lines.append({"source": name, "target": target, "sourceHandle": handle or None})
    return {"nodes": graph, "edges": lines}


def started(graph: dict[str, Any], workflow: Workflow | None = None, **fields: Any) -> Execution:
    row = workflow or WorkflowFactory()
    editing.save_graph(row, graph, based_on=row.latest_version.number)
    return services.start(row, FindingFactory(entity_name_type=row.entity_name_type, fields=fields))


def open_nodes(execution: Execution) -> set[str]:
    return set(execution.steps.open().values_list("node_id", flat=True))


def submit(execution: Execution, *nodes: str) -> Execution:
    for node in nodes:
        execution = services.submit(execution, node=node, data={"note": node})
    return execution


FORK: dict[str, str | dict[str, Any]] = {
    "start": "start",
    "fork": "parallel",
    "a": "user_action",
    "b": "user_action",
    "join": "join",
    "end": "end",
}
FORKED = ("start>fork", "fork>a", "fork>b")
JOINED = (*FORKED, "a>join", "b>join", "join>end")
DIAMOND = source(FORK, *JOINED)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_join_waits_for_every_branch(order: tuple[str, str]) -> None:
    execution = started(DIAMOND)
    assert open_nodes(execution) == {"a", "b"}
    assert submit(execution, order[0]).status == Status.WAITING
    assert open_nodes(execution) == {order[1], "join"}
    assert submit(execution, order[1]).status == Status.COMPLETED
    joined = [step for step in Visits(execution) if step.node_id == "join"]
    assert [step.state for step in joined] == ["done", "done"], "a visit for each branch"


def test_branches_without_a_join_complete_when_the_last_has_ended() -> None:
    nodes = {**FORK, "end2": "end"}
    del nodes["join"]
    execution = started(source(nodes, *FORKED, "a>end", "b>end2"))
    assert submit(execution, "a").status == Status.WAITING
    assert submit(execution, "b").status == Status.COMPLETED


def test_branches_without_waits_join_in_the_same_advance() -> None:
    nodes = {
        **FORK,
        "a": {"type": "set_field", "data": {"values": {"x": 1}}},
        "b": {"type": "set_field", "data": {"values": {"y": 2}}},
    }
    graph = source(nodes, *JOINED)
    execution = started(graph)
    assert execution.status == Status.COMPLETED
    execution.entity.refresh_from_db()
    assert execution.entity.fields == {"x": 1, "y": 2}


def condition(handle: str, field: str) -> dict[str, Any]:
    rule = {"field": field, "op": "exists"}
    return {"type": "condition", "data": {"branches": [{"handle": handle, "rule": rule}]}}


@pytest.mark.parametrize("fields", [{}, {"out": 1}])
def test_join_does_not_wait_for_a_branch_on_another_path(fields: dict[str, Any]) -> None:
    nodes = {**FORK, "way": condition("out", "out"), "other": "end"}
    execution = started(
        source(
            nodes,
            *FORKED,
            "a>join",
            "b>way",
            "way.out>other",
            "way.default>join",
            "join>end",
        ),
        **fields,
    )
    submit(execution, "a")
    assert open_nodes(execution) == {"b", "join"}
    assert submit(execution, "b").status == Status.COMPLETED
    visited = [step.node_id for step in Visits(execution)]
    assert visited.count("join") == (1 if fields else 2)


def test_joins_can_be_nested() -> None:
    nodes: dict[str, str | dict[str, Any]] = {
        **FORK,
        "inner": "parallel",
        "c": "user_action",
        "d": "user_action",
        "inner_join": "join",
    }
    execution = started(
        source(
            nodes,
            *FORKED,
            "a>join",
            "b>inner",
            "inner>c",
            "inner>d",
            "c>inner_join",
            "d>inner_join",
            "inner_join>join",
            "join>end",
        )
    )
    submit(execution, "b", "a", "c")
    assert open_nodes(execution) == {"d", "join", "inner_join"}
    assert submit(execution, "d").status == Status.COMPLETED


def test_fork_in_a_loop_joins_each_time() -> None:
    nodes: dict[str, str | dict[str, Any]] = {
        **FORK,
        "again": "user_action",
        "way": condition("stop", "stop"),
    }
    nodes["again"] = {
        "type": "user_action",
        "data": {"fields": [{"name": "stop", "type": "checkbox"}]},
    }
    execution = started(
        source(
            nodes,
            *FORKED,
            "a>join",
            "b>join",
            "join>again",
            "again>way",
            "way.stop>end",
            "way.default>fork",
        )
    )
    for _ in range(3):
        submit(execution, "a")
        assert open_nodes(execution) == {"b", "join"}
        submit(execution, "b")
        assert open_nodes(execution) == {"again"}
        services.submit(execution, node="again", data={})
    submit(execution, "b", "a")
    done = services.submit(execution, node="again", data={"stop": True})
    assert done.status == Status.COMPLETED


def test_joins_that_wait_for_each_other_continue() -> None:
    nodes: dict[str, str | dict[str, Any]] = {
        "start": "start",
        "fork": "parallel",
        "one": "join",
        "two": "join",
        "w1": condition("on", "never"),
        "w2": condition("on", "never"),
        "end": "end",
    }
    execution = started(
        source(
            nodes,
            "start>fork",
            "fork>one",
            "fork>two",
            "one>w1",
            "w1.on>two",
            "w1.default>end",
            "two>w2",
            "w2.on>one",
            "w2.default>end",
        )
    )
    assert execution.status == Status.COMPLETED


def test_fail_in_one_branch_cancels_the_others() -> None:
    nodes: dict[str, str | dict[str, Any]] = {**FORK, "bad": "fail"}
    execution = started(source(nodes, *FORKED, "a>bad", "b>join", "join>end"))
    assert submit(execution, "a").status == Status.FAILED
    assert open_nodes(execution) == set()


def test_join_waits_for_a_child_and_its_incident() -> None:
    workflow = WorkflowFactory()
    callee = WorkflowFactory(entity_name_type=workflow.entity_name_type)
    editing.save_graph(
        callee,
        source({"start": "start", "f": "user_action", "end": "end"}, "start>f", "f>end"),
        based_on=1,
    )
    calling = {**call(callee)}
    calling.pop("id")
    execution = started(
        source({**FORK, "a": calling}, *JOINED),
        workflow,
    )
    submit(execution, "b")
    child = execution.children.get()
    services.cancel(child)
    assert open_nodes(execution) == {"a", "join"}
    services.retry(execution, node="a")
    assert execution.children.count() == 2
    again = execution.children.live().get()
    submit(again, "f")
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED
