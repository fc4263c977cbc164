"""Moving a live execution to another version: each type of open step."""

from __future__ import annotations

from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from executions import services
from executions.models import (
    Execution,
    FormDraft,
    Job,
    Move,
    Secret,
    Status,
    Step,
    Visits,
    Vote,
)
from executions.services.decisions import ReasonRequired
from executions.worker import queue
from tests.executions.engine import test_for_each as for_each
from tests.executions.engine.test_branches import open_nodes, source, started
from tests.executions.engine.test_partial_joins import give_incident
from tests.executions.moves import WHY, correct, move, obstacles, save, start_at
from tests.executions.test_clock import later
from tests.factories import (
    UserFactory,
    WorkflowFactory,
    call,
    form,
    line,
    save_line,
    user_in,
    voter,
)
from workflows.models import AuditEntry, Candidate, Version

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


def open_step(execution: Execution) -> Step:
    return execution.steps.open().get()


def approval(node_id: str = "vote", **data: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "approval", "data": data}


def wait(node_id: str = "sleep", **data: Any) -> dict[str, Any]:
    return {"id": node_id, "type": "wait", "data": data}


def extra(node_id: str = "after") -> dict[str, Any]:
    return {"id": node_id, "type": "set_field", "data": {"values": {"seen": True}}}


class TestForm:
    def test_step_stays_at_node_of_same_id_and_continues_by_new_graph(self) -> None:
        execution = start_at(form())
        step = open_step(execution)
        version = correct(execution, form("form", {"name": "other", "type": "text"}), extra())
        moved = move(execution)
        assert moved.is_moved and [one.step.cuid for one in moved.plan.kept] == [step.cuid]
        execution.refresh_from_db()
        assert execution.version == version
        services.submit(execution, data={"other": "x"})
        execution.refresh_from_db()
        execution.entity.refresh_from_db()
        assert execution.status == Status.COMPLETED
        assert execution.entity.fields == {"other": "x", "seen": True}

    def test_step_goes_to_mapped_node_with_its_draft(self) -> None:
        execution = start_at(form("old"))
        ada = UserFactory()
        services.save_draft(execution, node="old", data={"note": "so far"}, by=ada)
        step = open_step(execution)
        correct(execution, extra(), form("new", label="New form"))
        assert obstacles(execution) == ["no_target"]
        move(execution, mapping={"old": "new"})
        step.refresh_from_db()
        assert (step.node_id, step.label) == ("new", "New form")
        assert FormDraft.objects.get().step == step

    def test_form_becomes_approval_and_loses_its_draft(self) -> None:
        execution = start_at(form())
        services.save_draft(execution, node="form", data={"note": "n"}, by=UserFactory())
        ada = voter("ada")
        correct(execution, form("end2"))
        save(
            execution.workflow,
            source(
                {
                    "start": "start",
                    "vote": approval(users=["ada"]),
                    "end": "end",
                    "no": "fail",
                },
                "start>vote",
                "vote.approved>end",
                "vote.rejected>no",
            ),
        )
        move(execution, mapping={"form": "vote"})
        assert not FormDraft.objects.exists()
        assert open_step(execution).type == "approval"
        services.vote(execution, approves=True, by=ada)
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_assignees_are_those_of_the_new_node(self) -> None:
        ada, grace = voter("ada"), voter("grace")
        execution = start_at(form(assignees={"users": ["ada"]}))
        correct(execution, form(assignees={"users": ["grace"]}))
        move(execution)
        with pytest.raises(Exception, match="assigned"):
            services.submit(execution, data={"note": "n"}, by=ada)
        services.submit(execution, data={"note": "n"}, by=grace)

    @pytest.mark.parametrize(("asked", "stays"), [(["ada", "grace"], True), (["grace"], False)])
    def test_claim_stays_while_its_account_may_do_the_step(
        self, asked: list[str], stays: bool
    ) -> None:
        ada = voter("ada")
        voter("grace")
        execution = start_at(form(assignees={"users": ["ada", "grace"]}))
        services.claim(execution, node="form", by=ada)
        correct(execution, form(assignees={"users": asked}))
        move(execution)
        assert (open_step(execution).claimed_by == ada) == stays

    def test_reassigned_step_keeps_its_own_assignees(self) -> None:
        voter("ada")
        grace = voter("grace")
        execution = start_at(form(assignees={"users": ["ada"]}))
        services.reassign(execution, users=["grace"], node="form", why="w")
        version = correct(execution, form("other", assignees={"users": ["ada"]}))
        move(execution, mapping={"form": "other"})
        own = Candidate.objects.get(step=open_step(execution).cuid)
        assert (own.version, own.node_id) == (version, "other")
        services.submit(execution, data={"note": "n"}, by=grace)


