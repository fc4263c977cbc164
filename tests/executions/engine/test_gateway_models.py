"""Forks, joins and loops as other BPMN engines run them.

Each model has the shape of one of SpiffWorkflow's models of parallel and inclusive gateways,
and offers the same forms in the same order of completion. An inclusive split is a ``parallel``
into a ``condition`` for each branch. Not expressible: a gateway that fails when no condition
holds (a ``condition`` always has its ``default``), an exit condition on a join itself, and the
order of tasks by their place on the canvas (forms are offered in the order of the edges).
"""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from executions import services
from executions.models import Status
from tests.executions.engine.gateway_scripts import (
    Script,
    in_order,
    run,
    source_of,
)
from tests.executions.engine.in_memory import Running
from tests.executions.engine.test_branches import open_nodes, source, started, submit
from tests.executions.engine.test_patterns import calling, with_callee


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_join_waits_for_all_branches_when_each_has_a_form(order: tuple[str, ...]) -> None:
    lines = "start>first>fork>a|b|c>join>last>end"
    rest = in_order(" ".join(order), "last")
    run(lines, [("", "first"), ("first", "a b c"), *rest[1:], ("last", "")])


def test_fork_opens_forms_in_the_order_of_its_edges() -> None:
    running = Running(source_of("start>fork>d|b|a|c>join>end"))
    assert [step.node_id for step in running.open_steps] == ["d", "b", "a", "c"]


class TestLongBranches:
    CHAINS = "start>fork>choose_1|choose_2 choose_1>ask_1 choose_2>ask_2 "
    FIRST = "ask_1.yes>a1>a2>a3>join ask_2.yes>b1>b2>b3>join join>done>end "
    NO_END = CHAINS + FIRST + "ask_1.default>no_1>end ask_2.default>no_2>end"
    NO_ON = CHAINS + FIRST + "ask_1.default>no_1>a2 ask_2.default>no_2>b2"

    def test_branches_alternate(self) -> None:
        run(
            self.NO_ON,
            [
                ("choose_1=yes", "a1 choose_2"),
                ("choose_2=yes", "a1 b1"),
                ("a1", "a2 b1"),
                ("b1", "a2 b2"),
                ("a2", "a3 b2"),
                ("b2", "a3 b3"),
                ("a3", "b3"),
                ("b3", "done"),
                ("done", ""),
            ],
        )

    def test_join_waits_for_a_branch_that_has_not_started(self) -> None:
        run(
            self.NO_ON,
            [
                ("choose_1=yes", "a1 choose_2"),
                ("a1", "a2 choose_2"),
                ("a2", "a3 choose_2"),
                ("a3", "choose_2"),
                ("choose_2", "no_2"),
                ("no_2", "b2"),
                ("b2", "b3"),
                ("b3", "done"),
                ("done", ""),
            ],
        )

    def test_join_continues_when_the_other_branch_takes_another_path(self) -> None:
        run(
            self.NO_END,
            [
                ("choose_1=yes", "a1 choose_2"),
                ("a1", "a2 choose_2"),
                ("a2", "a3 choose_2"),
                ("a3", "choose_2"),
                ("choose_2", "done no_2"),
                ("done", "no_2"),
                ("no_2", ""),
            ],
        )

    def test_join_does_not_wait_when_the_other_branch_took_another_path_before(self) -> None:
        run(
            self.NO_END,
            [
                ("choose_2", "choose_1 no_2"),
                ("choose_1=yes", "a1 no_2"),
                ("a1", "a2 no_2"),
                ("a2", "a3 no_2"),
                ("a3", "done no_2"),
                ("done", "no_2"),
                ("no_2", ""),
            ],
        )


class TestForkInAForkInALoop:
    LINES = (
        "start>go>fork>one|two one>join two>fork_2>two_a|two_b>join_2>two_done>join>retry>ask "
        "ask.yes>go ask.default>done>end"
    )
    ROUND: Script = [
        ("go", "one two"),
        ("one", "two"),
        ("two", "two_a two_b"),
        ("two_a", "two_b"),
        ("two_b", "two_done"),
        ("two_done", "retry"),
    ]

    @pytest.mark.parametrize("rounds", [1, 2, 3])
    def test_outer_join_waits_for_the_inner_branch_in_each_round(self, rounds: int) -> None:
        script = self.ROUND + [("retry=yes", "go"), *self.ROUND] * (rounds - 1)
        run(self.LINES, [*script, ("retry", "done"), ("done", "")])

    def test_outer_join_waits_when_the_inner_branches_are_first(self) -> None:
        script = [
            ("go", "one two"),
            ("two", "one two_a two_b"),
            ("two_b", "one two_a"),
            ("two_a", "one two_done"),
            ("two_done", "one"),
            ("one", "retry"),
            ("retry", "done"),
            ("done", ""),
        ]
        run(self.LINES, script)


