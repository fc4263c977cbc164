"""The job of an HTTP call: leases, and executions that end during the call."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from executions import services
from executions.engine import http_client
from executions.models import Job, Status
from executions.worker import jobs, queue
from tests.executions.engine.http_calls import (
    http_request_graph,
    make_due,
    reload,
    run_http_request,
)
from tests.executions.engine.server import Server
from tests.executions.engine.test_branches import started

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]


class TestJob:
    @pytest.mark.django_db(transaction=True)
    def test_call_runs_outside_any_transaction(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inside: list[bool] = []
        call = http_client.call

        def record_call(request: http_client.Request, *, timeout: float) -> http_client.Answer:
            inside.append(connection.in_atomic_block)
            return call(request, timeout=timeout)

        monkeypatch.setattr(http_client, "call", record_call)
        execution, _ = run_http_request(server.url())
        assert execution.status == Status.COMPLETED
        assert inside == [False]

    def test_lease_is_renewed_before_the_call(self, server: Server) -> None:
        started(http_request_graph(server.url()))
        (job,) = queue.claim_jobs(lease=timedelta(seconds=1))
        assert jobs.prepare_task(job, queue.LEASE) is not None
        leased_until = Job.objects.get().leased_until
        assert leased_until is not None
        assert leased_until > timezone.now() + queue.LEASE / 2

    def test_result_is_refused_when_the_lease_was_lost(self, server: Server) -> None:
        execution = started(http_request_graph(server.url()))
        (job,) = queue.claim_jobs()
        task = jobs.prepare_task(job, queue.LEASE)
        assert task is not None
        result = task.perform()
        make_due()
        (other,) = queue.claim_jobs()
        assert jobs.finish_job(job, result) is False
        assert jobs.fail_job(job, "late", "Too late.") is False
        assert jobs.prepare_task(job, queue.LEASE) is None
        assert reload(execution)[0].status == Status.WAITING
        assert queue.serve_job(other)
        assert reload(execution)[0].status == Status.COMPLETED

    def test_job_is_dropped_when_the_execution_has_ended(self, server: Server) -> None:
        execution = started(http_request_graph(server.url()))
        (job,) = queue.claim_jobs()
        services.cancel(execution)
        assert queue.serve_job(job) is False
        assert not server.received and not Job.objects.exists()

    def test_result_is_dropped_when_the_execution_has_ended(self, server: Server) -> None:
        execution = started(http_request_graph(server.url(), save_to="answer"))
        (job,) = queue.claim_jobs()
        task = jobs.prepare_task(job, queue.LEASE)
        assert task is not None
        result = task.perform()
        services.cancel(execution)
        assert jobs.finish_job(job, result) is False
        assert "answer" not in reload(execution)[0].entity.fields
