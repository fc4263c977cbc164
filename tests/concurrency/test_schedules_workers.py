"""Schedules that several workers serve at the same time, or one that is killed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from executions import services as running
from executions.models import Execution, ScheduledStart, TriggeredStart
from executions.models import Schedule as StoredSchedule
from executions.services import scheduling
from executions.worker import rounds
from tests.concurrency.invariants import assert_invariants
from tests.concurrency.schedule import (
    CLOSURE_LOCKED,
    MARKS,
    Schedule,
    after,
    before,
    schedule_fixture,  # noqa: F401  the fixture that the tests ask for
)
from tests.factories import FindingFactory, FindingTypeFactory, WorkflowFactory, form, save_line
from workflows import editing
from workflows.db import clock
from workflows.models import Workflow

pytestmark = MARKS

LOCKED = before("executions.services.scheduling.live_entities")
QUEUED = after("executions.services.scheduling.queue_batch")
CLAIMED = after("executions.services.triggering.claim_occurrence")


@pytest.fixture
def workflow(db: None, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """Return a workflow with a due occurrence for three findings, in batches of two."""
    monkeypatch.setattr(scheduling, "BATCH", 2)
    kind = FindingTypeFactory()
    row: Workflow = WorkflowFactory(
        entity_name_type=kind, trigger="schedule", trigger_data={"cron": "0 0 * * *"}
    )
    save_line(row, form())
    for _ in range(3):
        FindingFactory(entity_name_type=kind)
    make_due()
    return row


def make_due() -> None:
    yesterday = clock.now() - timedelta(days=1)
    StoredSchedule.objects.update(served_until=yesterday, due_at=yesterday)


def assert_each_entity_has_one() -> None:
    assert Execution.objects.count() == ScheduledStart.objects.count() == 3
    assert Execution.objects.values("entity").distinct().count() == 3
    assert not TriggeredStart.objects.exists()
    assert_invariants()


@pytest.mark.parametrize("at", [LOCKED, QUEUED, CLAIMED, CLOSURE_LOCKED])
def test_occurrence_starts_once_when_two_workers_serve_it(
    schedule: Schedule, workflow: Workflow, at: Any
) -> None:
    first = schedule.begin(running.serve_schedules, at)
    other = schedule.begin(rounds.run_periodic)
    if at in (CLAIMED, CLOSURE_LOCKED):
        # It waits for the entity of the queued start.
        other.assert_waits_for(first)
    first.go().end()
    other.end()
    rounds.run_periodic()
    assert schedule.deadlocks == 0
    assert_each_entity_has_one()


def test_key_refuses_occurrence_that_is_served_again(workflow: Workflow) -> None:
    running.serve_schedules()
    for execution in Execution.objects.live():
        running.submit(execution, node="form", data={"note": "n"})
    # Somebody sets the schedule back: the same occurrence is queued again.
    make_due()
    assert running.serve_schedules() == 0
    assert_each_entity_has_one()


@pytest.mark.parametrize("killed_at", ["queued", "started"])
def test_next_worker_makes_up_what_a_killed_worker_has_left(
    workflow: Workflow, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    class Killed(BaseException):
        pass

    def kill(*args: Any) -> Any:
        raise Killed

    name = {"queued": "_lock_row", "started": "start_under_locks"}[killed_at]
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(f"executions.services.triggering.{name}", kill)
        running.serve_schedules()
    assert TriggeredStart.objects.count() == 2 and not Execution.objects.exists()
    assert rounds.run_due().starts == 3
    assert_each_entity_has_one()


def test_retirement_waits_for_no_start_and_deletes_the_queued_ones(
    schedule: Schedule, workflow: Workflow
) -> None:
    worker = schedule.begin(running.serve_schedules, CLOSURE_LOCKED)
    editor = schedule.begin(lambda: editing.retire(workflow))
    editor.assert_waits_for(worker)
    worker.go().end()
    assert editor.end().refused is None
    rounds.run_due()
    assert schedule.deadlocks == 0
    assert not TriggeredStart.objects.exists() and not StoredSchedule.objects.exists()
    assert_invariants()