class TestManyBranchesAtOneNode:
    LINES = "start>fork>a|b|c|d>done>end"

    def test_branches_continue_independently_without_a_join(self) -> None:
        run(
            self.LINES,
            [
                ("a", "b c d done"),
                ("b", "c d done done"),
                ("done", "c d done"),
                ("c", "d done done"),
                ("d", "done done done"),
                ("done", "done done"),
                ("done", "done"),
                ("done", ""),
            ],
        )

    @pytest.mark.django_db
    def test_call_continues_once_when_all_branches_of_the_callee_have_ended(self) -> None:
        inner = "start>fork fork>a1 fork>b1 fork>a2 fork>b2 a1>j1 b1>j1 a2>j2 b2>j2 j1>in j2>in"
        forms: dict[str, Any] = dict.fromkeys(("a1", "b1", "a2", "b2", "in"), "user_action")
        caller, callee = with_callee(
            *inner.split(), "in>end", **forms, fork="parallel", j1="join", j2="join"
        )
        nodes: dict[str, Any] = {"out": "user_action"}
        nodes |= {"start": "start", "fork": "parallel", "end": "end"}
        edges = ["start>fork", "out>end"]
        for outer in ("1", "2"):
            nodes[f"j{outer}"] = "join"
            edges.append(f"j{outer}>out")
            for branch in ("a", "b"):
                nodes[branch + outer] = calling(callee)
                edges += [f"fork>{branch}{outer}", f"{branch}{outer}>j{outer}"]
        execution = started(source(nodes, *edges), caller)
        children = {
            step.node_id: step.child for step in execution.steps.open().select_related("child")
        }
        for number, name in enumerate(("a1", "b1", "a2", "b2"), start=1):
            child = children[name]
            assert child is not None
            submit(child, "a1", "b1")
            assert open_nodes(child) == {"a2", "b2", "in"}
            submit(child, "in", "a2", "b2", "in")
            opened = execution.steps.filter(node_id="out").count()
            assert opened == number // 2, "each of the two joins goes on when its second call has"
        for step in execution.steps.open():
            services.submit(execution, step=step.cuid, data={})
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED


class TestSplitsAndJoins:
    LINES = (
        "start>fork>one|two one>fork_1>a1|b1>join_1>done_1>join "
        "two>fork_2>a2|b2>join_2>done_2>join join>done>end"
    )

    @pytest.mark.parametrize(
        "order",
        [
            "one two a1 a2 b1 b2 done_1 done_2",
            "one two b1 b2 a2 done_2 a1 done_1",
            "one a1 b1 done_1 two a2 b2 done_2",
            "two one a2 b2 a1 done_2 b1 done_1",
        ],
    )
    def test_outer_join_waits_for_both_inner_joins(self, order: str) -> None:
        running = Running(source_of(self.LINES))
        for name in order.split():
            assert "done" not in running.offered
            running.submit(name)
        assert running.offered == ["done"]
        running.submit("done")
        assert running.is_completed

    def test_join_waits_for_three_branches_of_two_forks(self) -> None:
        run(
            "start>fork>first|c2 first>fork_2>c1|c3 c1>ask_1 c2>ask_2 c3>ask_3 "
            "ask_1.yes>y1>join ask_1.default>n1>join ask_2.yes>y2>join ask_2.default>n2>join "
            "ask_3.yes>y3>join ask_3.default>n3>join join>done>end",
            [
                ("first", "c1 c2 c3"),
                ("c1=yes", "c2 c3 y1"),
                ("c2=yes", "c3 y1 y2"),
                ("c3=yes", "y1 y2 y3"),
                ("y1", "y2 y3"),
                ("y2", "y3"),
                ("y3", "done"),
                ("done", ""),
            ],
        )

    def test_joins_meet_in_a_join_when_no_form_lies_between(self) -> None:
        rows = [f"fork_{n}>{n}1|{n}2|{n}3>join_{n}>join" for n in "abc"]
        lines = f"start>first>fork>fork_a|fork_b|fork_c {' '.join(rows)} join>d>end"
        names = [name + number for name in "abc" for number in "123"]
        run(lines, [("first", " ".join(names)), *in_order(" ".join(names), "d")[1:], ("d", "")])


class TestBranchThatEnds:
    LINES = (
        "start>fork>parallel|choice choice>ask ask.yes>yes>join ask.default>end_2 "
        "parallel>join>done>end"
    )

    @pytest.mark.parametrize(
        "script",
        [
            [("parallel", "choice"), ("choice", "done"), ("done", "")],
            [("choice", "parallel"), ("parallel", "done"), ("done", "")],
            [("parallel", "choice"), ("choice=yes", "yes"), ("yes", "done"), ("done", "")],
        ],
    )
    def test_join_continues_without_the_branch(self, script: Script) -> None:
        run(self.LINES, script)


