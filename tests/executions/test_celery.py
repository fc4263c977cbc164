"""Celery workers: messages only wake them, and the rows of the queue decide."""

from __future__ import annotations

import base64
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from benchmarks.processes import Broker, CeleryProcess, until
from executions import wakeups
from executions.models import Execution, Job, Status, Visits
from executions.worker import celery_tasks, queue
from tests.conftest import Scenario
from tests.executions.engine.server import Reply, Server, run_server
from tests.executions.engine.test_branches import source, started
from tests.programs import require_program
from workflows.audit.actor import Interface
from workflows.editing import change_entity_context
from workflows.models import AuditEntry, PendingChange
from workflows_project.celery import app

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("invariants"),
    pytest.mark.slow,
    pytest.mark.postgresql,  # Its workers are processes of their own.
]

LEASE = 2
SLOW = Reply(200, b"x" * 30, pace=0.1)


@pytest.fixture(scope="session")
def redis() -> Iterator[Broker]:
    require_program("redis-server")
    # A socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="redis-") as directory:
        broker = Broker(Path(directory))
        broker.start()
        yield broker
        broker.client.close()
        broker.kill()


@pytest.fixture
def broker(redis: Broker, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    settings.CELERY_BROKER_URL = redis.url
    monkeypatch.setattr(app.conf, "broker_url", redis.url)
    monkeypatch.setattr(wakeups, "_silent_until", 0.0)
    redis.client.flushall()
    yield redis
    app.close()


@pytest.fixture(scope="session")
def known_server() -> Iterator[Server]:
    with run_server() as known:
        yield known


@pytest.fixture
def server(known_server: Server, settings: Any) -> Server:
    settings.HTTP_REQUEST_HOSTS = [known_server.host]
    settings.HTTP_REQUEST_ALLOW_HTTP = settings.HTTP_REQUEST_ALLOW_LOOPBACK = True
    known_server.replies = [Reply()]
    known_server.received.clear()
    return known_server


@pytest.fixture(scope="session")
def environment(redis: Broker, known_server: Server, django_db_setup: None) -> dict[str, str]:
    """Return the environment of a process with this database, broker and server."""
    name = connection.settings_dict["NAME"]
    host = str(connection.settings_dict["HOST"]).replace("/", "%2F")
    return {
        "DATABASE_URL": f"postgres://postgres:@{host}/{name}",
        "CELERY_BROKER_URL": redis.url,
        "HTTP_REQUEST_HOSTS": known_server.host,
        "HTTP_REQUEST_ALLOW_HTTP": "1",
        "HTTP_REQUEST_ALLOW_LOOPBACK": "1",
        "JOB_LEASE_SECONDS": str(LEASE),
        "SWEEP_SECONDS": "1",
    }


@contextmanager
def run_worker(environment: dict[str, str], processes: int = 2) -> Iterator[CeleryProcess]:
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "worker.log"
        worker = CeleryProcess(
            log, environment, "worker", "-c", str(processes), "-l", "INFO", "--without-mingle"
        )
        try:
            worker.wait_until_ready()
            yield worker
        finally:
            worker.end()


@contextmanager
def run_beat(environment: dict[str, str], directory: Path) -> Iterator[None]:
    beat = CeleryProcess(
        directory / "beat.log", environment, "beat", "-s", str(directory / "schedule")
    )
    try:
        yield
    finally:
        beat.end()


@pytest.fixture(scope="class")
def one_worker(environment: dict[str, str]) -> Iterator[CeleryProcess]:
    with run_worker(environment) as process:
        yield process


@pytest.fixture
def worker(one_worker: CeleryProcess, broker: Broker) -> Iterator[CeleryProcess]:
    """Run a worker, and wait until it is idle, so that it serves nothing in the next test."""
    yield one_worker
    until(lambda: not (broker.waiting() or broker.taken()), "the worker to be idle")


def start_call(server: Server, *, interval: float | None = None) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "start": "start",
        "call": {"type": "http_request", "data": {"url": server.url(), "method": "POST"}},
        "end": "end",
    }
    if interval is None:
        return source(nodes, "start>call", "call>end")
    nodes["sleep"] = {"type": "wait", "data": {"interval": interval}}
    return source(nodes, "start>sleep", "sleep>call", "call>end")


def has_completed(execution: Execution) -> bool:
    execution.refresh_from_db()
    return execution.status == Status.COMPLETED


def read_keys(server: Server) -> list[str]:
    return [request.headers["idempotency-key"] for request in server.received]


