"""Schedules: at each occurrence, a workflow starts on its entities, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, transaction

from executions import services
from executions.models import Execution, Schedule, ScheduledStart, TriggeredStart
from executions.services import scheduling
from executions.services.triggering import serve_start
from executions.worker import rounds
from tests.executions.test_triggers import count_executions, last_entry
from tests.factories import (
    FindingFactory,
    FindingTypeFactory,
    WorkflowFactory,
    call,
    form,
    save_line,
)
from workflows import editing
from workflows.db import clock
from workflows.models import AuditEntry, FindingType, Workflow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("invariants")]

DAILY: dict[str, Any] = {"cron": "0 9 * * *"}
YEARLY: dict[str, Any] = {"every": "P1Y", "from_field": "validated_on"}
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """The clock of the database, set by the test."""

    def __init__(self) -> None:
        self.now = BEGIN

    def pass_time(self, **length: float) -> int:
        """Move the clock on, and run a round of the worker. Return the number of starts."""
        self.now += timedelta(**length)
        return rounds.run_due().starts

    def go_to(self, *moment: int) -> int:
        """Set the clock to a UTC time, and run a round of the worker."""
        self.now = datetime(*moment, tzinfo=UTC)  # type: ignore[misc, arg-type]
        return rounds.run_due().starts


@pytest.fixture(name="time")
def time_fixture(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(clock, "now", lambda: found.now)
    # Due rows are compared with the time of the statement.
    monkeypatch.setattr(
        "executions.models.leased_row.DATABASE.statement_time",
        lambda length=timedelta(0): found.now + length,
        raising=False,
    )
    return found


@pytest.fixture(name="kind")
def kind_fixture(db: None) -> FindingType:
    row: FindingType = FindingTypeFactory(name="Model Limitation")
    return row


def create_scheduled(kind: FindingType, data: Any, **values: Any) -> Workflow:
    """Create a workflow with one form that this schedule starts."""
    workflow = WorkflowFactory(
        entity_name_type=kind, trigger="schedule", trigger_data=data, **values
    )
    save_line(workflow, form())
    return workflow


def end_all() -> None:
    for execution in Execution.objects.live():
        services.submit(execution, node="form", data={"note": "n"})


# Cron


def test_occurrence_starts_workflow_on_each_entity_of_its_type(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, DAILY)
    findings = [FindingFactory(entity_name_type=kind) for _ in range(3)]
    FindingFactory()
    assert time.pass_time(hours=1) == 0
    assert time.go_to(2026, 3, 2, 9, 0, 1) == 3
    assert {row.entity_id for row in workflow.executions.all()} == {row.pk for row in findings}
    assert time.pass_time(hours=1) == 0 and not TriggeredStart.objects.exists()
    entry = last_entry()
    assert entry.action == "started" and entry.after["occurrence"] == "2026-03-02T09:00:00+00:00"


def test_entity_with_live_execution_is_left_out(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, DAILY)
    finding = FindingFactory(entity_name_type=kind)
    services.start(workflow, finding)
    assert time.pass_time(days=1) == 0
    end_all()
    assert time.pass_time(days=1) == 1 and count_executions(workflow) == 2


def test_occurrence_counts_only_entities_for_which_rule_holds(time: Clock, kind: Any) -> None:
    rule = {"field": "severity", "op": "gte", "value": 3}
    workflow = create_scheduled(kind, {**DAILY, "rule": rule})
    high, _low = [FindingFactory(entity_name_type=kind, fields={"severity": n}) for n in (3, 2)]
    assert time.pass_time(days=1) == 1
    assert workflow.executions.get().entity == high


def test_missed_occurrences_are_made_up_once(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, DAILY)
    FindingFactory(entity_name_type=kind)
    assert time.pass_time(days=30) == 1
    end_all()
    assert time.pass_time(minutes=5) == 0
    assert ScheduledStart.objects.get().occurrence == datetime(2026, 3, 31, 9, tzinfo=UTC)
    assert count_executions(workflow) == 1


def test_many_entities_are_served_in_batches(
    time: Clock, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduling, "BATCH", 2)
    workflow = create_scheduled(kind, DAILY)
    for _ in range(5):
        FindingFactory(entity_name_type=kind)
    rounds.run_due()
    time.now = datetime(2026, 3, 2, 9, 0, 1, tzinfo=UTC)
    assert rounds.run_due(dry_run=True).starts == 5
    schedule = Schedule.objects.get()
    assert len(scheduling.queue_batch(schedule.pk) or ()) == 2
    # Another worker continues, and makes the starts that the first one has left.
    assert rounds.run_due().starts == 5
    assert count_executions(workflow) == 5


# Date fields


def test_date_field_starts_workflow_a_year_after_the_date_of_each_entity(
    time: Clock, kind: Any
) -> None:
    workflow = create_scheduled(kind, YEARLY)
    march, april = [
        FindingFactory(entity_name_type=kind, fields={"validated_on": day})
        for day in ("2025-03-10", "2025-04-10")
    ]
    for value in ({}, {"validated_on": ""}, {"validated_on": "soon"}, {"validated_on": 20250310}):
        FindingFactory(entity_name_type=kind, fields=value)
    assert time.go_to(2026, 3, 9, 23, 59) == 0
    assert time.go_to(2026, 3, 10, 0, 1) == 1
    assert workflow.executions.get().entity == march
    end_all()
    assert time.go_to(2026, 4, 11) == 1
    assert workflow.executions.live().get().entity == april
    end_all()
    # Nobody has entered a new date: the next year counts from the same one.
    assert time.go_to(2027, 3, 11) == 1
    assert workflow.executions.live().get().entity == march


def test_new_date_counts_when_field_is_edited_before_the_occurrence(time: Clock, kind: Any) -> None:
    create_scheduled(kind, YEARLY)
    finding = FindingFactory(entity_name_type=kind, fields={"validated_on": "2025-03-10"})
    assert time.go_to(2026, 3, 9) == 0
    finding.fields = {"validated_on": "2025-06-01"}
    finding.save()
    assert time.go_to(2026, 3, 20) == 0
    assert time.go_to(2026, 6, 2) == 1


def test_date_whose_occurrence_has_passed_when_it_is_entered_starts_nothing(
    time: Clock, kind: Any
) -> None:
    create_scheduled(kind, YEARLY)
    FindingFactory(entity_name_type=kind, fields={"validated_on": "2024-12-10"})
    assert time.pass_time(days=1) == 0
    assert time.go_to(2026, 12, 11) == 1


def test_month_end_is_clamped_for_each_month(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, {"every": "1 month", "from_field": "validated_on"})
    assert workflow.trigger_data["every"] == "P1M"
    FindingFactory(entity_name_type=kind, fields={"validated_on": "2025-12-31"})
    preview = services.preview_schedule(workflow)
    assert preview is not None
    days = [f"{row.at:%m-%d}" for row in preview.occurrences[:3]]
    assert days == ["03-31", "04-30", "05-31"]


# Edits of the workflow


def test_schedule_counts_from_the_moment_when_workflow_becomes_active(
    time: Clock, kind: Any
) -> None:
    workflow = create_scheduled(kind, DAILY, state="draft")
    FindingFactory(entity_name_type=kind)
    assert time.pass_time(days=3) == 0 and not Schedule.objects.exists()
    editing.set_state(workflow, "active")
    assert time.pass_time(hours=1) == 0
    assert time.pass_time(days=1) == 1


@pytest.mark.parametrize("edit", ["retire", "trigger", "cron"])
def test_queued_starts_are_deleted_when_schedule_is_replaced(
    time: Clock, kind: Any, edit: str
) -> None:
    workflow = create_scheduled(kind, DAILY)
    FindingFactory(entity_name_type=kind)
    time.now += timedelta(days=1)
    assert len(scheduling.queue_batch(Schedule.objects.get().pk) or ()) == 1
    if edit == "retire":
        editing.retire(workflow)
    elif edit == "trigger":
        workflow.trigger, workflow.trigger_data = "manual", {}
        workflow.save()
    else:
        workflow.trigger_data = {"cron": "0 10 * * *"}
        workflow.save()
    assert rounds.run_due().starts == 0 and not TriggeredStart.objects.exists()
    assert Schedule.objects.count() == (edit == "cron")


def test_schedule_continues_when_another_setting_changes(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, DAILY)
    FindingFactory(entity_name_type=kind)
    time.now += timedelta(days=1)
    workflow.title = "Renamed"
    workflow.save()
    assert rounds.run_due().starts == 1


def test_schedule_of_bulk_created_workflow_is_found_by_the_next_round(
    time: Clock, kind: Any
) -> None:
    Workflow.objects.bulk_create(
        [
            Workflow(
                title="Bulk",
                entity_name_type=kind,
                trigger="schedule",
                trigger_data=DAILY,
                state="active",
            )
        ]
    )
    assert not Schedule.objects.exists()
    rounds.run_due()
    assert Schedule.objects.get().served_until == BEGIN


def test_schedule_is_deleted_with_its_workflow(time: Clock, kind: Any) -> None:
    create_scheduled(kind, DAILY).delete()
    assert not Schedule.objects.exists()


def test_refused_start_is_recorded_and_does_not_block_the_others(time: Clock, kind: Any) -> None:
    callee = WorkflowFactory(entity_name_type=kind)
    refused = create_scheduled(kind, DAILY)
    save_line(refused, call(callee))
    editing.set_state(callee, "draft")
    other = create_scheduled(kind, DAILY)
    finding = FindingFactory(entity_name_type=kind)
    assert time.pass_time(days=1) == 2
    entry = AuditEntry.objects.get(refused=True)
    assert (entry.code, entry.cuid) == ("not_startable", refused.cuid)
    assert entry.after["entity"] == finding.cuid
    assert count_executions(refused) == 0 and count_executions(other) == 1


def test_schedule_that_the_database_refuses_does_not_block_the_others(
    time: Clock, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, other = create_scheduled(kind, DAILY), create_scheduled(kind, DAILY)
    FindingFactory(entity_name_type=kind)
    rounds.run_due()
    queue_batch = scheduling.queue_batch

    def refuse(pk: int) -> Any:
        if Schedule.objects.get(pk=pk).workflow_id == broken.pk:
            raise DataError("value out of range")
        return queue_batch(pk)

    monkeypatch.setattr(scheduling, "queue_batch", refuse)
    assert time.go_to(2026, 3, 2, 9, 0, 1) == 1
    assert other.executions.count() == 1


def test_start_is_refused_while_workflow_is_draining(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, DAILY)
    services.start(workflow, FindingFactory(entity_name_type=kind))
    editing.change_entity_context([workflow], entity_name_type=FindingTypeFactory(), when="drained")
    FindingFactory(entity_name_type=kind)
    assert time.pass_time(days=1) == 1
    assert AuditEntry.objects.get(refused=True).code == "draining"


# Keys


def test_occurrence_that_is_queued_again_starts_nothing(time: Clock, kind: Any) -> None:
    workflow = create_scheduled(kind, DAILY)
    finding = FindingFactory(entity_name_type=kind)
    assert time.pass_time(days=1) == 1
    end_all()
    record = ScheduledStart.objects.get()
    TriggeredStart.objects.create(
        workflow=workflow,
        entity_id=finding.pk,
        trigger="schedule",
        due_at=time.now,
        occurrence=record.occurrence,
    )
    assert rounds.run_due().starts == 0
    assert count_executions(workflow) == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        record.pk = None
        record.save(force_insert=True)


@pytest.mark.parametrize("meanwhile", ["started", "changed", "rescheduled"])
def test_queued_start_is_checked_again_when_it_is_made(
    time: Clock, kind: Any, meanwhile: str
) -> None:
    rule = {"field": "severity", "op": "gt", "value": 3}
    workflow = create_scheduled(kind, DAILY | {"rule": rule})
    finding = FindingFactory(entity_name_type=kind, fields={"severity": 4})
    time.now += timedelta(days=1)
    (start,) = scheduling.queue_batch(Schedule.objects.get().pk) or []
    if meanwhile == "started":
        services.start(workflow, finding)
    elif meanwhile == "changed":
        finding.fields = {"severity": 1}
        finding.save()
    else:
        # As raw SQL does, which deletes no queued start.
        Workflow._base_manager.filter(pk=workflow.pk).update(trigger="manual", trigger_data={})
    before = count_executions(workflow)
    assert serve_start(start) is False
    assert count_executions(workflow) == before
    assert not ScheduledStart.objects.exists()


def test_records_of_scheduled_starts_are_purged_after_90_days(time: Clock, kind: Any) -> None:
    create_scheduled(kind, DAILY)
    FindingFactory(entity_name_type=kind)
    time.pass_time(days=1)
    ScheduledStart.objects.update(at=time.now - timedelta(days=91))
    assert services.purge_scheduled_starts() == 1