class TestChoiceInABranch:
    LINES = (
        "start>fork>parallel|choice choice>ask ask.yes>yes>join ask.default>no>join "
        "parallel>join>done>end"
    )
    MERGED = (
        "start>fork>parallel|choice choice>ask ask.yes>yes>merge ask.default>no>merge "
        "merge>join parallel>join join>done>end"
    )

    @pytest.mark.parametrize(
        "script",
        [
            [("parallel", "choice"), ("choice=yes", "yes"), ("yes", "done"), ("done", "")],
            [("choice=yes", "parallel yes"), ("parallel", "yes"), ("yes", "done"), ("done", "")],
            [("choice=yes", "parallel yes"), ("yes", "parallel"), ("parallel", "done")],
            [("choice", "no parallel"), ("no", "parallel"), ("parallel", "done")],
        ],
    )
    def test_join_waits_only_for_the_chosen_path(self, script: Script) -> None:
        run(self.LINES, script)

    def test_join_waits_when_the_paths_meet_before_it(self) -> None:
        run(
            self.MERGED,
            [
                ("choice=yes", "parallel yes"),
                ("parallel", "yes"),
                ("yes", "merge"),
                ("merge", "done"),
                ("done", ""),
            ],
        )


class TestTwoBranchesThroughOneForm:
    """Both branches arrive over the same edge: the join continues once for each."""

    LINES = (
        "start>fork>again|choice choice>ask ask.yes>yes>again ask.default>no>join "
        "again>join>done>end"
    )

    def test_join_continues_when_the_other_branch_can_arrive_over_the_same_edge(self) -> None:
        run(
            self.LINES,
            [
                ("again", "choice done"),
                ("done", "choice"),
                ("choice=yes", "yes"),
                ("yes", "again"),
                ("again", "done"),
                ("done", ""),
            ],
        )

    def test_join_continues_when_the_other_branch_only_arrives_over_the_same_edge(self) -> None:
        run(
            self.LINES,
            [
                ("choice=yes", "again yes"),
                ("yes", "again again"),
                ("again", "again done"),
                ("done", "again"),
                ("again", "done"),
                ("done", ""),
            ],
        )

    def test_join_continues_again_when_the_other_branch_arrives_later(self) -> None:
        run(
            self.LINES,
            [
                ("again", "choice done"),
                ("done", "choice"),
                ("choice", "no"),
                ("no", "done"),
                ("done", ""),
            ],
        )

    @pytest.mark.parametrize("order", ["no again", "again no"])
    def test_join_waits_when_the_other_branch_arrives_over_another_edge(self, order: str) -> None:
        first, second = order.split()
        run(
            self.LINES,
            [("choice", "again no"), (first, second), (second, "done"), ("done", "")],
        )


class TestInclusiveSplit:
    """Each branch has its own condition; the default is taken if none holds."""

    NONE: dict[str, Any] = {
        "all": [{"not": {"field": name, "op": "eq", "value": 1}} for name in "uw"]
    }

    def source(self) -> dict[str, Any]:
        graph = source_of(
            "start>set>fork>ask_u|ask_w|ask_v ask_u.yes>u>join ask_u.default>join "
            "ask_w.yes>w>join ask_w.default>join ask_v.yes>v>join ask_v.default>join join>end"
        )
        rules = {"ask_v": self.NONE}
        for name in "uw":
            rules[f"ask_{name}"] = {"field": name, "op": "eq", "value": 1}
        for one in graph["nodes"]:
            if one["id"] in rules:
                one["data"]["branches"][0]["rule"] = rules[one["id"]]
        return graph

    @pytest.mark.parametrize(
        ("fields", "offered"),
        [({}, ["v"]), ({"u": 1}, ["u"]), ({"w": 1}, ["w"]), ({"u": 1, "w": 1}, ["u", "w"])],
    )
    def test_join_waits_for_the_branches_that_were_taken(
        self, fields: dict[str, int], offered: list[str]
    ) -> None:
        running = Running(self.source(), **fields)
        running.submit("set")
        while offered:
            assert running.offered == offered
            running.submit(offered.pop(0))
        assert running.is_completed


def test_join_passes_one_branch_when_it_starts_a_loop() -> None:
    run(
        "start>join>work>ask ask.yes>task>join ask.default>end",
        [("", "work"), ("work=yes", "task"), ("task", "work"), ("work", "")],
    )


def test_choice_can_bypass_fork_and_join() -> None:
    lines = "start>set>ask ask.yes>end ask.default>fork>p1|p2>join>end"
    run(lines, [("set=yes", "")])
    run(lines, [("set", "p1 p2"), ("p2", "p1"), ("p1", "")])