class TestApproval:
    def graph(self, **data: Any) -> dict[str, Any]:
        nodes: dict[str, Any] = {"start": "start", "vote": approval(**data), "end": "end"}
        nodes["no"] = "fail"
        return source(nodes, "start>vote", "vote.approved>end", "vote.rejected>no")

    def test_votes_stay_and_may_decide_by_the_new_rule(self) -> None:
        ada = voter("ada")
        voter("grace")
        execution = started(self.graph(users=["ada", "grace"], needed=2))
        services.vote(execution, approves=True, by=ada)
        save(execution.workflow, self.graph(users=["ada", "grace"], needed=1))
        move(execution)
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED and Vote.objects.count() == 1

    def test_votes_stay_while_they_decide_nothing(self) -> None:
        ada, grace = voter("ada"), voter("grace")
        execution = started(self.graph(users=["ada", "grace"], needed=2))
        services.vote(execution, approves=True, by=ada)
        save(execution.workflow, self.graph(users=["ada", "grace"], needed="all"))
        move(execution)
        services.vote(execution, approves=True, by=grace)
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED


class TestTimers:
    def test_wait_keeps_its_time(self) -> None:
        execution = start_at(wait(interval="PT1H"))
        due = open_step(execution).due_at
        correct(execution, wait(interval="PT3H"), extra())
        move(execution)
        assert open_step(execution).due_at == due == Job.objects.get().due_at
        later(hours=1)
        assert queue.serve_due() == 1
        execution.entity.refresh_from_db()
        assert execution.entity.fields == {"seen": True}

    def test_wait_is_timed_again_on_request(self) -> None:
        execution = start_at(wait(interval="PT1H"))
        step = open_step(execution)
        correct(execution, wait(interval="PT3H"))
        move(execution, retime=True)
        due = step.opened_at + timedelta(hours=3)
        assert open_step(execution).due_at == due == Job.objects.get().due_at

    def test_wait_whose_new_time_has_passed_continues_at_once(self) -> None:
        execution = start_at(wait(interval="PT1H"))
        correct(execution, wait(at="2020-01-01"))
        move(execution, retime=True)
        assert queue.serve_due() == 1
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_unchanged_time_is_not_computed_again(self) -> None:
        execution = start_at(wait(interval="PT1H"))
        until = timezone.now() + timedelta(days=9)
        services.postpone(execution, node="sleep", until=until, why="later")
        correct(execution, wait(interval="PT1H"), extra())
        move(execution, retime=True)
        assert open_step(execution).due_at == until == Job.objects.get().due_at

    @pytest.mark.parametrize("retime", [True, False])
    def test_deadline_is_removed_only_on_request(self, retime: bool) -> None:
        execution = start_at(form(deadline="PT1H"))
        correct(execution, form())
        move(execution, retime=retime)
        assert (open_step(execution).due_at is None) == retime
        assert Job.objects.exists() != retime

    def test_scheduled_execution_starts_on_the_new_version(self) -> None:
        graph = source({"start": "start", "end": "end"}, "start>end")
        workflow = started(graph).workflow
        finding = Execution.objects.get().entity
        at = timezone.now() + timedelta(hours=1)
        execution = services.start(workflow, finding, scheduled_for=at)
        nodes: dict[str, Any] = {"begin": "start", "after": extra(), "end": "end"}
        save(workflow, source(nodes, "begin>after", "after>end"))
        move(execution)
        assert open_step(execution).node_id == "begin"
        later(hours=2)
        queue.serve_due()
        execution.refresh_from_db()
        execution.entity.refresh_from_db()
        assert execution.status == Status.COMPLETED
        assert execution.entity.fields == {"seen": True}


