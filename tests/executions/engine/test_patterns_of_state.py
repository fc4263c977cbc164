"""The patterns of multiple instances, states and cancellation (see ``test_patterns.py``)."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest

from executions import services
from executions.models import Job, Status
from executions.worker import queue
from tests.executions.engine.peer_models import when
from tests.executions.engine.test_branches import condition, open_nodes, source, started, submit
from tests.executions.engine.test_patterns import (
    BOTH,
    FORM,
    Nodes,
    ask,
    calling,
    holding,
    passed,
    setting,
    with_callee,
)
from tests.factories import FindingFactory, WorkflowFactory, voter
from workflows import editing
from workflows.graph import WorkflowValidationError

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

# Forks an instance of the work in each round.
ASKING: Nodes = {
    "start": "start",
    "more": ask("another"),
    "way": holding("another"),
    "fork": "parallel",
    "work": FORM,
    "end": "end",
}
ANOTHER = ("start>more", "more>way", "way.yes>fork", "fork>work", "fork>more")


class TestSeveralInstances:
    def test_12_multiple_instances_without_synchronization(self) -> None:
        """A loop that forks one instance per round."""
        execution = started(source(ASKING, *ANOTHER, "work>end", "way.default>end"))
        for _ in range(3):
            services.submit(execution, node="more", data={"another": True})
        services.submit(execution, node="more", data={"another": False})
        steps = list(execution.steps.open())
        assert [step.node_id for step in steps] == ["work"] * 3
        for step in steps:
            execution.refresh_from_db()
            assert execution.status == Status.WAITING
            services.submit(execution, step=step.cuid, data={})
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_13_multiple_instances_known_at_design_time(self) -> None:
        """A fixed number of calls of one workflow, and a join."""
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        nodes: Nodes = {"start": "start", "fork": "parallel", "join": "join", "end": "end"}
        edges = ["start>fork", "join>end"]
        for name in ("one", "two", "three"):
            nodes[name] = calling(callee)
            edges += [f"fork>{name}", f"{name}>join"]
        execution = started(source(nodes, *edges), caller)
        children = list(execution.children.live())
        assert len(children) == 3
        for child in children:
            execution.refresh_from_db()
            assert execution.status == Status.WAITING
            submit(child, "work")
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    @pytest.mark.parametrize("number", [0, 1, 2, 3])
    def test_14_multiple_instances_known_at_run_time(self, number: int) -> None:
        """A call for each item of a list that a field holds."""
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        each = {"items": {"field": "owners"}, "as": "owner"}
        call = {"type": "run_workflow", "data": {"workflow": callee.cuid, "for_each": each}}
        nodes: Nodes = {"start": "start", "call": call, "end": "end"}
        owners = [f"owner {place}" for place in range(number)]
        execution = started(source(nodes, "start>call", "call>end"), caller, owners=owners)
        children = list(execution.children.live())
        assert sorted(child.variables["owner"] for child in children) == owners
        for child in children:
            submit(child, "work")
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_15_multiple_instances_not_known_before(self) -> None:
        """As 12, in a callee: the call continues when all instances have ended."""
        edges = (*ANOTHER, "work>end", "way.default>end")
        caller, callee = with_callee(*edges, **ASKING)
        nodes: Nodes = {"start": "start", "call": calling(callee), "after": FORM, "end": "end"}
        execution = started(source(nodes, "start>call", "call>after", "after>end"), caller)
        child = execution.children.get()
        services.submit(child, node="more", data={"another": True})
        submit(child, "work")
        assert open_nodes(child) == {"more"}, "one is done; more may come"
        services.submit(child, node="more", data={"another": True})
        services.submit(child, node="more", data={"another": False})
        assert (open_nodes(child), open_nodes(execution)) == ({"work"}, {"call"})
        submit(child, "work")
        assert open_nodes(execution) == {"after"}
        assert submit(execution, "after").status == Status.COMPLETED
        assert (passed(child, "work"), passed(execution, "after")) == (2, 1)

    def test_15_join_behind_the_loop_continues_for_each_instance(self) -> None:
        """Each instance arrives over the same edge, so the join waits for none of the others."""
        nodes: Nodes = {**ASKING, "join": "join", "after": FORM}
        behind = ("work>join", "way.default>join", "join>after", "after>end")
        execution = started(source(nodes, *ANOTHER, *behind))
        services.submit(execution, node="more", data={"another": True})
        submit(execution, "work")
        assert open_nodes(execution) == {"after", "more"}


class TestState:
    @pytest.mark.parametrize(("approves", "taken"), [(True, "a"), (False, "b")])
    def test_16_deferred_choice(self, approves: bool, taken: str) -> None:
        """Approximated: the first vote makes the choice, not the first event."""
        nodes: Nodes = {
            "start": "start",
            "vote": {"type": "approval", "data": {"users": ["ada"]}},
            "a": FORM,
            "b": FORM,
            "end": "end",
        }
        graph = source(nodes, "start>vote", "vote.approved>a", "vote.rejected>b", "a>end", "b>end")
        ada = voter("ada")
        execution = started(graph)
        assert open_nodes(execution) == {"vote"}, "nothing is decided by data"
        services.vote(execution, node="vote", approves=approves, by=ada)
        assert open_nodes(execution) == {taken}

    def test_16_deferred_choice_between_a_person_and_a_timer(self) -> None:
        node = {"type": FORM, "data": {"fields": [], "deadline": "PT1H"}}
        nodes: Nodes = {"start": "start", "a": node, "b": FORM, "end": "end"}
        execution = started(source(nodes, "start>a", "a>end", "a.timeout>b", "b>end"))
        Job.objects.update(due_at=execution.started_at - timedelta(hours=1))
        queue.serve_due()
        assert open_nodes(execution) == {"b"}

    def test_16_deferred_choice_between_forms(self) -> None:
        join = {"type": "join", "data": {"needed": 1, "others": "cancel"}}
        nodes: Nodes = {**BOTH, "join": join, "after": FORM}
        edges = ("start>fork", "fork>a", "fork>b", "a>join", "b>join", "join>after", "after>end")
        execution = started(source(nodes, *edges))
        submit(execution, "b")
        assert open_nodes(execution) == {"after"}

    @pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
    def test_17_interleaved_parallel_routing(self, order: tuple[str, ...]) -> None:
        """All activities that are left are offered; beginning one withdraws the others."""
        nodes: Nodes = {"start": "start", "fork": "parallel", "last": FORM, "end": "end"}
        nodes["join"] = {"type": "join", "data": {"needed": 1, "others": "cancel"}}
        edges = ["start>fork", "join>is_a", "last>end"]
        for name in "abc":
            nodes |= {
                f"if_{name}": condition("on", f"${name}_done"),
                f"begin_{name}": FORM,
                f"next_{name}": setting(next=name),
                f"is_{name}": when("next", "eq", name),
                name: FORM,
                f"did_{name}": setting(**{f"${name}_done": True}),
                f"left_{name}": condition("on", f"${name}_done"),
            }
            edges += [
                *(f"fork>if_{name}", f"if_{name}.on>end", f"if_{name}.default>begin_{name}"),
                *(f"begin_{name}>next_{name}", f"next_{name}>join", f"is_{name}.yes>{name}"),
                *(f"{name}>did_{name}", f"did_{name}>left_a", f"left_{name}.default>fork"),
            ]
        edges += ["is_a.default>is_b", "is_b.default>is_c", "is_c.default>last"]
        edges += ["left_a.on>left_b", "left_b.on>left_c", "left_c.on>last"]
        execution = started(source(nodes, *edges))
        for place, name in enumerate(order):
            assert open_nodes(execution) == {f"begin_{left}" for left in order[place:]}
            submit(execution, f"begin_{name}")
            assert open_nodes(execution) == {name}, "never two at once"
            submit(execution, name)
        assert open_nodes(execution) == {"last"}
        assert submit(execution, "last").status == Status.COMPLETED

    @pytest.mark.parametrize("objects", [True, False])
    def test_18_milestone(self, objects: bool) -> None:
        """A callee is the time between reaching the milestone and passing it."""
        stop = {"type": "end", "data": {"terminate": True}}
        inner: Nodes = {"fork": "parallel", "c": FORM, "object": FORM, "passed": stop}
        inside = ("start>fork", "fork>c", "fork>object", "c>passed", "object>end")
        caller, callee = with_callee(*inside, **inner)
        nodes: Nodes = {"start": "start", "a": FORM, "call": calling(callee), "d": FORM}
        edges = ("start>a", "a>call", "call>d", "d>end")
        execution = started(source(nodes | {"end": "end"}, *edges), caller)
        assert open_nodes(execution) == {"a"}, "not reached yet"
        submit(execution, "a")
        child = execution.children.get()
        assert open_nodes(child) == {"c", "object"}
        if objects:
            submit(child, "object")
            assert open_nodes(child) == {"c"}, "the activity does not pass the milestone"
        submit(child, "c")
        assert open_nodes(child) == set(), "it has passed: the activity is withdrawn"
        assert open_nodes(execution) == {"d"}


class TestCancellation:
    def test_19_cancel_activity(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        join = {"type": "join", "data": {"needed": 1, "others": "cancel"}}
        nodes: Nodes = {**BOTH, "a": calling(callee), "join": join, "after": FORM}
        edges = ("start>fork", "fork>a", "fork>b", "a>join", "b>join", "join>after", "after>end")
        execution = started(source(nodes, *edges), caller)
        submit(execution, "b")
        assert open_nodes(execution) == {"after"}
        assert execution.children.get().status == Status.CANCELLED

    def test_19_cancel_activity_by_an_operator(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        nodes: Nodes = {**BOTH, "a": calling(callee), "after": FORM}
        execution = started(
            source(nodes, "start>fork", "fork>a", "fork>b", "a>after", "after>end", "b>end"),
            caller,
        )
        services.skip(execution, node="a", why="Not needed.")
        assert open_nodes(execution) == {"b", "after"}
        assert execution.children.get().status == Status.CANCELLED

    def test_20_cancel_case_by_a_branch(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        nodes: Nodes = {**BOTH, "bad": "fail", "called": calling(callee)}
        nodes["wait"] = {"type": "wait", "data": {"interval": "P1D"}}
        graph = source(
            nodes,
            "start>fork",
            "fork>a",
            "fork>b",
            "fork>called",
            "fork>wait",
            "a>bad",
            "b>end",
            "called>end",
            "wait>end",
        )
        execution = started(graph, caller)
        assert submit(execution, "a").status == Status.FAILED
        assert open_nodes(execution) == set()
        assert execution.children.get().status == Status.CANCELLED
        assert not Job.objects.exists()

    def test_20_cancel_case_by_a_terminating_end(self) -> None:
        nodes: Nodes = {**BOTH, "stop": {"type": "end", "data": {"terminate": True}}}
        execution = started(source(nodes, "start>fork", "fork>a", "fork>b", "a>stop", "b>end"))
        assert submit(execution, "a").status == Status.COMPLETED
        assert open_nodes(execution) == set()

    def test_20_cancel_case_by_an_operator(self) -> None:
        graph = source(BOTH, "start>fork", "fork>a", "fork>b", "a>end", "b>end")
        execution = started(graph)
        assert services.cancel(execution).status == Status.CANCELLED
        assert open_nodes(execution) == set()


def test_deadline_without_an_edge_does_not_close_a_step() -> None:
    node = {"type": FORM, "data": {"fields": [], "deadline": "PT1H"}}
    execution = started(source({"start": "start", "a": node, "end": "end"}, "start>a", "a>end"))
    Job.objects.update(due_at=execution.started_at - timedelta(hours=1))
    queue.serve_due()
    assert open_nodes(execution) == {"a"}
    assert execution.steps.open().get().overdue


def test_user_action_without_actions_has_one_exit() -> None:
    nodes: Nodes = {"start": "start", "a": FORM, "end": "end", "end2": "end"}
    workflow = WorkflowFactory()
    graph = source(nodes, "start>a", "a.one>end", "a.two>end2")
    with pytest.raises(WorkflowValidationError):
        editing.save_graph(workflow, graph, based_on=1)
    assert services.start(workflow, FindingFactory(entity_name_type=workflow.entity_name_type))
