"""Workers: lanes, renewed leases, takeovers, outages of the database, and the orderly stop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import OperationalError, connections, transaction
from django.utils import timezone

from executions.models import Job, Status, Step, WorkerHeartbeat, WorkerKind
from executions.models.leased_row import ATTEMPTS
from executions.worker import heartbeat, jobs, leases, queue, rounds, service
from tests.commands import run
from tests.executions.engine.http_calls import http_request_graph
from tests.executions.engine.server import Reply, Server, run_server
from tests.executions.engine.test_branches import open_nodes, started
from tests.executions.test_clock import waiting
from workflows.db import outages

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]

AWAY = OperationalError("server closed the connection unexpectedly")


@pytest.fixture(autouse=True)
def no_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "_last", None)
    monkeypatch.setattr(outages, "_FIRST_PAUSE", 0.001)


@pytest.fixture
def server(settings: Any) -> Iterator[Server]:
    with run_server() as found:
        settings.HTTP_REQUEST_HOSTS = [found.host]
        settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
        yield found


@contextmanager
def run_worker(threads: int = 1, health_file: Path | None = None) -> Iterator[service.Worker]:
    worker = service.Worker(threads, 0.02, health_file, lambda _: None)

    def work() -> None:
        try:
            worker.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield worker
    finally:
        worker.stopped.set()
        thread.join()


def until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


def overdue(number: int = 1) -> list[Any]:
    found = [started(waiting(interval="PT1H")) for _ in range(number)]
    Job.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    return found


def expire_lease(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.postgresql
def test_timers_pass_while_every_call_is_slow(server: Server) -> None:
    server.replies = [Reply(200, b"x" * 200, pace=0.005)]
    callers = [started(http_request_graph(server.url())) for _ in range(4)]
    with run_worker(threads=2):
        until(lambda: len(server.received) == 2)
        sleepers = overdue()
        until(lambda: not open_nodes(sleepers[0]))
        assert len(server.received) == 2, "both threads for calls are busy"
        assert {row.pk for row in callers} >= {
            job.step.execution_id for job in Job.objects.select_related("step")
        }


@pytest.mark.postgresql
def test_stopped_worker_finishes_its_call_and_claims_nothing_more(server: Server) -> None:
    server.replies = [Reply(200, b"x" * 5, pace=0.1)]
    executions = [started(http_request_graph(server.url())) for _ in range(2)]
    with run_worker() as worker:
        until(lambda: len(server.received) == 1)
        worker.stopped.set()
    for execution in executions:
        execution.refresh_from_db()
    assert [row.status for row in executions] == [Status.COMPLETED, Status.WAITING]
    assert Job.objects.get().leased_until is None
    assert WorkerHeartbeat.objects.get().stopped_at is not None


@pytest.mark.postgresql
def test_health_file_exists_while_the_worker_runs(tmp_path: Path) -> None:
    file = tmp_path / "health"
    with run_worker(health_file=file):
        until(file.exists)
    assert not file.exists()


def test_worker_is_unhealthy_when_a_thread_makes_no_progress() -> None:
    worker = service.Worker(1, 1.0, None, lambda _: None)
    worker._busy_since["calls-0"] = time.monotonic()
    assert worker.is_healthy()
    worker._busy_since["calls-0"] -= leases.MAX_SECONDS + 1
    assert not worker.is_healthy()
    outages.note()
    assert worker.is_healthy(), "a result waits for the database"


@pytest.mark.postgresql
@pytest.mark.parametrize("is_renewed", [True, False])
def test_lease_is_renewed_while_a_job_is_performed(is_renewed: bool) -> None:
    overdue()
    lease = timedelta(seconds=0.15)
    [job] = queue.claim_jobs(lease=lease)
    keeper = leases.LeaseKeeper(lease if is_renewed else timedelta(hours=1))
    with keeper.renewing(job):
        time.sleep(0.4)
        assert bool(queue.claim_jobs()) != is_renewed


@pytest.mark.parametrize("state", ["released", "claimed by another"])
def test_renewal_leaves_a_row_that_the_worker_has_lost(state: str) -> None:
    overdue()
    [job] = queue.claim_jobs(lease=timedelta(seconds=-1))
    if state == "released":
        job.release_lease()
    else:
        queue.claim_jobs()
    before = Job.objects.get().leased_until
    with transaction.atomic():
        job.keep_lease(timedelta(hours=1))
    assert Job.objects.get().leased_until == before


def test_job_that_ends_its_workers_becomes_an_incident_and_starves_no_other() -> None:
    poison, other = overdue(2)
    first = Job.objects.order_by("pk").first()
    assert first is not None
    for attempt in range(ATTEMPTS):
        [job] = queue.claim_jobs(1)
        assert (job.pk, job.attempt) == (first.pk, attempt)
        expire_lease(first)
    assert queue.serve_due() == 1
    assert open_nodes(other) == set()
    step = Step.objects.get(execution=poison, node_id="sleep")
    assert step.incident["code"] == "worker_lost"
    assert step.incident["detail"] == "Its worker was lost, or it failed, 5 times."
    assert not Job.objects.exists()


def test_job_that_cannot_even_be_rescheduled_starves_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison, other = overdue(2)
    first = Job.objects.order_by("pk").first()
    finish = jobs.finish_job

    def fail(job: Job, *values: Any, **named: Any) -> Any:
        if job.pk == first.pk:
            raise RuntimeError("no luck")
        return finish(job, *values)

    monkeypatch.setattr(queue, "finish_job", fail)
    monkeypatch.setattr(queue, "retry_job_later", fail)
    assert queue.serve_due() == 1
    assert open_nodes(other) == set() and open_nodes(poison) == {"sleep"}
    assert "could not be rescheduled" in caplog.text


@pytest.mark.parametrize("answer", [Reply(), Reply(400)], ids=["success", "failure"])
def test_result_of_a_call_waits_until_the_database_is_back(
    server: Server, monkeypatch: pytest.MonkeyPatch, answer: Reply
) -> None:
    server.replies = [answer]
    execution = started(http_request_graph(server.url()))
    failures = [AWAY] * 3
    store = {name: getattr(queue, name) for name in ("store_result", "fail_job")}

    def interrupted(name: str) -> Any:
        def write(*values: Any) -> Any:
            if failures:
                raise failures.pop()
            return store[name](*values)

        return write

    for name in store:
        monkeypatch.setattr(queue, name, interrupted(name))
    queue.serve_due()
    assert len(server.received) == 1 and not failures
    execution.refresh_from_db()
    if answer.status == 400:
        assert execution.steps.open().get().incident is not None
    else:
        assert execution.status == Status.COMPLETED
    assert not Job.objects.exists()


def test_jobs_of_others_are_not_taken_over_right_after_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    overdue()
    queue.claim_jobs(lease=timedelta(seconds=-1))
    outages.note()
    assert queue.serve_due() == 0, "the worker that performs it renews its lease first"
    last = time.monotonic() - queue.LEASE.total_seconds() - 1
    monkeypatch.setattr(outages, "_last", last)
    assert queue.serve_due() == 1


def test_other_errors_of_the_database_are_not_outlasted() -> None:
    def fail() -> None:
        raise OperationalError("no such table: x")

    with pytest.raises(OperationalError, match="no such table"):
        outages.outlast(fail)


def test_failing_duty_does_not_prevent_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr(rounds, "HOUSEKEEPING", (fail, *rounds.HOUSEKEEPING))
    monkeypatch.setattr(rounds, "recount_votes", fail)
    overdue()
    assert "Done: 1 job." in run("run_due")
    assert caplog.text.count("A periodic duty failed") == 2


class TestStatus:
    def test_status_shows_workers_and_lag(self) -> None:
        heartbeat.beat(WorkerKind.CELERY)
        overdue()
        Job.objects.update(due_at=timezone.now() - timedelta(minutes=3))
        out = run("work", status=True)
        assert out.startswith(f"Celery worker {heartbeat.process_name()}, started ")
        assert "The oldest due work waits for 18" in out
        data = json.loads(run("work", status=True, json=True))
        assert [row["kind"] for row in data["workers"]] == ["celery"]
        assert 180 <= data["lag_seconds"] < 200

    def test_status_fails_when_no_worker_was_seen_in_the_last_minute(self) -> None:
        with pytest.raises(CommandError, match=r"No worker has ever been seen"):
            run("work", status=True)
        heartbeat.beat(WorkerKind.WORK)
        WorkerHeartbeat.objects.update(last_beat=timezone.now() - timedelta(minutes=2))
        with pytest.raises(CommandError, match=r"No worker has been seen since 20.* UTC\."):
            run("work", status=True)

    def test_json_needs_status(self) -> None:
        with pytest.raises(CommandError, match="--json needs --status"):
            run("work", json=True)
