"""Moving a live execution to another version: each type of open step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from executions import services
from executions.models import (
    Execution,
    FormDraft,
    Job,
    Secret,
    Status,
    Step,
    Vote,
)
from executions.worker import queue
from tests.executions.engine.test_branches import open_nodes, source, started
from tests.executions.moves import correct, move, obstacles, save, start_at
from tests.executions.test_clock import later
from tests.factories import (
    UserFactory,
    form,
    voter,
)
from workflows.models import Candidate

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
