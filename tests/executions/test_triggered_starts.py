"""Triggered starts that were left behind when their process was killed after the commit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from executions import services
from executions.models import Finding, TriggeredStart
from executions.services import triggering
from executions.worker import celery_tasks, rounds
from tests.executions.test_triggers import count_executions, create_triggered_workflow, last_entry
from tests.factories import FindingFactory, FindingTypeFactory
from workflows import editing
from workflows.models import Workflow

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("invariants")]


@pytest.fixture
def queued_workflow(monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """Return a workflow whose start is due, because its process was killed after the commit."""
    kind = FindingTypeFactory()
    workflow = create_triggered_workflow(kind, "created")
    with monkeypatch.context() as patch:
        patch.setattr(triggering, "_serve_all", lambda _: None)
        FindingFactory(entity_name_type=kind, title="Left behind")
    assert count_executions(workflow) == 0 and TriggeredStart.objects.count() == 1
    return workflow


def test_start_of_killed_process_is_made_up_once(queued_workflow: Workflow) -> None:
    assert rounds.run_due(dry_run=True).starts == 1
    assert rounds.run_due().starts == 1
    assert rounds.run_due().starts == 0
    assert count_executions(queued_workflow) == 1 and not TriggeredStart.objects.exists()


def test_sweep_serves_triggered_starts(queued_workflow: Workflow) -> None:
    celery_tasks.sweep()
    assert count_executions(queued_workflow) == 1 and not TriggeredStart.objects.exists()


def test_start_that_is_served_twice_starts_once(queued_workflow: Workflow) -> None:
    pk = TriggeredStart.objects.get().pk
    assert services.serve_start(pk) is True
    assert services.serve_start(pk) is False
    assert count_executions(queued_workflow) == 1


def test_start_is_dropped_when_entity_is_deleted(queued_workflow: Workflow) -> None:
    Finding.objects.get(title="Left behind").delete()
    assert rounds.run_due().starts == 0 and not TriggeredStart.objects.exists()


def test_start_is_refused_when_workflow_is_deleted(queued_workflow: Workflow) -> None:
    queued_workflow.delete()
    finding = Finding.objects.get(title="Left behind")
    assert rounds.run_due().starts == 1
    entry = last_entry()
    assert (entry.refused, entry.code, entry.cuid) == (True, "gone", finding.cuid)


def test_start_is_refused_when_workflow_is_retired(queued_workflow: Workflow) -> None:
    editing.retire(queued_workflow)
    assert rounds.run_due().starts == 1
    entry = last_entry()
    assert (entry.code, entry.cuid) == ("not_startable", queued_workflow.cuid)
    assert count_executions(queued_workflow) == 0


def test_failed_start_is_retried_and_finally_recorded(
    queued_workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise ZeroDivisionError("boom")

    with monkeypatch.context() as patch:
        patch.setattr(triggering, "start_under_locks", fail)
        for attempt in range(1, 5):
            assert rounds.run_due().starts == 0
            row = TriggeredStart.objects.get()
            assert row.attempt == attempt and row.due_at > timezone.now()
            TriggeredStart.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        rounds.run_due()
    assert not TriggeredStart.objects.exists() and count_executions(queued_workflow) == 0
    entry = last_entry()
    assert (entry.refused, entry.cuid) == (True, queued_workflow.cuid)
    assert entry.detail == "It failed 5 times. The last error: ZeroDivisionError: boom"
