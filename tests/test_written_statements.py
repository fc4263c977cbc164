"""The number of writes of an advance, for any number of automatic nodes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import integrity, services
from executions.models import Execution, Status, Visits
from tests.factories import FindingFactory, WorkflowFactory, call, form, line, save_line
from workflows import editing
from workflows.graph import MAX_NODES, WorkflowValidationError
from workflows.models import Workflow

pytestmark = pytest.mark.django_db(transaction=True)

WRITES = ("INSERT", "UPDATE", "DELETE")
SIZES = pytest.mark.parametrize("size", [1, 50, 500])


def written(function: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        function()
    return [query["sql"] for query in captured if query["sql"].startswith(WRITES)]


def most(on_postgresql: int) -> int:
    return on_postgresql + (0 if connection.vendor == "postgresql" else 2)


def automatic(size: int, prefix: str = "n") -> list[dict[str, Any]]:
    """Return automatic nodes in a row."""
    return [
        {
            "id": f"{prefix}{place}",
            "type": "set_field",
            "data": {"values": {"counted": place, f"{prefix}{place % 7}": "x" * 20}},
        }
        for place in range(size)
    ]


def with_conditions(source: dict[str, Any]) -> dict[str, Any]:
    """Make every other automatic node a condition whose two exits lead to the same node."""
    rule = {"field": "counted", "op": "gte", "value": 0}
    edges = {edge["source"]: edge["target"] for edge in source["edges"]}
    for node in source["nodes"]:
        if node["type"] == "set_field" and int(node["id"][1:]) % 2:
            node["type"] = "condition"
            node["data"] = {"branches": [{"handle": "on", "rule": rule}]}
    kinds = {node["id"]: node["type"] for node in source["nodes"]}
    source["edges"] = [
        {"source": one, "target": other, "sourceHandle": handle}
        for one, other in edges.items()
        for handle in (("on", "default") if kinds[one] == "condition" else (None,))
    ]
    return source


@pytest.fixture
def pair() -> tuple[Workflow, Workflow]:
    callee = WorkflowFactory()
    return WorkflowFactory(entity_name_type=callee.entity_name_type), callee


def begin(workflow: Workflow) -> Execution:
    return services.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


@SIZES
def test_start_takes_at_most_five_writes(size: int, pair: tuple[Workflow, Workflow]) -> None:
    caller, callee = pair
    source = with_conditions(line(*automatic(size), form(deadline="P1D"), call(callee)))
    editing.save_graph(caller, source, based_on=1)
    finding = FindingFactory(entity_name_type=caller.entity_name_type)
    statements = written(lambda: services.start(caller, finding))
    assert len(statements) <= most(5), statements
    assert len(Visits(Execution.objects.get())) == size + 2


@SIZES
def test_submit_through_a_call_takes_at_most_eight_writes(
    size: int, pair: tuple[Workflow, Workflow]
) -> None:
    caller, callee = pair
    editing.save_graph(callee, with_conditions(line(*automatic(size, "c"))), based_on=1)
    source = line(form(deadline="P1D"), *automatic(size // 2 + 1), call(callee))
    editing.save_graph(caller, with_conditions(source), based_on=1)
    execution = begin(caller)
    statements = written(lambda: services.submit(execution, node="form", data={"note": "n"}))
    assert len(statements) <= most(8), statements
    execution.refresh_from_db()
    assert execution.status == Status.COMPLETED


@pytest.mark.parametrize("calls", [1, 30])
def test_consecutive_calls_take_no_further_writes(
    calls: int, pair: tuple[Workflow, Workflow]
) -> None:
    caller, callee = pair
    save_line(caller, form(), *[call(callee, f"call{place}") for place in range(calls)])
    execution = begin(caller)
    statements = written(lambda: services.submit(execution, node="form", data={"note": "n"}))
    assert len(statements) <= most(8), statements
    assert execution.children.count() == calls


def test_operator_decision_also_writes_its_audit_entry(
    pair: tuple[Workflow, Workflow],
) -> None:
    caller, callee = pair
    save_line(callee, form("inner"))
    save_line(caller, call(callee), *automatic(50))
    execution = begin(caller)
    services.cancel(execution.children.get())
    statements = written(lambda: services.skip(execution, node="call", why="w"))
    assert len(statements) <= most(8), statements


class TestLarge:
    def test_thousand_nodes_run_in_one_advance(self) -> None:
        workflow = WorkflowFactory()
        editing.save_graph(workflow, with_conditions(line(*automatic(998))), based_on=1)
        assert begin(workflow).status == Status.COMPLETED
        assert len(Visits(Execution.objects.get())) == 1000

    def test_two_hundred_forks_and_joins_run_in_one_advance(self) -> None:
        workflow = WorkflowFactory()
        nodes: list[dict[str, Any]] = [{"id": "start", "type": "start"}]
        edges, last = [], "start"
        for place in range(200):
            fork, join = f"fork{place}", f"join{place}"
            nodes += [{"id": fork, "type": "parallel"}, {"id": join, "type": "join"}]
            edges.append({"source": last, "target": fork})
            for node in automatic(3, f"b{place}_"):
                nodes.append(node)
                edges.append({"source": fork, "target": node["id"]})
                edges.append({"source": node["id"], "target": join})
            last = join
        nodes.append({"id": "end", "type": "end"})
        edges.append({"source": last, "target": "end"})
        editing.save_graph(workflow, {"nodes": nodes, "edges": edges}, based_on=1)
        began = time.monotonic()
        assert begin(workflow).status == Status.COMPLETED
        assert time.monotonic() - began < 10

    def test_calls_twenty_deep_run_and_continue(self) -> None:
        deepest = WorkflowFactory()
        save_line(deepest, form())
        below, levels = deepest, 20
        for _ in range(levels):
            above = WorkflowFactory(entity_name_type=deepest.entity_name_type)
            save_line(above, call(below))
            below = above
        root = begin(below)
        assert (root.pins.count(), root.descendants.live().count()) == (levels, levels)
        waiting = root.descendants.get(workflow=deepest)
        assert services.submit(waiting, node="form", data={"note": "n"}).status == "completed"
        assert not Execution.objects.live().exists()
        root.refresh_from_db()
        assert root.status == Status.COMPLETED
        assert integrity.find_violations() == []

    def test_calls_twenty_deep_are_cancelled_together(self) -> None:
        deepest = WorkflowFactory()
        save_line(deepest, form())
        below = deepest
        for _ in range(20):
            above = WorkflowFactory(entity_name_type=deepest.entity_name_type)
            save_line(above, call(below))
            below = above
        root = begin(below)
        services.cancel(root)
        assert not Execution.objects.live().exists()
        assert integrity.find_violations() == []

    def test_graph_with_too_many_nodes_is_refused(self) -> None:
        workflow = WorkflowFactory()
        source = line(*automatic(9_998))
        began = time.monotonic()
        with pytest.raises(WorkflowValidationError) as caught:
            editing.save_graph(workflow, source, based_on=1)
        assert time.monotonic() - began < 2
        sentence = f"The graph has 10000 nodes; at most {MAX_NODES} are allowed."
        assert sentence in [problem.detail for problem in caught.value.problems]
        assert workflow.versions.count() == 1