class TestOtherTypes:
    @pytest.fixture(autouse=True)
    def secret(self, settings: Any) -> None:
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        row = Secret(name="HOOK")
        row.set_value("hunter2-and-more")
        row.save()

    def test_webhook_keeps_waiting(self) -> None:
        webhook = {"id": "webhook", "type": "webhook", "data": {"secret": "HOOK"}}
        execution = start_at(webhook)
        correct(execution, webhook, extra())
        move(execution)
        services.skip(execution, node="webhook", why="w")
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_mail_in_the_queue_is_sent_with_the_new_text(self, mailoutbox: Any) -> None:
        data = {"to": ["a@example.com"], "subject": "old"}
        execution = start_at({"id": "mail", "type": "notify", "data": data}, amount=5)
        new = {**data, "subject": "new {{amount}}"}
        correct(execution, {"id": "mail", "type": "notify", "data": new})
        move(execution)
        queue.serve_due()
        assert [one.subject for one in mailoutbox] == ["new 5"]

    def test_incident_stays_and_is_retried_by_the_new_graph(self) -> None:
        execution = start_at(wait(at_field="when"), when="never")
        assert open_step(execution).incident
        correct(execution, wait(at_field="other"), extra())
        move(execution)
        assert open_step(execution).incident
        services.retry(execution, node="sleep")
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_step_begins_again_at_a_node_of_another_type(self) -> None:
        execution = start_at(form())
        step = open_step(execution)
        correct(execution, extra(), wait(interval="PT1H"))
        assert obstacles(execution, mapping={"form": "sleep"}) == ["other_type"]
        move(execution, mapping={"form": {"node": "after", "restart_step": True}})
        step.refresh_from_db()
        assert step.state == "cancelled" and open_nodes(execution) == {"sleep"}
        assert Job.objects.get().step == open_step(execution)


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
        assert obstacles(execution, mapping={"deep": "deeper"}) != []
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


