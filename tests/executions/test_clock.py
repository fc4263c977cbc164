"""Waits, scheduled starts, deadlines and their jobs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import guards, services
from executions.models import Job, Status, Step
from executions.models.leased_row import ATTEMPTS
from executions.worker import jobs, queue
from tests.conftest import Scenario
from tests.executions.engine.test_branches import open_nodes, source, started
from tests.factories import FindingFactory, UserFactory, WorkflowFactory, call, form, save_line
from workflows.guards import ActiveExecutions
from workflows.models import AuditEntry
from workflows.refusals import Refusal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


def later(**length: float) -> None:
    """Move all due times into the past by this length."""
    for job in Job.objects.all():
        job.due_at -= timedelta(**length)
        job.save()


def last() -> AuditEntry:
    entry = AuditEntry.objects.first()
    assert entry is not None
    return entry


def waiting(**data: Any) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "start": "start",
        "sleep": {"type": "wait", "data": data},
        "end": "end",
    }
    return source(nodes, "start>sleep", "sleep>end")


class TestWait:
    def test_wait_continues_at_its_time(self) -> None:
        execution = started(waiting(interval="PT1H"))
        assert open_nodes(execution) == {"sleep"}
        assert queue.serve_due() == 0
        later(hours=1)
        assert queue.serve_due() == 1
        execution.refresh_from_db()
        assert execution.status == Status.COMPLETED
        assert not Job.objects.exists()

    def test_wake_skips_the_wait_and_is_logged(self) -> None:
        execution = started(waiting(interval="P30D"))
        user = UserFactory(username="ada")
        woken = services.wake(execution, node="sleep", by=user, why="the audit is over")
        assert woken.status == Status.COMPLETED
        assert not Job.objects.exists()
        assert (last().action, last().who, last().why) == ("woken", "ada", "the audit is over")
        later(days=30)
        assert queue.serve_due() == 0

    @pytest.mark.parametrize(
        ("data", "fields"),
        [
            ({"at": "2020-01-01"}, {}),
            ({"at": None}, {}),
            ({"at_field": "due"}, {}),
            ({"at_field": "due"}, {"due": ""}),
            ({"at_field": "due"}, {"due": "2020-01-01T10:00:00Z"}),
            ({"at_field": "due", "delta": "-P3650000D"}, {"due": "2999-01-01"}),
        ],
    )
    def test_wait_continues_at_once_when_the_date_is_past_or_missing(
        self, data: dict[str, Any], fields: dict[str, Any]
    ) -> None:
        if data.get("delta") == "-P3650000D":
            data = {**data, "delta": "-P36500D"}
            fields = {"due": timezone.now().date().isoformat()}
        assert started(waiting(**data), **fields).status == Status.COMPLETED

    def test_wait_adds_the_delta_to_the_date_of_the_field(self) -> None:
        day = (timezone.now() + timedelta(days=10)).date()
        execution = started(waiting(at_field="due", delta="-P3D"), due=day.isoformat())
        due = execution.steps.open().get().due_at
        assert due is not None
        assert due.date() == day - timedelta(days=3)

    def test_wait_opens_incident_when_the_field_is_no_date(self) -> None:
        execution = started(waiting(at_field="due"), due="soon")
        step = execution.steps.open().get()
        assert step.incident["code"] == "no_date"
        assert "'soon'" in step.incident["detail"]
        with pytest.raises(guards.NoIncident):
            services.wake(execution, node="sleep")
        entity = execution.entity
        entity.refresh_from_db()
        entity.fields = {"due": "2020-01-01"}
        entity.save()
        assert services.retry(execution, node="sleep").status == Status.COMPLETED

    @pytest.mark.parametrize(
        "data",
        [
            {},
            {"interval": "soon"},
            {"interval": 0},
            {"interval": "P1D", "at": "2020-01-01"},
            {"at": "soon"},
            {"at_field": "1"},
            {"interval": "P1D", "delta": "P1D"},
            {"at_field": "due", "delta": "x"},
        ],
    )
    def test_wait_is_refused_when_its_data_is_invalid(self, data: dict[str, Any]) -> None:
        with pytest.raises(Refusal):
            started(waiting(**data))


class TestScheduled:
    def test_scheduled_start_runs_the_frozen_version_at_its_time(self, scenario: Scenario) -> None:
        at = timezone.now() + timedelta(hours=1)
        execution = services.start(scenario.caller, scenario.finding, scheduled_for=at)
        assert execution.status == Status.SCHEDULED
        assert open_nodes(execution) == {"start"}
        save_line(scenario.caller, form("newer"), call(scenario.callee))
        later(hours=1)
        assert queue.serve_due() == 1
        execution.refresh_from_db()
        assert execution.status == Status.WAITING
        assert open_nodes(execution) == {"form"}

    def test_scheduled_execution_blocks_edits_and_can_be_cancelled(
        self, scenario: Scenario
    ) -> None:
        at = timezone.now() + timedelta(hours=1)
        execution = services.start(scenario.caller, scenario.finding, scheduled_for=at)
        scenario.caller.entity_name_type = scenario.exception
        with pytest.raises(ActiveExecutions):
            scenario.caller.save()
        assert services.cancel(execution).status == Status.CANCELLED
        assert not Job.objects.exists()

    def test_scheduled_start_begins_at_once_when_the_time_has_passed(
        self, scenario: Scenario
    ) -> None:
        at = timezone.now() - timedelta(hours=1)
        execution = services.start(scenario.caller, scenario.finding, scheduled_for=at)
        assert execution.status == Status.WAITING

    def test_wake_begins_a_scheduled_execution_early(self, scenario: Scenario) -> None:
        at = timezone.now() + timedelta(hours=1)
        execution = services.start(scenario.caller, scenario.finding, scheduled_for=at)
        assert services.wake(execution, node="start").status == Status.WAITING
        assert open_nodes(execution) == {"form"}


class TestDeadline:
    def test_step_is_overdue_and_stays_open_when_its_deadline_passes(self) -> None:
        workflow = WorkflowFactory()
        save_line(workflow, form(deadline="PT1H"))
        finding = FindingFactory(entity_name_type=workflow.entity_name_type)
        execution = services.start(workflow, finding)
        later(hours=1)
        assert queue.serve_due() == 1
        step = execution.steps.open().get()
        assert (step.overdue, step.state) == (True, "open")
        assert not Job.objects.exists()
        services.submit(execution, node="form", data={"note": "n"})

    def test_deadline_job_is_deleted_when_the_step_is_done_in_time(self) -> None:
        workflow = WorkflowFactory()
        save_line(workflow, form(deadline="PT1H"))
        finding = FindingFactory(entity_name_type=workflow.entity_name_type)
        services.submit(services.start(workflow, finding), node="form", data={"note": "n"})
        assert not Job.objects.exists()


class TestJobs:
    def test_job_result_is_taken_from_the_last_claim(self) -> None:
        execution = started(waiting(interval="PT1H"))
        later(hours=1)
        (first,) = queue.claim_jobs(lease=timedelta(seconds=-1))
        (second,) = queue.claim_jobs()
        assert queue.claim_jobs() == []
        assert queue.serve_job(first) is False
        assert open_nodes(execution) == {"sleep"}
        assert queue.serve_job(second) is True
        assert open_nodes(execution) == set()
        assert queue.serve_job(second) is False

    def test_worker_finishes_its_job_and_releases_the_rest_when_it_stops(self) -> None:
        for _ in range(3):
            started(waiting(interval="PT1H"))
        later(hours=1)
        requests: list[int] = []

        def stop() -> bool:
            requests.append(1)
            return len(requests) > 2

        assert queue.serve_due(stop) == 1
        assert Job.objects.filter(leased_until=None).count() == 2
        assert queue.serve_due() == 2

    def test_worker_keeps_jobs_claimed_by_others_when_it_stops(self) -> None:
        for _ in range(2):
            started(waiting(interval="PT1H"))
        later(hours=1)
        others: list[Job] = []

        def stop() -> bool:
            if Job.objects.count() == 1 and not others:
                Job.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
                others.extend(queue.claim_jobs())
            return bool(others)

        assert queue.serve_due(stop) == 1
        (other,) = others
        assert Job.objects.get().leased_until == other.leased_until
        assert queue.serve_job(other) is True

    def test_worker_with_a_lost_lease_does_not_postpone_the_job(self) -> None:
        execution = started(waiting(interval="PT1H"))
        later(hours=1)
        (first,) = queue.claim_jobs(lease=timedelta(seconds=-1))
        (second,) = queue.claim_jobs()
        for attempt in (0, ATTEMPTS - 1):
            first.attempt = attempt
            jobs.retry_job_later(first, "no luck")
            (job,) = Job.objects.all()
            assert (job.attempt, job.leased_until) == (1, second.leased_until)
            assert execution.steps.open().get().incident is None
        assert queue.serve_job(second) is True

    def test_failed_job_is_retried_and_finally_opens_incident(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*args: Any) -> None:
            raise RuntimeError("no luck")

        execution = started(waiting(interval="PT1H"))
        monkeypatch.setattr("executions.engine.nodes.wait.Wait.wake", fail)
        for attempt in range(1, 5):
            later(hours=3)
            assert queue.serve_due() == 0
            assert Job.objects.get().attempt == attempt
            assert Job.objects.get().due_at > timezone.now()
        later(hours=3)
        queue.serve_due()
        step = Step.objects.open().get()
        assert step.incident["code"] == "background"
        assert "It failed 5 times. The last error: RuntimeError: no luck" in step.incident["detail"]
        assert not Job.objects.exists()
        assert "no luck" in caplog.text
        monkeypatch.undo()
        services.retry(execution, node="sleep")
        assert Job.objects.count() == 1