class TestSending:
    def test_due_job_sends_wakeup_on_commit(self, broker: Broker, server: Server) -> None:
        with transaction.atomic():
            started(start_call(server))
            assert broker.waiting() == 0
        assert broker.waiting() == 1
        (message,) = broker.client.lrange("holdfast", 0, -1)
        arguments, named, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
        assert (arguments, named) == ([], {}), "it only wakes"

    def test_rollback_sends_no_wakeup(self, broker: Broker, server: Server) -> None:
        with transaction.atomic():
            started(start_call(server))
            transaction.set_rollback(True)
        assert broker.waiting() == 0

    def test_timer_sends_no_wakeup(self, broker: Broker, server: Server) -> None:
        started(start_call(server, interval=60))
        assert broker.waiting() == 0
        celery_tasks.sweep()
        assert broker.waiting() == 0, "it is not due"
        Job.objects.update(due_at=timezone.now())
        for _ in range(3):
            celery_tasks.sweep()
            assert broker.waiting() == 1, "one is woken, however long it takes"
            assert broker.client.llen("holdfast.timers") == 1, "and one that makes no calls"
        broker.client.flushall()
        queue.claim_jobs()
        celery_tasks.sweep()
        assert broker.waiting() == 0, "somebody has claimed it"

    def test_no_wakeup_is_sent_without_broker(
        self, broker: Broker, server: Server, settings: Any
    ) -> None:
        settings.CELERY_BROKER_URL = ""
        started(start_call(server))
        assert broker.waiting() == 0

    def test_unreachable_broker_fails_nothing(
        self, broker: Broker, server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        broker.kill()
        try:
            with caplog.at_level(logging.WARNING):
                executions = [started(start_call(server)) for _ in range(3)]
        finally:
            broker.start()
        (record,) = caplog.records
        assert record.getMessage().startswith(
            "No wake-up could be sent; the sweep will find the due jobs"
        )
        assert {execution.status for execution in executions} == {Status.WAITING}
        call_command("work", once=True, stdout=StringIO())
        assert all(has_completed(execution) for execution in executions)

    def test_sweep_sends_wakeups_that_were_lost(self, broker: Broker, server: Server) -> None:
        broker.kill()
        try:
            execution = started(start_call(server))
        finally:
            broker.start()
        celery_tasks.sweep()
        assert broker.waiting() == 1
        celery_tasks.serve()
        assert has_completed(execution)


class TestTasks:
    def test_serve_task_serves_all_due_jobs(self, broker: Broker, server: Server) -> None:
        executions = [started(start_call(server)) for _ in range(3)]
        celery_tasks.serve()
        assert all(has_completed(execution) for execution in executions)

    def test_timer_task_makes_no_calls(self, broker: Broker, server: Server) -> None:
        sleeper = started(start_call(server, interval=60))
        caller = started(start_call(server))
        Job.objects.filter(kind="timer").update(due_at=timezone.now())
        celery_tasks.serve_timers()
        assert list(Job.objects.values_list("kind", flat=True)) == ["call", "call"]
        assert not has_completed(sleeper) and not has_completed(caller)

    def test_serve_task_ends_after_its_time(
        self, broker: Broker, server: Server, settings: Any
    ) -> None:
        executions = [started(start_call(server)) for _ in range(2)]
        broker.client.flushall()
        settings.SWEEP_SECONDS = 0
        celery_tasks.serve()
        assert not any(has_completed(execution) for execution in executions)
        celery_tasks.sweep()
        assert broker.waiting() == 2

    def test_sweep_applies_drained_changes(self, broker: Broker, scenario: Scenario) -> None:
        execution = scenario.start()
        change_entity_context(
            [scenario.caller, scenario.callee], entity_name_type=scenario.exception, when="drained"
        )
        with transaction.atomic():
            execution.steps.update(state="cancelled")
            Execution._base_manager.filter(pk=execution.pk).update(status="cancelled")
        celery_tasks.sweep()
        assert PendingChange.objects.get().state == PendingChange.State.APPLIED
        assert AuditEntry.objects.latest("pk").face == Interface.COMMAND


class TestWorkers:
    def test_worker_serves_committed_jobs(
        self, worker: CeleryProcess, broker: Broker, server: Server
    ) -> None:
        execution = started(start_call(server))
        until(lambda: has_completed(execution), "the worker")
        assert read_keys(server) == [execution.steps.get(node_id="call").cuid]

    def test_duplicate_message_serves_job_once(
        self, worker: CeleryProcess, broker: Broker, server: Server
    ) -> None:
        server.replies = [Reply(200, b"x" * 5, pace=0.1)]
        execution = started(start_call(server))
        wakeups.send(10)
        until(lambda: has_completed(execution), "the worker")
        until(lambda: not (broker.waiting() or broker.taken()), "every message")
        assert len(server.received) == 1
        assert len(Visits(execution)) == 3

    def test_slow_calls_run_concurrently(
        self, worker: CeleryProcess, broker: Broker, server: Server
    ) -> None:
        server.replies = [SLOW]
        executions = [started(start_call(server)) for _ in range(2)]
        until(lambda: len(server.received) == 2, "both calls")
        assert Job.objects.count() == 2, "neither has been answered yet"
        server.replies = [Reply()]
        until(lambda: all(has_completed(execution) for execution in executions), "both answers")


class TestKilled:
    """A worker that is killed, with no other worker running."""

    def test_other_worker_takes_over_call_of_killed_worker(
        self, environment: dict[str, str], broker: Broker, server: Server, tmp_path: Path
    ) -> None:
        server.replies = [SLOW]
        with run_worker(environment, 1) as first:
            execution = started(start_call(server))
            until(lambda: server.received, "the call")
            first.kill()
        leased_until = Job.objects.get().leased_until
        assert leased_until is not None and leased_until > timezone.now()
        server.replies = [Reply()]
        with run_beat(environment, tmp_path), run_worker(environment, 1):
            until(lambda: has_completed(execution), "another worker")
        step = execution.steps.get(node_id="call")
        assert set(read_keys(server)) == {step.cuid} and len(server.received) == 2
        assert len(Visits(execution)) == 3
