"""Decisions of operators: each open step can be skipped, retried or postponed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from executions import guards, services
from executions.models import Execution, Job, Secret, Status, Step, Visits
from executions.services.decisions import ReasonRequired
from executions.services.postponing import NotInFuture, NotPostponable
from executions.services.skipping import NotSkippable
from executions.worker import queue
from tests.conftest import Scenario
from tests.executions.engine.http_calls import http_request_graph
from tests.executions.engine.test_branches import DIAMOND, open_nodes, started, submit
from tests.executions.test_clock import last, later, waiting
from tests.executions.test_decisions import approval_graph
from tests.factories import UserFactory, WorkflowFactory, form, line, save_line, voter
from workflows.models import AuditEntry

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.both_databases,
]

WHY = "Nobody is left to do it."


@pytest.fixture(autouse=True)
def secret(settings: Any) -> None:
    settings.SECRETS_KEY = [Fernet.generate_key().decode()]
    row = Secret(name="HOOK")
    row.set_value("hunter2-and-more")
    row.save()


def start_at(node: dict[str, Any], **fields: Any) -> Execution:
    """Start an execution that waits at this node."""
    return started(line(node), **fields)


def webhook_node(**data: Any) -> dict[str, Any]:
    return {"id": "hook", "type": "webhook", "data": {"secret": "HOOK", **data}}


def mail_node() -> dict[str, Any]:
    return {"id": "mail", "type": "notify", "data": {"to": ["a@example.com"], "subject": "x"}}


def open_step(execution: Execution) -> Step:
    return execution.steps.open().get()


def in_hours(number: int) -> datetime:
    return timezone.now() + timedelta(hours=number)


def start_scheduled(scenario: Scenario) -> Execution:
    return services.start(scenario.caller, scenario.finding, scheduled_for=in_hours(1))


WAITS: dict[str, Callable[[], Execution]] = {
    "form": lambda: start_at(form(assignees={"groups": []})),
    "overdue": lambda: start_at(form(deadline="PT1H")),
    "sleep": lambda: started(waiting(interval="P1D")),
    "hook": lambda: start_at(webhook_node(deadline="P1D", save_to="answer")),
    "mail": lambda: start_at(mail_node()),
    "call": lambda: started(http_request_graph("https://example.com/")),
}


class TestSkip:
    @pytest.mark.parametrize("waits", WAITS)
    def test_skip_closes_waiting_step(self, waits: str) -> None:
        execution = WAITS[waits]()
        user = UserFactory(username="ada")
        step = open_step(execution)
        after = services.skip(execution, step=step.cuid, by=user, why=WHY)
        assert after.status == Status.COMPLETED
        step.refresh_from_db()
        assert (step.state, step.output, step.closed_by) == ("done", {"skipped": True}, user)
        assert not Job.objects.exists()
        entry = last()
        assert (entry.action, entry.who, entry.why) == ("skipped", "ada", WHY)

    def test_skip_of_approval_keeps_votes(self) -> None:
        ada, grace = voter("ada"), voter("grace")
        execution = started(approval_graph(users=["ada", "grace"], needed="all"))
        services.vote(execution, node="vote", approves=True, by=ada, notes="fine")
        grace.is_active = False
        grace.save()
        with pytest.raises(guards.NoSuchHandle, match="'approved', 'rejected'") as refused:
            services.skip(execution, node="vote", why=WHY)
        assert [problem.pointer for problem in refused.value.problems] == ["/handle"]
        services.skip(execution, node="vote", handle="approved", why=WHY)
        step = execution.steps.get(node_id="vote")
        assert (step.handle, step.votes.get().notes) == ("approved", "fine")
        assert last().after["handle"] == "approved"

    def test_skip_of_call_cancels_child_executions(self, scenario: Scenario) -> None:
        callee = WorkflowFactory(entity_name_type=scenario.limitation)
        save_line(callee, form("inner"))
        save_line(
            scenario.callee,
            {"id": "deep", "type": "run_workflow", "data": {"workflow": callee.cuid}},
        )
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        assert services.skip(execution, node="call", why=WHY).status == Status.COMPLETED
        below = Execution.objects.filter(root=execution)
        assert {row.status for row in below} == {Status.CANCELLED}
        assert below.count() == 2
        assert {step.state for row in below for step in Visits(row)} == {"done", "cancelled"}

    def test_skip_in_child_resumes_caller(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        services.skip(execution.children.get(), node="inner", why=WHY)
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_skip_starts_scheduled_execution(self, scenario: Scenario) -> None:
        execution = start_scheduled(scenario)
        assert services.skip(execution, node="start", why=WHY).status == Status.WAITING
        assert open_nodes(execution) == {"form"}

    def test_skip_of_join_names_other_branches(self) -> None:
        execution = started(DIAMOND)
        submit(execution, "a")
        with pytest.raises(NotSkippable, match="“b”") as refused:
            services.skip(execution, node="join", why=WHY)
        assert [remedy.code for remedy in refused.value.remedies] == ["skip_branches"]
        assert services.skip(execution, node="b", why=WHY).status == Status.COMPLETED

    @pytest.mark.parametrize("why", ["", "  \n"])
    def test_skip_is_refused_without_a_reason(self, why: str) -> None:
        execution = start_at(form())
        with pytest.raises(ReasonRequired) as refused:
            services.skip(execution, node="form", why=why)
        assert [problem.pointer for problem in refused.value.problems] == ["/why"]
        assert (last().refused, last().code) == (True, "reason_required")
        assert open_nodes(execution) == {"form"}

    def test_skip_is_refused_when_execution_has_ended(self) -> None:
        execution = start_at(form())
        services.cancel(execution)
        with pytest.raises(guards.ExecutionEnded):
            services.skip(execution, node="form", why=WHY)


class TestRetry:
    def test_retry_of_wait_reads_date_again(self) -> None:
        execution = started(waiting(at_field="due"), due="2099-01-01")
        entity = execution.entity
        entity.fields = {"due": "2099-06-01"}
        entity.save()
        services.retry(execution, node="sleep", why="The date has changed.")
        step = open_step(execution)
        assert (step.due_at.date().isoformat(), step.attempt) == ("2099-06-01", 2)
        assert step.jobs.get().due_at == step.due_at
        assert last().before["due"].startswith("2099-01-01")
        assert last().after["due"].startswith("2099-06-01")

    def test_retry_of_wait_continues_when_new_date_has_passed(self) -> None:
        execution = started(waiting(at_field="due"), due="2099-01-01")
        entity = execution.entity
        entity.fields = {}
        entity.save()
        assert services.retry(execution, node="sleep").status == Status.COMPLETED
        assert not Job.objects.exists()

    def test_retry_of_wait_opens_incident_when_field_has_no_date(self) -> None:
        execution = started(waiting(at_field="due"), due="2099-01-01")
        entity = execution.entity
        entity.fields = {"due": "soon"}
        entity.save()
        services.retry(execution, node="sleep")
        incident = open_step(execution).incident
        assert incident is not None and incident["code"] == "no_date"
        assert not Job.objects.exists()

    def test_retry_of_webhook_restarts_deadline(self) -> None:
        execution = start_at(webhook_node(deadline="PT1H"))
        later(hours=1)
        queue.serve_due()
        assert open_step(execution).overdue
        services.retry(execution, node="hook")
        step = open_step(execution)
        assert not step.overdue
        assert step.due_at is not None and step.due_at > in_hours(0)
        assert [job.kind for job in step.jobs.all()] == ["deadline"]

    @pytest.mark.parametrize("waits", ["mail", "call"])
    def test_retry_makes_postponed_call_or_mail_due(self, waits: str) -> None:
        execution = WAITS[waits]()
        Job.objects.update(due_at=in_hours(1), attempt=3)
        services.retry(execution, step=open_step(execution).cuid)
        job = Job.objects.get()
        assert job.due_at <= timezone.now()
        assert job.attempt == 3

    def test_retry_creates_job_when_it_is_missing(self) -> None:
        execution = WAITS["call"]()
        Job.objects.all().delete()
        services.retry(execution, node="call")
        assert Job.objects.get().kind == "call"

    def test_worker_drops_job_when_step_was_retried(self) -> None:
        execution = started(waiting(interval="PT1H"))
        later(hours=1)
        (job,) = queue.claim_jobs()
        services.retry(execution, node="sleep")
        assert queue.serve_job(job) is False
        assert open_nodes(execution) == {"sleep"}

    def test_retry_is_refused_with_remedies_when_child_is_live(self, scenario: Scenario) -> None:
        save_line(scenario.callee, form("inner"))
        execution = scenario.start()
        services.submit(execution, node="form", data={"note": "n"})
        with pytest.raises(guards.NoIncident) as refused:
            services.retry(execution, node="call")
        assert [remedy.code for remedy in refused.value.remedies] == ["skip", "cancel"]

    @pytest.mark.parametrize("node", ["form", "join"])
    def test_retry_is_refused_when_step_waits_for_others(self, node: str) -> None:
        execution = start_at(form(deadline="P1D")) if node == "form" else started(DIAMOND)
        if node == "join":
            submit(execution, "a")
        with pytest.raises(guards.NoIncident):
            services.retry(execution, node=node)


class TestPostpone:
    def test_postpone_moves_wait_and_its_job(self) -> None:
        execution = started(waiting(interval="PT1H"))
        until = in_hours(48)
        services.postpone(execution, node="sleep", until=until, why="Not yet.")
        step = open_step(execution)
        assert step.due_at == until == step.jobs.get().due_at
        assert (last().action, last().why) == ("postponed", "Not yet.")
        assert datetime.fromisoformat(last().after["due"]) == until
        later(hours=47)
        assert queue.serve_due() == 0
        later(hours=1)
        assert queue.serve_due() == 1

    def test_postpone_moves_wait_to_earlier_time(self) -> None:
        execution = started(waiting(interval="P30D"))
        services.postpone(execution, node="sleep", until=in_hours(1), why="Sooner.")
        later(hours=1)
        assert queue.serve_due() == 1
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED

    def test_postpone_uses_time_zone_of_settings(self) -> None:
        execution = started(waiting(interval="PT1H"))
        with timezone.override("Europe/Berlin"):
            services.postpone(execution, node="sleep", until=datetime(2099, 6, 1, 12), why="Later.")
        due = open_step(execution).due_at
        assert due is not None and due.isoformat() == "2099-06-01T10:00:00+00:00"

    def test_postpone_moves_deadline_before_and_after_it_has_passed(self) -> None:
        execution = start_at(form(deadline={"after": "PT1H", "notify": {"to": ["a@example.com"]}}))
        services.postpone(execution, node="form", until=in_hours(2), why="Holidays.")
        later(hours=2)
        queue.serve_due()
        step = open_step(execution)
        assert step.overdue and step.notice
        services.postpone(execution, node="form", until=in_hours(3), why="More holidays.")
        step = open_step(execution)
        assert (step.overdue, step.notice) == (False, None)
        assert [job.kind for job in step.jobs.all()] == ["deadline"]
        later(hours=3)
        queue.serve_due()
        assert open_step(execution).overdue

    def test_postpone_withdraws_unsent_notice(self) -> None:
        execution = start_at(form(deadline={"after": "PT1H", "notify": {"to": ["a@example.com"]}}))
        later(hours=1)
        (job,) = queue.claim_jobs()
        queue.serve_job(job)
        assert Job.objects.get().kind == "overdue"
        services.postpone(execution, node="form", until=in_hours(3), why="Holidays.")
        assert Job.objects.get().kind == "deadline"

    @pytest.mark.parametrize("make", ["vote", "hook"])
    def test_postpone_moves_deadline_of_other_step_types(self, make: str) -> None:
        UserFactory(username="ada")
        if make == "vote":
            execution = started(approval_graph(users=["ada"], deadline="P1D"))
        else:
            execution = start_at(webhook_node(deadline="P1D"))
        until = in_hours(72)
        services.postpone(execution, node=make, until=until, why="Later.")
        assert open_step(execution).due_at == until == Job.objects.get().due_at

    def test_postpone_moves_scheduled_start(self, scenario: Scenario) -> None:
        execution = start_scheduled(scenario)
        until = in_hours(5)
        services.postpone(execution, node="start", until=until, why="The audit is later.")
        execution.refresh_from_db()
        assert (execution.status, execution.scheduled_for) == (Status.SCHEDULED, until)
        assert open_step(execution).due_at == until
        later(hours=5)
        assert queue.serve_due() == 1
        assert open_nodes(execution) == {"form"}

    def test_postpone_is_refused_when_time_has_passed(self) -> None:
        execution = started(waiting(interval="PT1H"))
        with pytest.raises(NotInFuture) as refused:
            services.postpone(execution, node="sleep", until=in_hours(-1), why="x")
        assert [problem.pointer for problem in refused.value.problems] == ["/until"]
        assert (last().refused, last().code) == (True, "not_in_future")
        assert Job.objects.get().due_at > timezone.now()

    def test_postpone_is_refused_without_a_reason(self) -> None:
        execution = started(waiting(interval="PT1H"))
        with pytest.raises(ReasonRequired):
            services.postpone(execution, node="sleep", until=in_hours(2), why=" ")

    @pytest.mark.parametrize("waits", ["form", "mail", "call"])
    def test_postpone_is_refused_when_step_has_no_date(self, waits: str) -> None:
        execution = WAITS[waits]()
        step = open_step(execution).cuid
        with pytest.raises(NotPostponable):
            services.postpone(execution, step=step, until=in_hours(2), why="x")

    def test_postpone_is_refused_when_step_has_incident(self) -> None:
        execution = started(waiting(at_field="due"), due="soon")
        with pytest.raises(guards.NoIncident, match="retry it or skip it"):
            services.postpone(execution, node="sleep", until=in_hours(2), why="x")

    def test_postpone_changes_etag_of_execution(self) -> None:
        execution = started(waiting(interval="PT1H"))
        before = execution.updated_at
        services.postpone(execution, node="sleep", until=in_hours(2), why="x")
        execution.refresh_from_db()
        assert execution.updated_at > before


def test_refused_decision_writes_audit_entry() -> None:
    execution = start_at(form())
    for decide in (services.skip, services.retry, services.wake):
        with pytest.raises(guards.NotOpen):
            decide(execution, node="nowhere", why=WHY)
    entries = AuditEntry.objects.filter(refused=True, cuid=execution.cuid)
    assert {entry.code for entry in entries} == {"not_open"}
    assert {entry.action for entry in entries} == {"skipped", "retried", "woken"}
