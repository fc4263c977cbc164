"""Moving trees: calls, parallel branches, joins and items."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from executions import services
from executions.models import (
    Execution,
    Job,
    Move,
    Status,
)
from tests.executions.engine import test_for_each as for_each
from tests.executions.engine.test_branches import open_nodes, source, started
from tests.executions.engine.test_partial_joins import give_incident
from tests.executions.moves import correct, move, obstacles, save
from tests.executions.test_moves import extra
from tests.factories import (
    WorkflowFactory,
    call,
    form,
    line,
    save_line,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


class TestCalls:
    def test_child_moves_to_the_version_that_the_new_closure_pins(self) -> None:
        callee = WorkflowFactory()
        save_line(callee, form("inner"))
        caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
        execution = started(line(call(callee)), caller)
        child = execution.children.get()
        pinned = save_line(callee, form("inner"), extra())
        moved = move(execution)
        child.refresh_from_db()
        execution.refresh_from_db()
        assert child.version == pinned and moved.is_moved
        assert [pin.version for pin in execution.pins] == [pinned]
        assert [row.execution for row in Move.objects.all()] == [execution, child]
        services.submit(child, data={"note": "n"})
        execution.refresh_from_db()
        execution.entity.refresh_from_db()
        assert execution.status == Status.COMPLETED
        assert execution.entity.fields["seen"] is True

    def test_tree_moves_together_when_only_the_grandchild_is_open(self) -> None:
        third = WorkflowFactory()
        kind = third.entity_name_type
        second = WorkflowFactory(entity_name_type=kind)
        first = WorkflowFactory(entity_name_type=kind)
        save_line(third, form("deep"))
        save_line(second, call(third))
        execution = started(line(call(second)), first)
        deep = Execution.objects.get(workflow=third)
        save_line(third, form("deeper"))
        assert obstacles(execution) == ["no_target"]
        codes = ["unknown_node", "unknown_target", "no_target"]
        assert obstacles(execution, mapping={"deep": "deeper"}) == codes
        wrong = {f"{third.cuid}/deep": "nowhere", f"{second.cuid}/nowhere": "deeper"}
        assert set(obstacles(execution, mapping=wrong)) == {"unknown_target", "unknown_node"}
        move(execution, mapping={f"{third.cuid}/deep": "deeper"})
        assert open_nodes(deep) == {"deeper"}
        services.submit(deep, data={"note": "n"})
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_call_of_another_workflow_is_an_obstacle_unless_it_begins_again(self) -> None:
        callee = WorkflowFactory()
        kind = callee.entity_name_type
        other = WorkflowFactory(entity_name_type=kind)
        save_line(callee, form("inner"))
        save_line(other, form("inner"))
        execution = started(line(call(callee)), WorkflowFactory(entity_name_type=kind))
        child = execution.children.get()
        save(execution.workflow, line(call(other)))
        assert obstacles(execution) == ["other_callee", "not_called"]
        move(execution, mapping={"call": {"node": "call", "restart_step": True}})
        child.refresh_from_db()
        assert child.status == Status.CANCELLED
        assert execution.children.get(workflow=other).status == Status.WAITING


class TestBranches:
    NODES = {
        "start": "start",
        "fork": "parallel",
        "a": "user_action",
        "b": "user_action",
        "join": "join",
        "end": "end",
    }
    EDGES = ("start>fork", "fork>a", "fork>b", "a>join", "b>join", "join>end")

    def start(self) -> Execution:
        return started(source(self.NODES, *self.EDGES))

    def submit(self, execution: Execution, node: str) -> None:
        services.submit(execution, node=node, data={"note": "n"})
        execution.refresh_from_db()

    def test_both_branches_continue(self) -> None:
        execution = self.start()
        nodes = {**self.NODES, "c": "user_action"}
        edges = ("start>fork", "fork>a", "fork>b", "a>c", "c>join", "b>join", "join>end")
        save(execution.workflow, source(nodes, *edges))
        move(execution)
        for node in ("a", "c", "b"):
            self.submit(execution, node)
        assert execution.status == Status.COMPLETED

    def test_half_arrived_join_waits_for_the_other_branch(self) -> None:
        execution = self.start()
        self.submit(execution, "a")
        nodes = {**self.NODES, "meet": "join"}
        del nodes["join"]
        edges = [edge.replace("join", "meet") for edge in self.EDGES]
        save(execution.workflow, source(nodes, *edges))
        move(execution, mapping={"join": "meet"})
        assert open_nodes(execution) == {"b", "meet"}
        self.submit(execution, "b")
        assert execution.status == Status.COMPLETED

    def test_arrival_over_a_deleted_edge_is_an_obstacle(self) -> None:
        execution = self.start()
        self.submit(execution, "a")
        nodes = {**self.NODES, "a2": "user_action"}
        del nodes["a"]
        edges = ("start>fork", "fork>a2", "fork>b", "a2>join", "b>join", "join>end")
        save(execution.workflow, source(nodes, *edges))
        assert obstacles(execution) == ["lost_arrival"]
        move(execution, mapping={"a": "a2"})
        assert open_nodes(execution) == {"b", "join"}
        self.submit(execution, "b")
        assert execution.status == Status.COMPLETED

    def test_later_branch_is_absorbed_over_its_renamed_edge(self) -> None:
        partial = {"type": "join", "data": {"needed": 1}}
        nodes: dict[str, Any] = {**self.NODES, "join": partial, "done": "user_action"}
        edges = (*self.EDGES[:-1], "join>done", "done>end")
        execution = started(source(nodes, *edges))
        self.submit(execution, "a")
        del nodes["b"]
        renamed = [edge.replace("b", "late") for edge in edges]
        save(execution.workflow, source({**nodes, "late": "user_action"}, *renamed))
        assert obstacles(execution, mapping={"b": "done"}) == ["lost_arrival"]
        move(execution, mapping={"b": "late"})
        assert open_nodes(execution) == {"late", "join", "done"}
        self.submit(execution, "done")
        self.submit(execution, "late")
        assert execution.status == Status.COMPLETED
        assert execution.steps.filter(node_id="done").count() == 1

    def test_arrival_at_a_join_with_an_incident_keeps_its_edge(self) -> None:
        execution = self.start()
        self.submit(execution, "a")
        give_incident(execution.steps.open().get(node_id="join"))
        nodes: dict[str, Any] = {**self.NODES, "a2": "user_action"}
        del nodes["a"]
        edges = [edge.replace("a>", "a2>").replace(">a", ">a2") for edge in self.EDGES[1:]]
        save(execution.workflow, source(nodes, "start>fork", *edges))
        assert obstacles(execution) == ["lost_arrival"]
        move(execution, mapping={"a": "a2"})
        join = execution.steps.get(node_id="join")
        assert join.state == "incident" and join.input == {"arrived": ["a2"]}

    def test_join_is_released_when_no_branch_can_arrive_any_more(self) -> None:
        execution = self.start()
        self.submit(execution, "a")
        nodes = {**self.NODES, "late": "user_action", "end2": "end"}
        edges = (*self.EDGES[:4], "b>join", "join>late", "late>end")
        del nodes["end2"]
        save(execution.workflow, source(nodes, *edges))
        move(execution, mapping={"b": "late"})
        assert sorted(open_nodes(execution)) == ["late"]
        assert execution.steps.open().count() == 2

    def test_two_joins_at_one_node_are_an_obstacle(self) -> None:
        nodes = {
            "start": "start",
            "outer": "parallel",
            "one": "parallel",
            "two": "parallel",
            **dict.fromkeys(("a", "b", "c", "d"), "user_action"),
            "j1": "join",
            "j2": "join",
            "all": "join",
            "end": "end",
        }
        edges = (
            *("start>outer", "outer>one", "outer>two", "one>a", "one>b", "two>c", "two>d"),
            *("a>j1", "b>j1", "c>j2", "d>j2", "j1>all", "j2>all", "all>end"),
        )
        execution = started(source(nodes, *edges))
        self.submit(execution, "a")
        self.submit(execution, "c")
        merged = [edge.replace("j2", "j1") for edge in edges if edge != "j2>all"]
        del nodes["j2"], nodes["all"]
        merged = [edge for edge in merged if not edge.startswith("j1>")]
        merged = [edge for edge in merged if edge != "all>end"] + ["j1>end"]
        save(execution.workflow, source(nodes, *merged))
        assert obstacles(execution, mapping={"j2": "j1"}) == ["join_not_released"]
        move(execution, mapping={"j2": {"node": "j1", "restart_step": True}})
        for node in ("b", "d"):
            self.submit(execution, node)
        assert execution.status == Status.COMPLETED


class TestItems:
    """Calls with ``for_each``, of which one item of three has completed."""

    def start(self) -> Execution:
        self.callee = for_each.callee_with()
        execution = for_each.started(for_each.calling(self.callee))
        for_each.answer(execution, 0)
        return execution

    def save_call(self, execution: Execution, *before: dict[str, Any], **data: Any) -> None:
        node: dict[str, Any] = {"id": "call", "type": "run_workflow"}
        node["data"] = {"workflow": self.callee.cuid, **data}
        correct(execution, node, form("last"), *before)

    def test_half_done_call_goes_on_with_its_items(self) -> None:
        execution = self.start()
        save_line(self.callee, form("ask", for_each.ANSWER), extra())
        labels = sorted(step.label for step in execution.steps.open())
        move(execution)
        assert sorted(step.label for step in execution.steps.open()) == labels
        for item in (1, 2):
            for_each.answer(execution, item)
        assert for_each.state(execution)[1] == [{"said": name} for name in ("ANN", "BOB", "CID")]
        assert open_nodes(execution) == {"last"}

    def test_new_deadline_is_that_of_the_call_and_not_of_its_items(self) -> None:
        execution = self.start()
        graph = deepcopy(execution.version.source)
        call = next(node for node in graph["nodes"] if node["id"] == "call")
        call["data"]["deadline"] = "P3D"
        save(execution.workflow, graph)
        move(execution, retime=True)
        dated = execution.steps.open().exclude(due_at=None)
        assert [step.label for step in dated] == ["Ask"]
        assert Job.objects.count() == 1

    def test_call_without_items_is_an_obstacle_unless_it_begins_again(self) -> None:
        execution = self.start()
        self.save_call(execution)
        assert set(obstacles(execution)) == {"other_items"}
        move(execution, mapping={"call": {"node": "call", "restart_step": True}})
        assert execution.steps.open().count() == 1
        assert execution.children.live().count() == 1
