"""Ending a tree takes a constant number of statements and linear work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from executions import engine
from executions import services as running
from executions.models import Execution, Job, Step
from tests.factories import FindingFactory, WorkflowFactory, call, form, save_line
from workflows import editing
from workflows.models import Workflow

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
]

ENGINE = str(Path(engine.__file__).parent)
FAIL = {"id": "fail", "type": "fail", "data": {"message": "over"}}
SLEEP = {"id": "sleep", "type": "wait", "data": {"interval": "P1D"}}


def fork(*branches: dict[str, Any]) -> dict[str, Any]:
    """Return a source with a fork to a form that fails the execution, and to these branches."""
    first = form("give_up")
    nodes = [{"id": "start", "type": "start"}, {"id": "fork", "type": "parallel"}, first]
    edges = [("start", "fork"), ("fork", "give_up"), ("give_up", "fail")]
    for branch in branches:
        edges += [("fork", branch["id"]), (branch["id"], "end")]
    return {
        "nodes": [*nodes, *branches, FAIL, {"id": "end", "type": "end"}],
        "edges": [{"source": source, "target": target} for source, target in edges],
    }


def started(workflow: Workflow, source: dict[str, Any]) -> Execution:
    number = workflow.latest_version.number
    assert editing.save_graph(workflow, source, based_on=number).version
    return running.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))


def with_children(number: int) -> Execution:
    """Return a root with many children that wait at a form and for a time."""
    workflow = WorkflowFactory()
    callee = WorkflowFactory(entity_name_type=workflow.entity_name_type)
    save_line(callee, SLEEP, form())
    return started(workflow, fork(*(call(callee, f"call{n}") for n in range(number))))


def with_branches(number: int) -> Execution:
    """Return a root with many open steps that have jobs."""
    return started(WorkflowFactory(), fork(*({**SLEEP, "id": f"wait{n}"} for n in range(number))))


def with_levels(number: int) -> Execution:
    """Return a root with a chain of nested children."""
    above = WorkflowFactory()
    save_line(above, form())
    for _ in range(number):
        workflow = WorkflowFactory(entity_name_type=above.entity_name_type)
        editing.save_graph(workflow, fork(call(above)), based_on=1)
        above = workflow
    return running.start(above, FindingFactory(entity_name_type=above.entity_name_type))


def cancel(root: Execution) -> None:
    running.cancel(root)


def give_up(root: Execution) -> None:
    running.submit(root, node="give_up", data={"note": "n"})


GROWN = [with_children, with_branches, with_levels]
Grow = Callable[[int], Execution]
End = Callable[[Execution], None]


def statements(end: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        end()
    return sum(not query["sql"].startswith("PREPARE") for query in captured)


def operations(end: Callable[[], Any]) -> int:
    """Count the Python operations in the engine."""
    found = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal found
        if not frame.f_code.co_filename.startswith(ENGINE):
            return None
        frame.f_trace_opcodes = True
        found += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        end()
    finally:
        sys.settrace(before)
    return found


def assert_linear(operations_of: Callable[[int], int]) -> None:
    """Assert that each further ten take as many operations as the ten before."""
    operations_of(1)
    ten, twenty, thirty = (operations_of(number) for number in (10, 20, 30))
    assert thirty - twenty == pytest.approx(twenty - ten, rel=0.03)


@pytest.mark.parametrize("end", [cancel, give_up])
@pytest.mark.parametrize("grow", GROWN)
def test_ending_takes_as_many_statements_when_the_tree_is_larger(grow: Grow, end: End) -> None:
    end(grow(2))
    few, many = grow(6), grow(24)
    assert statements(lambda: end(few)) == statements(lambda: end(many))
    assert not Execution.objects.live().exists()
    assert not Step.objects.open().exists()
    assert not Job.objects.exists()


@pytest.mark.sqlite
@pytest.mark.parametrize("end", [cancel, give_up])
@pytest.mark.parametrize("grow", GROWN)
def test_ending_takes_linear_work_when_the_tree_is_larger(grow: Grow, end: End) -> None:
    def operations_of(number: int) -> int:
        root = grow(number)
        return operations(lambda: end(root))

    assert_linear(operations_of)


@pytest.mark.sqlite
def test_notifying_the_caller_takes_linear_work_when_many_children_end() -> None:
    def operations_of(number: int) -> int:
        workflow = WorkflowFactory()
        callee = WorkflowFactory(entity_name_type=workflow.entity_name_type)
        source = fork(*(call(callee, f"call{n}") for n in range(number)))
        editing.save_graph(workflow, source, based_on=1)
        finding = FindingFactory(entity_name_type=workflow.entity_name_type)
        found = operations(lambda: running.start(workflow, finding))
        assert Execution.objects.filter(workflow=callee, status="completed").count() == number
        return found

    assert_linear(operations_of)
