"""Votes, drafts, incidents and restarts, and their audit entries."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group

from executions import guards, services
from executions.engine.nodes.behaviour import NotAwaited
from executions.models import Execution, FormDraft, Status, Vote
from tests.conftest import Scenario
from tests.executions.engine.test_branches import condition, open_nodes, source, started
from tests.executions.engine.test_never_stuck import ONE_FORM, fail_at
from tests.executions.test_clock import last, waiting
from tests.factories import UserFactory, call, form, save_line, voter
from workflows import editing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def choice_graph() -> dict[str, Any]:
    """Return a graph with a form and a condition after it."""
    nodes = {**ONE_FORM, "way": condition("on", "x"), "bad": "fail"}
    return source(nodes, "start>form", "form>way", "way.on>end", "way.default>bad")


def approval_graph(**data: Any) -> dict[str, Any]:
    return source(
        {
            "start": "start",
            "vote": {"type": "approval", "data": data},
            "yes": {"type": "set_field", "data": {"values": {"approved": True}}},
            "end": "end",
            "no": "fail",
        },
        "start>vote",
        "vote.approved>yes",
        "vote.rejected>no",
        "yes>end",
    )


class TestApproval:
    @pytest.fixture
    def people(self) -> list[Any]:
        return [voter(name) for name in ("ada", "grace", "linus")]

    def vote(self, execution: Execution, user: Any, approves: bool, **more: Any) -> Execution:
        return services.vote(execution, node="vote", approves=approves, by=user, **more)

    def test_one_approval_decides_by_default(self, people: list[Any]) -> None:
        execution = started(approval_graph(users=["ada", "grace"]))
        assert self.vote(execution, people[0], True).status == Status.COMPLETED
        step = execution.steps.get(node_id="vote")
        assert (step.handle, step.output["approvals"]) == ("approved", 1)

    def test_all_must_approve_when_needed_is_all(self, people: list[Any]) -> None:
        execution = started(approval_graph(users=["ada", "grace"], needed="all"))
        assert self.vote(execution, people[0], True).status == Status.WAITING
        assert self.vote(execution, people[1], True).status == Status.COMPLETED

    def test_step_is_rejected_when_too_few_votes_remain(self, people: list[Any]) -> None:
        execution = started(approval_graph(users=["ada", "grace", "linus"], needed=2))
        assert self.vote(execution, people[0], False).status == Status.WAITING
        assert self.vote(execution, people[1], False).status == Status.FAILED

    def test_second_vote_replaces_first(self, people: list[Any]) -> None:
        execution = started(approval_graph(users=["ada", "grace", "linus"], needed=2))
        self.vote(execution, people[0], False, notes="not yet")
        self.vote(execution, people[0], True, notes="now")
        assert list(Vote.objects.values_list("username", "approves", "notes")) == [
            ("ada", True, "now")
        ]
        assert self.vote(execution, people[1], True).status == Status.COMPLETED

    def test_vote_is_refused_when_step_is_decided(self, people: list[Any]) -> None:
        graph = approval_graph(users=["ada"])
        graph["nodes"].append({"id": "after", "type": "user_action", "data": {}})
        for edge in graph["edges"]:
            if (edge["source"], edge["target"]) == ("yes", "end"):
                edge["target"] = "after"
        graph["edges"].append({"source": "after", "target": "end"})
        execution = started(graph)
        assert self.vote(execution, people[0], True).status == Status.WAITING
        with pytest.raises(guards.NotOpen):
            self.vote(execution, people[0], False)
        assert Vote.objects.get().approves
        services.submit(execution, node="after", data={})
        with pytest.raises(guards.ExecutionEnded):
            self.vote(execution, people[0], False)

    def test_members_of_group_vote_and_former_members_do_not_count(self, people: list[Any]) -> None:
        group = Group.objects.create(name="risk")
        for user in people:
            user.groups.add(group)
        execution = started(approval_graph(groups=["risk"], needed=2))
        self.vote(execution, people[0], True)
        people[0].groups.clear()
        assert self.vote(execution, people[1], True).status == Status.WAITING
        assert self.vote(execution, people[2], True).status == Status.COMPLETED

    def test_vote_of_others_is_refused(self, people: list[Any]) -> None:
        execution = started(approval_graph(users=["ada"]))
        with pytest.raises(guards.NotAssigned):
            self.vote(execution, people[1], True)
        assert not Vote.objects.exists()

    def test_vote_on_form_is_refused(self, people: list[Any], scenario: Scenario) -> None:
        with pytest.raises(NotAwaited):
            services.vote(scenario.start(), node="form", approves=True, by=people[0])


class TestIncident:
    def failing(self, scenario: Scenario) -> tuple[Execution, Execution]:
        save_line(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        child = execution.children.get()
        services.cancel(child)
        return execution, child

    def test_retry_starts_new_child_on_pinned_version(self, scenario: Scenario) -> None:
        execution, child = self.failing(scenario)
        save_line(scenario.callee, form("newer"))
        services.retry(execution, node="call", why="again")
        again = execution.children.exclude(pk=child.pk).get()
        assert again.version_id == child.version_id
        assert open_nodes(again) == {"inner"}
        assert execution.steps.get(node_id="call").attempt == 2
        assert (last().action, last().before["incident"]["code"]) == (
            "retried",
            "child_cancelled",
        )

    def test_skip_leaves_by_only_exit(self, scenario: Scenario) -> None:
        execution, _ = self.failing(scenario)
        assert services.skip(execution, node="call", why="done by hand").status == Status.COMPLETED
        assert last().action == "skipped"

    def test_skip_leaves_by_given_exit(self) -> None:
        execution = started(waiting(at_field="due"), due="soon")
        with pytest.raises(guards.NoSuchHandle, match="has no named exits"):
            services.skip(execution, node="sleep", handle="x", why="w")
        assert services.skip(execution, node="sleep", why="w").status == Status.COMPLETED

    def test_skip_needs_exit_when_node_has_several(self) -> None:
        execution = started(choice_graph())
        fail_at(execution, "form", "way", "condition")
        with pytest.raises(guards.NoSuchHandle, match="Name the exit to leave by: 'on', 'default'"):
            services.skip(execution, node="way", why="w")
        assert services.skip(execution, node="way", handle="on", why="w").status == Status.COMPLETED

    def test_retry_of_open_form_is_refused(self, scenario: Scenario) -> None:
        execution = scenario.start()
        with pytest.raises(guards.NoIncident) as refused:
            services.retry(execution, node="form")
        assert [remedy.code for remedy in refused.value.remedies] == ["skip"]
        assert (last().refused, last().code) == (True, "no_incident")


class TestRestart:
    def test_restart_cancels_live_execution_and_starts_latest_version(
        self, scenario: Scenario
    ) -> None:
        execution = scenario.start()
        save_line(scenario.caller, form("other"), call(scenario.callee))
        again = services.restart(execution, why="wrong entity data")
        execution.refresh_from_db()
        assert (execution.status, execution.message) == ("cancelled", "wrong entity data")
        assert open_nodes(again) == {"other"}
        assert (last().action, last().after["execution"]) == ("restarted", again.cuid)

    def test_restart_of_ended_execution_keeps_its_status(self, scenario: Scenario) -> None:
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        assert services.restart(execution).status == Status.WAITING

    def test_a_child_is_not(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        with pytest.raises(guards.NotARoot):
            services.restart(execution.children.get())

    def test_refused_restart_changes_nothing(self, scenario: Scenario) -> None:
        execution = scenario.start()
        editing.retire(scenario.caller)
        with pytest.raises(guards.NotStartable):
            services.restart(execution)
        execution.refresh_from_db()
        assert execution.status == Status.WAITING


class TestDraft:
    def test_draft_is_validated_only_when_submitted(self, scenario: Scenario) -> None:
        execution = scenario.start()
        user = UserFactory()
        services.save_draft(execution, node="form", data={"note": "", "odd": 1}, by=user)
        assert FormDraft.objects.get(user=user).data == {"note": "", "odd": 1}
        services.submit(execution, node="form", data={"note": "n"})

    @pytest.mark.parametrize("data", [[], {"a": "\0"}, None])
    def test_invalid_draft_is_refused(self, scenario: Scenario, data: object) -> None:
        with pytest.raises(guards.InvalidDraft):
            services.save_draft(scenario.start(), node="form", data=data, by=UserFactory())


def test_set_state_shows_stage() -> None:
    nodes: dict[str, str | dict[str, Any]] = {
        "start": "start",
        "far": {"type": "set_state", "data": {"state": "In review", "progress": 40}},
        "f": "user_action",
        "further": {"type": "set_state", "data": {"state": "Done"}},
        "end": "end",
    }
    execution = started(source(nodes, "start>far", "far>f", "f>further", "further>end"))
    execution.refresh_from_db()
    assert (execution.stage, execution.progress) == ("In review", 40)
    services.submit(execution, node="f", data={})
    execution.refresh_from_db()
    assert (execution.stage, execution.progress) == ("Done", 40)
