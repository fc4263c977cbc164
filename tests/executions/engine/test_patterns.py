"""The control-flow patterns of van der Aalst, ter Hofstede, Kiepuszewski and Barros (2003).

``docs/how-to/patterns.md`` shows the graph of each, and names the approximated ones. This file has
the routing patterns; ``test_patterns_of_state.py`` has multiple instances, states and cancellation.
"""

from __future__ import annotations

from typing import Any

import pytest

from executions import services
from executions.models import Execution, Status
from tests.executions.engine.test_branches import condition, open_nodes, source, started, submit
from tests.factories import WorkflowFactory, call
from workflows import editing
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

Nodes = dict[str, str | dict[str, Any]]
FORM = "user_action"
BOTH: Nodes = {"start": "start", "fork": "parallel", "a": FORM, "b": FORM, "end": "end"}


def setting(**values: Any) -> dict[str, Any]:
    return {"type": "set_field", "data": {"values": values}}


def calling(callee: Workflow) -> dict[str, Any]:
    return {key: value for key, value in call(callee).items() if key != "id"}


def with_callee(*edges: str, **nodes: str | dict[str, Any]) -> tuple[Workflow, Workflow]:
    caller = WorkflowFactory()
    callee = WorkflowFactory(entity_name_type=caller.entity_name_type)
    editing.save_graph(
        callee, source({"start": "start", **nodes, "end": "end"}, *edges), based_on=1
    )
    return caller, callee


def passed(execution: Execution, node: str) -> int:
    return execution.steps.filter(node_id=node, state="done").count()


def ask(name: str) -> dict[str, Any]:
    return {"type": FORM, "data": {"fields": [{"name": name, "type": "checkbox"}]}}


def holding(name: str) -> dict[str, Any]:
    """Return a condition that leaves by ``yes`` while this checkbox is ticked."""
    rule = {"field": name, "op": "eq", "value": True}
    return {"type": "condition", "data": {"branches": [{"handle": "yes", "rule": rule}]}}


class TestBasic:
    def test_01_sequence(self) -> None:
        nodes: Nodes = {"start": "start", "a": FORM, "b": FORM, "end": "end"}
        execution = started(source(nodes, "start>a", "a>b", "b>end"))
        assert open_nodes(execution) == {"a"}
        submit(execution, "a")
        assert open_nodes(execution) == {"b"}
        assert submit(execution, "b").status == Status.COMPLETED

    def test_02_parallel_split(self) -> None:
        execution = started(source(BOTH, "start>fork", "fork>a", "fork>b", "a>end", "b>end"))
        assert open_nodes(execution) == {"a", "b"}

    @pytest.mark.parametrize("order", ["ab", "ba"])
    def test_03_synchronization(self, order: str) -> None:
        nodes: Nodes = {**BOTH, "join": "join", "after": FORM}
        graph = source(
            nodes,
            "start>fork",
            "fork>a",
            "fork>b",
            "a>join",
            "b>join",
            "join>after",
            "after>end",
        )
        execution = started(graph)
        submit(execution, order[0])
        assert open_nodes(execution) == {order[1], "join"}
        submit(execution, order[1])
        assert open_nodes(execution) == {"after"}
        assert submit(execution, "after").status == Status.COMPLETED

    @pytest.mark.parametrize(("fields", "chosen"), [({"x": 1}, "a"), ({}, "b")])
    def test_04_exclusive_choice(self, fields: dict[str, Any], chosen: str) -> None:
        nodes: Nodes = {
            "start": "start",
            "way": condition("on", "x"),
            "a": FORM,
            "b": FORM,
            "end": "end",
        }
        graph = source(nodes, "start>way", "way.on>a", "way.default>b", "a>end", "b>end")
        assert open_nodes(started(graph, **fields)) == {chosen}

    @pytest.mark.parametrize(("fields", "chosen"), [({"x": 1}, "a"), ({}, "b")])
    def test_05_simple_merge(self, fields: dict[str, Any], chosen: str) -> None:
        nodes: Nodes = {
            "start": "start",
            "way": condition("on", "x"),
            "a": FORM,
            "b": FORM,
            "after": FORM,
            "end": "end",
        }
        graph = source(
            nodes, "start>way", "way.on>a", "way.default>b", "a>after", "b>after", "after>end"
        )
        execution = started(graph, **fields)
        submit(execution, chosen)
        assert open_nodes(execution) == {"after"}, "no join is needed"
        assert submit(execution, "after").status == Status.COMPLETED


