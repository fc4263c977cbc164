"""Joins: the branches that a join waits for and consumes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from executions import services
from executions.models import Execution, Status, Step, Visits
from tests.executions.engine.gateway_scripts import run, source_of
from tests.executions.engine.in_memory import Running
from tests.executions.engine.test_branches import condition, open_nodes, source, started, submit
from tests.executions.engine.test_never_stuck import fail_at
from workflows.graph import parse

# The edge of an arrival


def test_join_waits_for_both_when_a_fork_has_two_edges_to_it() -> None:
    running = Running(source_of("start>fork>join|join|a join>b>end a>end"))
    assert running.offered == ["a", "b"]


def test_join_distinguishes_a_direct_edge_from_a_branch() -> None:
    run("start>fork>join|a|join a>join join>b>end", [("", "a"), ("a", "b"), ("b", "")])


def test_join_distinguishes_two_exits_of_a_condition() -> None:
    lines = "start>fork>a|b a>ask ask.yes>join ask.default>join b>join join>done>end"
    for answer in ("yes", "no"):
        run(lines, [(f"a={answer}", "b"), ("b", "done"), ("done", "")])


def test_edges_are_numbered_when_they_have_the_same_ends() -> None:
    graph = parse(source_of("start>fork>join|a|join a>join join>b>end"))
    assert [edge.name for edge in graph.incoming("join")] == [
        "fork",
        ["fork", None, 2],
        "a",
    ]


def test_edge_is_named_by_its_exit_when_it_has_one() -> None:
    graph = parse(source_of("start>a>ask ask.yes>a ask.default>end"))
    assert [edge.name for edge in graph.incoming("a")] == ["start", ["ask", "yes"]]


# One arrival per edge

MEETING = "start>fork>a|b|c a|b>meet>join c>join join>done>end"


def meeting() -> Running:
    """Two branches arrive at the join over one edge, and one over another."""
    graph = source_of(MEETING)
    for node in graph["nodes"]:
        if node["id"] == "meet":
            node.update(type="set_state", data={"state": "Met"})
    running = Running(graph)
    running.submit("a")
    running.submit("b")
    assert running.open_nodes == ["c", "join"]
    return running


def test_join_continues_twice_when_two_branches_arrived_over_one_edge() -> None:
    running = meeting()
    running.submit("c")
    assert running.offered == ["done", "done"]
    running.submit("done")
    running.submit("done")
    assert running.is_completed


def test_branch_keeps_waiting_when_an_operator_skips_the_join() -> None:
    running = meeting()
    running.skip("join")
    assert running.open_nodes == ["c", "done", "join"]
    running.submit("c")
    assert running.offered == ["done", "done"]


def test_join_consumes_one_arrival_per_edge_in_a_second_round() -> None:
    """A fast branch arrives again while the slow one is still in the first round."""
    graph = source_of(
        "start>fork>slow|go slow>join go>fork_2>fast|ask fast>join ask.yes>go ask.default>end "
        "join>done>end"
    )
    running = Running(graph)
    for _ in range(2):
        running.submit("go", answer=True)
        running.submit("fast")
        assert running.offered == ["go", "slow"], "the slow branch is still to come"
    running.submit("slow")
    assert running.offered == ["done", "done", "go"]
    running.submit("go", answer=False)
    running.submit("fast")
    assert running.offered == ["done", "done", "done"], "the third round waits for nobody"


# Joins that wait for each other

RING = (
    "start>fork>join_1|join_2|join_3|far join_1>ask_1 join_2>ask_2 join_3>ask_3 "
    "ask_1.yes>join_2 ask_2.yes>join_3 ask_3.yes>join_1 "
    "ask_1.default>a>end ask_2.default>b>end ask_3.default>c>end far>end"
)


def test_joins_continue_when_three_wait_for_each_other() -> None:
    running = Running(source_of(RING))
    assert running.offered == ["a", "b", "c", "far"]


def test_joins_wait_when_a_branch_can_still_reach_one_of_them() -> None:
    lines = RING.replace("far>end", "far>ask_f ask_f.yes>join_3 ask_f.default>end")
    running = Running(source_of(lines))
    assert running.open_nodes == ["far", "join_1", "join_2", "join_3"]
    running.submit("far", answer=False)
    assert running.offered == ["a", "b", "c"]


def test_inner_join_goes_first_when_inner_and_outer_are_on_one_loop() -> None:
    lines = (
        "start>fork>one|fork_2 fork_2>two|three>join_2>inner>join one>join "
        "join>outer>ask ask.yes>fork ask.default>end"
    )
    for order in (["one", "two", "three"], ["two", "three", "one"], ["two", "one", "three"]):
        running = Running(source_of(lines))
        for _ in range(2):
            for name in order:
                assert "outer" not in running.offered
                running.submit(name)
            assert running.offered == ["inner"]
            running.submit("inner")
            running.submit("outer", answer=True)
        assert running.offered == ["one", "three", "two"]


def test_join_continues_when_it_leads_into_itself() -> None:
    run(
        "start>join>a>ask ask.yes>join ask.default>end",
        [("a=yes", "a"), ("a=yes", "a"), ("a", "")],
    )


def test_wide_join_waits_for_the_last_of_many_branches() -> None:
    names = [f"f{number}" for number in range(300)]
    running = Running(source_of(f"start>fork>{'|'.join(names)}>join>done>end"))
    for name in names:
        assert "done" not in running.offered
        running.submit(name)
    assert running.offered == ["done"]


def test_long_row_is_passed_when_it_has_fewer_nodes_than_the_budget() -> None:
    row = [f"n{number}" for number in range(4_000)]
    nodes = {name: {"type": "set_state", "data": {"state": name}} for name in row}
    edges = [f"{one}>{other}" for one, other in pairwise(["start", *row, "end"])]
    assert Running(source({"start": "start", **nodes, "end": "end"}, *edges)).is_completed


# Storage

LOOP: dict[str, str | dict[str, Any]] = {
    "start": "start",
    "fork": "parallel",
    "one": "user_action",
    "inner": "parallel",
    "two": "user_action",
    "three": "user_action",
    "inner_join": "join",
    "between": "user_action",
    "join": "join",
    "again": "user_action",
    "ask": condition("on", "on"),
    "end": "end",
}
LOOP_EDGES = (
    *("start>fork", "fork>one", "fork>inner", "inner>two", "inner>three", "two>inner_join"),
    *("three>inner_join", "inner_join>between", "between>join", "one>join", "join>again"),
    *("again>ask", "ask.on>fork", "ask.default>end"),
)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("invariants")
@pytest.mark.both_databases
class TestStored:
    def started(self) -> Execution:
        return started(source(LOOP, *LOOP_EDGES), on=True)

    def test_open_step_names_the_edges_of_its_arrivals(self) -> None:
        execution = self.started()
        submit(execution, "one", "two")
        steps = execution.steps.open().filter(type="join")
        assert dict(steps.values_list("node_id", "input")) == {
            "join": {"arrived": ["one"]},
            "inner_join": {"arrived": ["two"]},
        }
        submit(execution, "three")
        assert open_nodes(execution) == {"join", "between"}
        passed = [step for step in Visits(execution) if step.node_id == "inner_join"]
        assert [step.input for step in passed] == [
            {"arrived": ["two", "three"]},
            {"arrived": ["three"]},
        ]

    @pytest.mark.parametrize("rounds", [1, 3])
    def test_outer_join_waits_in_each_round(self, rounds: int) -> None:
        execution = self.started()
        for _ in range(rounds):
            submit(execution, "one", "two", "three")
            assert open_nodes(execution) == {"join", "between"}
            submit(execution, "between")
            assert open_nodes(execution) == {"again"}
            submit(execution, "again")
        assert open_nodes(execution) == {"one", "two", "three"}

    def test_two_branches_of_one_edge_wait_when_another_can_arrive(self) -> None:
        nodes: dict[str, str | dict[str, Any]] = {
            "start": "start",
            "fork": "parallel",
            "a": "user_action",
            "b": "user_action",
            "c": "user_action",
            "meet": {"type": "set_state", "data": {"state": "Met"}},
            "join": "join",
            "done": "user_action",
            "end": "end",
        }
        edges = ["start>fork", "fork>a", "fork>b", "fork>c", "a>meet", "b>meet", "meet>join"]
        execution = started(source(nodes, *edges, "c>join", "join>done", "done>end"))
        submit(execution, "a", "b")
        assert execution.steps.open().get(type="join").input == {"arrived": ["meet", "meet"]}
        submit(execution, "c")
        steps = list(execution.steps.open())
        assert [step.node_id for step in steps] == ["done", "done"]
        for step in steps:
            services.submit(execution, step=step.cuid, data={})
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    @pytest.mark.parametrize("stored", [None, {"arrived": []}, {"arrived": "one"}, "one"])
    def test_join_waits_and_continues_when_the_edges_are_unknown(self, stored: Any) -> None:
        """Steps of earlier releases have no edges."""
        execution = self.started()
        submit(execution, "one", "two")
        Step.objects.filter(execution=execution, type="join", state="open").update(input=stored)
        submit(execution, "three")
        assert open_nodes(execution) == {"join", "between"}
        submit(execution, "between")
        assert open_nodes(execution) == {"again"}

    def test_join_waits_for_a_branch_that_has_an_incident_there_by_another_edge(self) -> None:
        execution = self.started()
        submit(execution, "two")
        step = fail_at(execution, "three", "inner_join", "join")
        Step.objects.filter(pk=step.pk).update(input={"arrived": ["three"]})
        submit(execution, "one")
        assert open_nodes(execution) == {"join", "inner_join"}
        services.retry(execution, step=step.cuid)
        assert open_nodes(execution) == {"join", "between"}
        passed = execution.steps.filter(node_id="inner_join").order_by("pk").last()
        assert passed is not None
        assert passed.input == {"arrived": ["two", "three"]}

    def test_cancel_closes_all_when_branches_wait_at_joins(self) -> None:
        execution = self.started()
        submit(execution, "one", "two")
        assert services.cancel(execution).status == Status.CANCELLED
        assert open_nodes(execution) == set()
