"""Regression tests of executions that could not be ended, or lost a field."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from executions import guards, services
from executions.models import Execution, Status, Step, StepState, Visits
from tests.executions.engine.test_branches import condition, open_nodes, source, started, submit
from tests.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

Nodes = dict[str, str | dict[str, Any]]
ONE_FORM: Nodes = {"start": "start", "form": "user_action", "end": "end"}


def fail_at(execution: Execution, form: str, node: str, kind: str) -> Step:
    """Move the branch at a form to an incident at another node.

    Earlier releases opened incidents at nodes of every type.
    """
    step = execution.steps.open().get(node_id=form)
    incident = {"code": "step_budget", "detail": "Too many nodes.", "at": "", "attempt": 1}
    Step.objects.filter(pk=step.pk).update(
        node_id=node, type=kind, state=StepState.INCIDENT, incident=incident, assignees=""
    )
    return step


@pytest.mark.parametrize("way", [services.retry, services.skip])
def test_end_with_incident_completes_when_it_is_retried_or_skipped(
    way: Any,
) -> None:
    execution = started(source(ONE_FORM, "start>form", "form>end"))
    fail_at(execution, "form", "end", "end")
    assert way(execution, node="end", why="The end was repaired.").status == Status.COMPLETED


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("9999-12-31T23:59:59-12:00", datetime.max.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59+12:00", datetime(9999, 12, 31, 11, 59, 59, tzinfo=UTC)),
    ],
)
def test_wait_until_the_end_of_the_calendar_can_be_read_and_woken(
    date: str, expected: datetime
) -> None:
    nodes: Nodes = {
        "start": "start",
        "wait": {"type": "wait", "data": {"at_field": "due"}},
        "end": "end",
    }
    execution = started(source(nodes, "start>wait", "wait>end"), due=date)
    assert execution.steps.open().get().due_at == expected
    assert services.wake(execution, node="wait").status == Status.COMPLETED


def test_wait_until_before_the_calendar_ends_at_once() -> None:
    nodes: Nodes = {
        "start": "start",
        "wait": {"type": "wait", "data": {"at": "0001-01-01T00:00:00+14:00"}},
        "end": "end",
    }
    assert started(source(nodes, "start>wait", "wait>end")).status == Status.COMPLETED


def test_true_replaces_one() -> None:
    values = {"type": "set_field", "data": {"values": {"x": True}}}
    nodes: Nodes = {"start": "start", "set": values, "end": "end"}
    execution = started(source(nodes, "start>set", "set>end"), x=1)
    execution.entity.refresh_from_db()
    assert execution.entity.fields["x"] is True


def test_mutually_waiting_joins_continue_despite_a_distant_branch() -> None:
    nodes: Nodes = {
        "start": "start",
        "fork": "parallel",
        "one": "join",
        "two": "join",
        "behind": "join",
        "w1": condition("on", "never"),
        "w2": condition("on", "never"),
        "far": "user_action",
        "end": "end",
    }
    execution = started(
        source(
            nodes,
            "start>fork",
            "fork>behind",
            "fork>one",
            "fork>two",
            "fork>far",
            "far>end",
            "one>w1",
            "w1.on>two",
            "w1.default>behind",
            "two>w2",
            "w2.on>one",
            "w2.default>behind",
            "behind>end",
        )
    )
    assert open_nodes(execution) == {"far"}
    passed = [step.node_id for step in Visits(execution) if step.type == "join"]
    assert (
        passed.index("one") < passed.index("two") < len(passed) - 1 - passed[::-1].index("behind")
    )
    assert submit(execution, "far").status == Status.COMPLETED


def test_join_waits_for_a_branch_with_an_incident_at_the_join() -> None:
    nodes: Nodes = {
        "start": "start",
        "fork": "parallel",
        "a": "user_action",
        "b": "user_action",
        "join": "join",
        "end": "end",
    }
    edges = ["start>fork", "fork>a", "fork>b", "a>join", "b>join", "join>end"]
    execution = started(source(nodes, *edges))
    step = fail_at(execution, "b", "join", "join")
    submit(execution, "a")
    assert sorted(execution.steps.open().values_list("node_id", "state")) == [
        ("join", "incident"),
        ("join", "open"),
    ]
    assert services.retry(execution, step=step.cuid).status == Status.COMPLETED
    assert [step.node_id for step in Visits(execution)].count("end") == 1


class TestAnApprovalThatTooFewCanGive:
    def graph(self, **data: Any) -> dict[str, Any]:
        nodes: Nodes = {
            "start": "start",
            "vote": {"type": "approval", "data": data},
            "end": "end",
            "no": "fail",
        }
        return source(nodes, "start>vote", "vote.approved>end", "vote.rejected>no")

    @pytest.mark.parametrize(
        ("needed", "leave"), [(1, ["ada", "grace"]), ("all", ["ada", "grace"]), (2, ["ada"])]
    )
    def test_step_is_skipped_by_the_exit_that_the_operator_names(
        self, needed: object, leave: list[str]
    ) -> None:
        people = {name: UserFactory(username=name) for name in ("ada", "grace")}
        execution = started(self.graph(users=["ada", "grace"], needed=needed))
        for name in leave:
            people[name].is_active = False
            people[name].save()
        with pytest.raises(guards.NoSuchHandle):
            services.skip(execution, node="vote", why="They have left.")
        done = services.skip(execution, node="vote", handle="approved", why="They have left.")
        assert done.status == Status.COMPLETED
