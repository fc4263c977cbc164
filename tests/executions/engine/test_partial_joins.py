"""Joins that need only some branches: first wins, k of n, and what happens to the others."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project

from executions import services
from executions.integrity.waiting_joins import check_waiting_joins
from executions.models import Execution, FormDraft, Job, Status, Step, Visits
from tests.commands import run
from tests.executions.engine.gateway_scripts import source_of
from tests.executions.engine.in_memory import Running
from tests.executions.engine.test_branches import open_nodes, source, started, submit
from tests.executions.engine.test_patterns import FORM, Nodes, calling, with_callee
from tests.executions.engine.test_timeouts import only_new
from tests.factories import user_in

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.both_databases,
    pytest.mark.usefixtures("invariants"),
]
THREE = "start>fork>a|b|c>join>done>end"


def graph_of(lines: str, **data: Any) -> dict[str, Any]:
    """Return a graph whose node ``join`` has this data."""
    graph = source_of(lines)
    for node in graph["nodes"]:
        if node["id"] == "join":
            node["data"] = data
    return graph


def running(lines: str, **data: Any) -> Running:
    return Running(graph_of(lines, **data))


def give_incident(step: Step) -> None:
    incident = {"code": "step_budget", "detail": "Too many nodes.", "at": "", "attempt": 1}
    Step.objects.filter(pk=step.pk).update(state="incident", incident=incident)


class TestWait:
    def test_first_branch_continues_and_the_others_are_absorbed(self) -> None:
        found = running(THREE, needed=1)
        found.submit("b")
        assert found.open_nodes == ["a", "c", "done", "join"]
        found.submit("a")
        assert found.offered == ["c", "done"], "nothing starts again"
        found.submit("done")
        assert not found.is_completed, "a branch is still to come"
        found.submit("c")
        assert found.is_completed

    def test_two_of_three_branches_continue(self) -> None:
        found = running(THREE, needed=2)
        found.submit("a")
        assert found.offered == ["b", "c"]
        found.submit("c")
        assert found.offered == ["b", "done"]
        found.submit("b")
        assert found.open_nodes == ["done"]
        found.submit("done")
        assert found.is_completed

    def test_join_needs_fewer_when_too_few_can_arrive(self) -> None:
        found = running(
            "start>fork>a|ask|b ask.yes>join ask.default>end a|b>join>done>end", needed=3
        )
        found.submit("a")
        assert found.offered == ["b"]
        found.submit("b")
        assert found.offered == ["done"]

    def test_branch_that_takes_another_path_ends_the_absorbing(self) -> None:
        lines = "start>fork>a|b b>ask ask.yes>join ask.default>other>end a>join>done>end"
        found = running(lines, needed=1)
        found.submit("a")
        found.submit("done")
        assert found.open_nodes == ["b", "join"]
        found.submit("b", answer=False)
        assert found.open_nodes == ["other"]
        found.submit("other")
        assert found.is_completed

    def test_branches_that_arrive_together_are_all_consumed(self) -> None:
        found = running("start>fork>join|join|a join>done>end a>join", needed=2)
        assert found.offered == ["a", "done"]
        found.submit("done")
        found.submit("a")
        assert found.is_completed

    def test_join_in_a_loop_starts_again_for_each_round(self) -> None:
        lines = "start>go>fork>a|b>join>done>ask ask.yes>go ask.default>end"
        found = running(lines, needed=1)
        for _ in range(3):
            found.submit("go")
            found.submit("a")
            found.submit("b")
            assert found.offered == ["done"]
            found.submit("done", answer=True)
            assert found.offered == ["go"]
        found.submit("go")
        found.submit("b")
        found.submit("done", answer=False)
        found.submit("a")
        assert found.is_completed

    def test_branch_of_the_next_round_is_not_absorbed(self) -> None:
        """The loop leads back to the join while a branch of the first round is still to come."""
        lines = "start>fork>a|b>join>done>ask ask.yes>join ask.default>end"
        found = running(lines, needed=1)
        found.submit("a")
        found.submit("done", answer=True)
        assert found.open_nodes == ["b", "join"], "the branch waits for the next round"
        found.submit("b")
        assert found.offered == ["done"]
        found.submit("done", answer=False)
        assert found.is_completed

    def test_outer_join_does_not_wait_for_an_absorbing_join(self) -> None:
        lines = "start>fork>fork_2|x fork_2>a|b>join>done>join_2 x>join_2 join_2>last>end"
        found = running(lines, needed=1)
        found.submit("a")
        found.submit("x")
        found.submit("done")
        assert found.open_nodes == ["b", "join", "last"]
        found.submit("last")
        found.submit("b")
        assert found.is_completed


class TestCancel:
    def test_first_branch_cancels_the_others(self) -> None:
        found = running(THREE, needed=1, others="cancel")
        found.submit("b")
        assert found.open_nodes == ["done"]
        found.submit("done")
        assert found.is_completed

    def test_only_branches_of_the_same_fork_are_cancelled(self) -> None:
        lines = (
            "start>go>fork>fork_2|x fork_2>a|b>join>join_2 x>join_2 join_2>ask "
            "ask.yes>go ask.default>end"
        )
        found = running(lines, needed=1, others="cancel")
        found.submit("go")
        found.submit("a")
        assert found.open_nodes == ["join_2", "x"], "x could come back by the loop"
        found.submit("x", answer=True)
        assert found.open_nodes == ["go"]

    def test_branch_that_leads_elsewhere_goes_on(self) -> None:
        found = running("start>fork>a|b|c a|b>join>done>end c>end", needed=1, others="cancel")
        found.submit("a")
        assert found.offered == ["c", "done"]

    def test_inner_joins_and_forks_are_cancelled(self) -> None:
        lines = "start>fork>fork_2|x fork_2>a|b>join_2>y>join x>join join>done>end"
        found = running(lines, needed=1, others="cancel")
        found.submit("a")
        assert found.open_nodes == ["b", "join_2", "x"]
        found.submit("x")
        assert found.open_nodes == ["done"]

    def test_calls_jobs_and_drafts_of_other_branches_are_cancelled(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        nodes: Nodes = {
            "start": "start",
            "fork": "parallel",
            "a": FORM,
            "b": FORM,
            "call": calling(callee),
            "wait": {"type": "wait", "data": {"interval": "P1D"}},
            "bad": {"type": "wait", "data": {"at_field": "date"}},
            "join": {"type": "join", "data": {"needed": 1, "others": "cancel"}},
            "done": FORM,
            "end": "end",
        }
        names = ("a", "b", "call", "wait", "bad")
        edges = [f"fork>{name}" for name in names] + [f"{name}>join" for name in names]
        graph = source(nodes, "start>fork", *edges, "join>done", "done>end")
        execution = started(graph, caller, date="soon")
        services.save_draft(execution, node="b", data={"note": "x"}, by=user_in("participant"))
        assert Job.objects.count() == 1
        submit(execution, "a")
        assert open_nodes(execution) == {"done"}
        child = execution.children.get()
        assert (child.status, child.message) == (
            Status.CANCELLED,
            "Other branches have arrived first.",
        )
        assert not Job.objects.exists() and not FormDraft.objects.exists()
        states = {step.node_id: step.state for step in Visits(execution)}
        assert {states[name] for name in names[1:]} == {"cancelled"}
        execution.refresh_from_db()
        assert submit(execution, "done").status == Status.COMPLETED

    def test_branch_that_continues_at_once_cancels_what_the_start_has_opened(self) -> None:
        caller, callee = with_callee("start>work", "work>end", work=FORM)
        nodes: Nodes = {
            "start": "start",
            "fork": "parallel",
            "call": calling(callee),
            "join": {"type": "join", "data": {"needed": 1, "others": "cancel"}},
            "end": "end",
        }
        graph = source(nodes, "start>fork", "fork>call", "fork>join", "call>join", "join>end")
        execution = started(graph, caller)
        assert execution.status == Status.COMPLETED
        assert execution.children.get().status == Status.CANCELLED


class TestStored:
    def waiting(self, **data: Any) -> Execution:
        execution = started(graph_of(THREE, **data))
        services.submit(execution, node="a", data={})
        return execution

    def test_absorbing_step_says_what_it_waits_for(self) -> None:
        execution = self.waiting(needed=1)
        step = execution.steps.open().get(node_id="join")
        assert step.input == {"arrived": [], "continued": ["a"], "absorbs": ["b", "c"]}
        services.submit(execution, node="b", data={})
        step.refresh_from_db()
        assert step.input == {"arrived": [], "continued": ["a", "b"], "absorbs": ["c"]}
        services.submit(execution, node="c", data={})
        step.refresh_from_db()
        assert (step.state, step.output) == ("done", {"absorbed": True})

    def test_execution_can_be_cancelled_and_branches_skipped(self) -> None:
        execution = self.waiting(needed=1)
        services.skip(execution, node="b", why="w")
        services.skip(execution, node="c", why="w")
        assert open_nodes(execution) == {"done"}
        services.cancel(execution)
        assert not Step.objects.open().exists()

    def test_absorbing_step_with_an_incident_is_retried_or_skipped(self) -> None:
        execution = self.waiting(needed=1)
        step = execution.steps.open().get(node_id="join")
        give_incident(step)
        services.retry(execution, step=step.cuid)
        assert execution.steps.open().get(node_id="join").input["absorbs"] == ["b", "c"]
        give_incident(step)
        services.skip(execution, step=step.cuid, why="w")
        assert open_nodes(execution) == {"b", "c", "done"}

    @pytest.mark.django_db(transaction=True)
    def test_absorbing_join_that_no_branch_can_reach_is_found_and_repaired(self) -> None:
        execution = self.waiting(needed=1)
        services.submit(execution, node="done", data={})
        Step.objects.filter(node_id__in=["b", "c"]).update(
            state="done", closed_at=execution.started_at
        )
        [violation] = check_waiting_joins()
        assert "join" in violation.detail
        run("repair_executions")
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_unknown_edge_of_an_absorbing_join_is_found_and_repaired(self) -> None:
        execution = self.waiting(needed=1)
        step = execution.steps.open().get(node_id="join")
        step.input["absorbs"].append("nowhere")
        Step.objects.filter(pk=step.pk).update(input=step.input)
        assert [row.cuid for row in check_waiting_joins()] == [execution.cuid]
        run("repair_executions")
        step.refresh_from_db()
        assert step.input["absorbs"] == ["b", "c"]


@pytest.mark.parametrize(
    ("data", "pointer", "detail"),
    [
        ({"needed": 4}, "/needed", "4 branches are needed, but only 3 edges lead to the join."),
        ({"needed": 0}, "/needed", "at least 1"),
        ({"others": "cancel"}, "/others", "Set 'needed'"),
        ({"needed": 1, "others": "drop"}, "/others", "wait"),
    ],
)
def test_graph_is_refused_when_its_join_is_not_sound(
    data: dict[str, Any], pointer: str, detail: str
) -> None:
    found = only_new(graph_of(THREE, **data))
    assert found[0].endswith(f"/data{pointer}")
    assert detail in found[1]


def documented(title: str) -> dict[str, Any]:
    page = (Path(project.BASE_DIR) / "docs" / "how-to" / "patterns.md").read_text()
    section = page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    graph: dict[str, Any] = json.loads(block)
    return graph


def test_documented_first_answer_cancels_the_other_requests() -> None:
    execution = started(documented("First wins"))
    services.submit(execution, node="risk", data={})
    assert open_nodes(execution) == {"decide"}


def test_documented_two_of_three_reviews_are_enough() -> None:
    execution = started(documented("k of n"))
    services.submit(execution, node="legal", data={})
    services.submit(execution, node="risk", data={})
    assert open_nodes(execution) == {"it", "join", "decide"}
    services.submit(execution, node="it", data={})
    assert open_nodes(execution) == {"decide"}


def test_documented_withdrawal_cancels_the_region() -> None:
    execution = started(documented("Cancel region"))
    services.submit(execution, node="assess", data={})
    assert open_nodes(execution) == {"mitigate", "withdraw"}
    services.submit(execution, node="withdraw", data={})
    assert open_nodes(execution) == {"close"}
