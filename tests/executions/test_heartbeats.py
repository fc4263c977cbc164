"""Heartbeats of workers, and the clock that due times, leases and heartbeats share."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from executions import services
from executions.models import Job, WorkerHeartbeat, WorkerKind
from executions.worker import celery_tasks, heartbeat, queue
from tests.commands import run
from tests.executions.engine.test_branches import open_nodes, started
from tests.executions.test_clock import waiting
from workflows.db import clock

pytestmark = pytest.mark.django_db(transaction=True)


def test_age_of_last_heartbeat_is_none_without_workers() -> None:
    assert heartbeat.seconds_since_last_beat() is None


@pytest.mark.parametrize("kind", list(WorkerKind))
def test_worker_stores_its_heartbeat(kind: WorkerKind) -> None:
    if kind == WorkerKind.CELERY:
        celery_tasks.sweep()
    else:
        run(kind.value, **({"once": True} if kind == WorkerKind.WORK else {}))
    [row] = WorkerHeartbeat.objects.all()
    assert (row.kind, row.name) == (kind, heartbeat.process_name())
    age = heartbeat.seconds_since_last_beat()
    assert age is not None and age < 5


def test_dry_run_stores_no_heartbeat() -> None:
    run("run_due", dry_run=True)
    assert heartbeat.seconds_since_last_beat() is None


def test_next_heartbeat_updates_the_row_of_the_process() -> None:
    heartbeat.beat(WorkerKind.WORK)
    before = WorkerHeartbeat.objects.get()
    WorkerHeartbeat.objects.update(last_beat=timezone.now() - timedelta(minutes=2))
    age = heartbeat.seconds_since_last_beat()
    assert age is not None and 119 < age < 130
    heartbeat.beat(WorkerKind.WORK)
    row = WorkerHeartbeat.objects.get()
    assert row.last_beat >= before.last_beat and row.started_at == before.started_at


def test_heartbeats_of_yesterday_are_deleted() -> None:
    heartbeat.beat(WorkerKind.WORK)
    WorkerHeartbeat.objects.update(name="old:1", last_beat=timezone.now() - timedelta(days=2))
    run("run_due")
    assert [row.name for row in WorkerHeartbeat.objects.all()] == [heartbeat.process_name()]


@pytest.mark.postgresql
@pytest.mark.parametrize("minutes", [5, -5])
def test_wrong_clock_of_a_process_moves_no_due_time_or_lease(
    minutes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = timedelta(minutes=minutes)
    monkeypatch.setattr(timezone, "now", lambda: datetime.now(UTC) + wrong)
    execution = started(waiting(interval="PT1H"))
    due = Job.objects.get().due_at
    assert abs(due - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=10)
    assert queue.serve_due() == 0

    services.postpone(
        execution, node="sleep", until=datetime.now(UTC) + timedelta(minutes=3), why="tried"
    )
    assert queue.serve_due() == 0, "it is not due for three minutes"
    Job.objects.update(due_at=datetime.now(UTC))
    [job] = queue.claim_jobs()
    assert job.leased_until is not None
    assert abs(job.leased_until - datetime.now(UTC) - queue.LEASE) < timedelta(seconds=10)
    assert queue.serve_job(job)
    assert open_nodes(execution) == set()


@pytest.mark.postgresql
def test_clock_of_the_database_is_read_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    past = datetime(2020, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(clock, "_readings", {"default": (past, time.monotonic() - 1)})
    assert clock.now() - past < timedelta(seconds=5), "the reading is new enough"
    monkeypatch.setattr(clock, "_readings", {"default": (past, time.monotonic() - 3600)})
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=10)


def test_row_that_is_due_now_is_claimable_at_once() -> None:
    for _ in range(20):
        started(waiting(interval="PT1H"))
        Job.objects.update(due_at=clock.now())
        assert queue.serve_due() == 1