MULTI: Nodes = {
    "start": "start",
    "fork": "parallel",
    "if_a": condition("on", "x"),
    "if_b": condition("on", "y"),
    "a": FORM,
    "b": FORM,
    "join": "join",
    "after": FORM,
    "end": "end",
}
CHOSEN = pytest.mark.parametrize("chosen", [set(), {"a"}, {"b"}, {"a", "b"}])


def multi_choice(chosen: set[str]) -> Execution:
    """Return a fork into conditions: each branch is taken, or goes directly to the join."""
    graph = source(
        MULTI,
        "start>fork",
        "fork>if_a",
        "fork>if_b",
        "if_a.on>a",
        "if_a.default>join",
        "if_b.on>b",
        "if_b.default>join",
        "a>join",
        "b>join",
        "join>after",
        "after>end",
    )
    fields: dict[str, Any] = {{"a": "x", "b": "y"}[name]: 1 for name in chosen}
    return started(graph, **fields)


class TestBranching:
    @CHOSEN
    def test_06_multi_choice(self, chosen: set[str]) -> None:
        assert open_nodes(multi_choice(chosen)) - {"join"} == (chosen or {"after"})

    @CHOSEN
    def test_07_synchronizing_merge(self, chosen: set[str]) -> None:
        execution = multi_choice(chosen)
        for name in sorted(chosen):
            assert "after" not in open_nodes(execution)
            submit(execution, name)
        assert open_nodes(execution) == {"after"}
        assert passed(execution, "after") == 0
        assert submit(execution, "after").status == Status.COMPLETED
        assert passed(execution, "after") == 1

    def test_08_multi_merge(self) -> None:
        nodes: Nodes = {**BOTH, "after": FORM}
        graph = source(nodes, "start>fork", "fork>a", "fork>b", "a>after", "b>after", "after>end")
        execution = started(graph)
        submit(execution, "a", "b")
        steps = execution.steps.open().filter(node_id="after")
        assert steps.count() == 2, "what follows runs once for each branch"
        first, second = steps
        services.submit(execution, step=first.cuid, data={})
        done = services.submit(execution, step=second.cuid, data={})
        assert done.status == Status.COMPLETED

    @pytest.mark.parametrize("order", ["ab", "ba"])
    def test_09_discriminator(self, order: str) -> None:
        nodes: Nodes = {**BOTH, "join": {"type": "join", "data": {"needed": 1}}, "after": FORM}
        edges = ("start>fork", "fork>a", "fork>b", "a>join", "b>join", "join>after", "after>end")
        execution = started(source(nodes, *edges))
        submit(execution, order[0])
        assert open_nodes(execution) == {order[1], "after", "join"}
        submit(execution, order[1])
        assert open_nodes(execution) == {"after"}, "the later branch starts nothing"
        assert submit(execution, "after").status == Status.COMPLETED

    def test_09_n_out_of_m(self) -> None:
        join = {"type": "join", "data": {"needed": 2}}
        nodes: Nodes = {**BOTH, "c": FORM, "join": join, "after": FORM}
        edges = ("fork>a", "fork>b", "fork>c", "a>join", "b>join", "c>join", "join>after")
        execution = started(source(nodes, "start>fork", *edges, "after>end"))
        submit(execution, "c")
        assert open_nodes(execution) == {"a", "b", "join"}
        submit(execution, "a")
        assert open_nodes(execution) == {"b", "after", "join"}


class TestStructural:
    @pytest.mark.parametrize(("fields", "first"), [({"in_the_middle": 1}, "b"), ({}, "a")])
    def test_10_arbitrary_cycles(self, fields: dict[str, Any], first: str) -> None:
        """A loop with two entries, which a structured loop cannot have."""
        nodes: Nodes = {
            "start": "start",
            "into": condition("middle", "in_the_middle"),
            "a": FORM,
            "b": ask("stop"),
            "out": holding("stop"),
            "end": "end",
        }
        graph = source(
            nodes,
            "start>into",
            "into.middle>b",
            "into.default>a",
            "a>b",
            "b>out",
            "out.yes>end",
            "out.default>a",
        )
        execution = started(graph, **fields)
        assert open_nodes(execution) == {first}
        for _ in range(2):
            if "a" in open_nodes(execution):
                submit(execution, "a")
            services.submit(execution, node="b", data={"stop": False})
            assert open_nodes(execution) == {"a"}
        submit(execution, "a")
        done = services.submit(execution, node="b", data={"stop": True})
        assert done.status == Status.COMPLETED

    def test_11_implicit_termination(self) -> None:
        nodes: Nodes = {**BOTH, "end2": "end"}
        execution = started(source(nodes, "start>fork", "fork>a", "fork>b", "a>end", "b>end2"))
        assert submit(execution, "a").status == Status.WAITING
        assert submit(execution, "b").status == Status.COMPLETED, "when nothing is left to do"