class TestRefusals:
    @pytest.mark.parametrize(
        ("mapping", "code"),
        [
            ([], "invalid_mapping"),
            ({"form": 1}, "invalid_mapping"),
            ({"form": {"nodes": "form"}}, "invalid_mapping"),
            ({"form": {"node": "form", "restart_step": 1}}, "invalid_mapping"),
            ({"nowhere": "form"}, "unknown_node"),
            ({"form": "nowhere"}, "unknown_target"),
            ({"form": "after"}, "other_type"),
            ({"form": "end"}, "other_type"),
        ],
    )
    def test_wrong_mapping_is_refused(self, mapping: Any, code: str) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        assert code in obstacles(execution, mapping=mapping)
        execution.refresh_from_db()
        assert execution.version.number == 1 and not Move.objects.exists()

    def test_unknown_version_is_refused(self) -> None:
        execution = start_at(form())
        assert obstacles(execution, to=9) == ["unknown_version"]
        other = WorkflowFactory().latest_version
        assert obstacles(execution, to=other) == ["unknown_version"]

    def test_present_version_is_refused(self) -> None:
        assert obstacles(start_at(form())) == ["already_there"]

    def test_child_and_ended_execution_are_refused(self) -> None:
        callee = WorkflowFactory()
        save_line(callee, form("inner"))
        caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
        execution = started(line(call(callee)), caller)
        assert obstacles(execution.children.get()) == ["not_a_root"]
        services.cancel(execution)
        assert obstacles(execution) == ["execution_ended"]

    def test_retired_workflow_is_refused(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        execution.workflow.state = "retired"
        execution.workflow.save()
        assert obstacles(execution) == ["not_active"]

    def test_secret_that_was_deleted_is_refused(self, settings: Any) -> None:
        settings.SECRETS_KEY = [Fernet.generate_key().decode()]
        row = Secret(name="HOOK")
        row.set_value("hunter2-and-more")
        row.save()
        webhook = {"id": "webhook", "type": "webhook", "data": {"secret": "HOOK"}}
        first = start_at(form(), webhook)
        services.cancel(first)
        finding = first.entity
        correct(first, form())
        Secret.objects.all().delete()
        execution = services.start(first.workflow, finding)
        assert obstacles(execution, to=1) == ["unknown_secret"]

    def test_reason_is_required(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        with pytest.raises(ReasonRequired):
            move(execution, why=" ")

    def test_outdated_plan_is_refused(self) -> None:
        ada = UserFactory()
        execution = start_at(form(), form("second"))
        correct(execution, form(), form("second"), extra())
        token = services.plan_move(execution).token
        services.submit(execution, data={"note": "n"}, by=ada)
        with pytest.raises(Exception, match="changed since the plan"):
            move(execution, token=token)
        move(execution, token=services.plan_move(execution).token)

    def test_saved_graph_outdates_a_plan(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        token = services.plan_move(execution).token
        correct(execution, form(), extra("later"))
        with pytest.raises(Exception, match="changed since the plan"):
            move(execution, token=token)


class TestHistory:
    def test_move_and_audit_entry_name_both_versions(self) -> None:
        ada = user_in("operator", username="ada")
        execution = start_at(form())
        step = open_step(execution)
        correct(execution, form("new"))
        move(execution, mapping={"form": "new"}, by=ada)
        row = execution.moves.get()
        assert (row.from_version.number, row.to_version.number) == (1, 2)
        assert (row.mover, row.why) == ("ada", WHY)
        assert row.steps == [{"step": step.cuid, "from": "form", "to": "new", "restarted": False}]
        entry = AuditEntry.objects.get(action="moved")
        assert entry.before == {"version": 1, "steps": {step.cuid: "form"}, "pinned": {}}
        assert entry.after == {"version": 2, "steps": {step.cuid: "new"}, "pinned": {}}

    def test_refusal_is_recorded(self) -> None:
        execution = start_at(form())
        correct(execution, form("new"))
        assert obstacles(execution) == ["no_target"]
        entry = AuditEntry.objects.get(action="moved")
        assert entry.refused and entry.code == "move_refused"

    def test_each_visit_has_the_version_that_it_ran_on(self) -> None:
        execution = start_at(extra("first"), form(), extra("second"), form("last"))
        correct(execution, form(), extra("other"), form("last"))
        move(execution)
        services.submit(execution, node="form", data={"note": "n"})
        correct(execution, form("last"), extra("third"))
        move(execution, to=3)
        services.submit(execution, node="last", data={"note": "n"})
        execution = Execution.objects.get()
        assert [(row.node_id, row.version_number) for row in Visits(execution)] == [
            *(("start", 1), ("first", 1), ("form", 2), ("other", 2)),
            *(("last", 3), ("third", 3), ("end", 3)),
        ]

    def test_step_that_began_again_belongs_to_the_old_version(self) -> None:
        execution = start_at(form())
        correct(execution, extra(), form("new"))
        move(execution, mapping={"form": {"node": "after", "restart_step": True}})
        visits = [(row.node_id, row.version_number) for row in Visits(Execution.objects.get())]
        assert visits == [("start", 1), ("form", 1), ("after", 2), ("new", 2)]

    def test_old_version_cannot_be_deleted_while_steps_are_read_with_it(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        move(execution)
        old = Version.objects.get(number=1)
        with pytest.raises(Exception, match="cannot be deleted"), transaction.atomic():
            old.delete()
        move(execution, to=1)
        correct(execution, form(), extra("other"))
        assert sorted(execution.workflow.versions.values_list("number", flat=True)) == [1, 2, 3]

    def test_released_version_is_put_in_force_again(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        move(execution)
        correct(execution, form(), extra("other"))
        released = Version.objects.get(number=1)
        assert not released.in_force
        move(execution, to=1)
        released.refresh_from_db()
        assert released.in_force

    def test_moves_are_written_once(self) -> None:
        execution = start_at(form())
        correct(execution, form(), extra())
        move(execution)
        with pytest.raises(DatabaseError), transaction.atomic():
            Move.objects.update(why="another reason")


class TestStatements:
    def count_for_children(self, number: int) -> int:
        """Return the number of statements that move a tree with so many open children."""
        callee = WorkflowFactory()
        save_line(callee, form("inner"))
        calls = [f"c{place}" for place in range(number)]
        nodes: dict[str, Any] = {"start": "start", "fork": "parallel", "end": "end"}
        nodes |= {name: call(callee, name) for name in calls}
        edges = ["start>fork", *(f"fork>{name}" for name in calls), *(f"{n}>end" for n in calls)]
        caller = WorkflowFactory(entity_name_type=callee.entity_name_type)
        execution = started(source(nodes, *edges), caller)
        assert execution.children.count() == number
        save_line(callee, form("inner"), extra())
        with CaptureQueriesContext(connection) as captured:
            move(execution)
        assert execution.children.filter(version__number=2).count() == number
        return len(captured)

    def test_move_takes_no_more_statements_for_more_children(self) -> None:
        few, many = self.count_for_children(2), self.count_for_children(9)
        assert many <= few + 1 <= 60

    def test_move_costs_other_advances_nothing(self) -> None:
        execution, other = start_at(form(), form("second")), start_at(form(), form("second"))
        correct(execution, form(), form("second"), extra())
        move(execution)
        counts = []
        for row in (execution, other):
            with CaptureQueriesContext(connection) as captured:
                services.submit(row, node="form", data={"note": "n"})
            counts.append(len(captured))
        assert counts[0] == counts[1]


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
