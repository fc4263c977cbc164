"""Schedules: workers start a workflow on its entities at each occurrence of its schedule.

A schedule is served in batches. Each is one short transaction under the lock of its row: it
queues triggered starts for the next entities, and moves the schedule on. The starts follow, each
in its own transaction. A killed worker leaves queued starts, and a schedule that the next worker
continues.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from executions.engine import rules
from executions.engine.recurrence import CronRecurrence, Recurrence, parse
from executions.engine.schedule_trigger import SCHEDULE
from executions.models import Entity, Execution, Schedule, ScheduledStart, TriggeredStart
from executions.services.triggering import serve_start
from workflows.db import clock, locks
from workflows.db.faults import find_fault, is_unmigrated
from workflows.db.json_values import canonical
from workflows.models import Workflow

logger = logging.getLogger(__name__)

BATCH = 200
"""The number of entities that one transaction checks."""
LOOK = timedelta(minutes=1)
"""The time after which the dates of entities are read again: people edit them."""
RETENTION = timedelta(days=90)
"""The time for which the record of a scheduled start is kept."""


# Setting schedules


@transaction.atomic
def align_schedule(workflow_id: int) -> None:
    """Create, restart or delete the schedule of a workflow, as its settings say, and delete the
    queued starts of a schedule that has been replaced.

    A schedule counts from the moment when it is set or its workflow becomes active.
    """
    row = Schedule.objects.select_for_update().filter(workflow=workflow_id).first()
    wanted = scheduled_workflows().filter(pk=workflow_id).first()
    if row is not None and (wanted is None or not _is_same(row, wanted.trigger_data)):
        _delete_queued(workflow_id)
    if wanted is None:
        if row is not None:
            row.delete()
    elif row is None or not _is_same(row, wanted.trigger_data):
        now = clock.now()
        new = Schedule(
            workflow_id=workflow_id, trigger_data=wanted.trigger_data, served_until=now, due_at=now
        )
        columns = ["trigger_data", "served_until", "window_end", "last_entity", "due_at"]
        Schedule.objects.bulk_create(
            [new], update_conflicts=True, unique_fields=["workflow"], update_fields=columns
        )


def scheduled_workflows() -> QuerySet[Workflow]:
    """Return the workflows that have a schedule now."""
    return Workflow._base_manager.filter(
        trigger=Workflow.Trigger.SCHEDULE, state=Workflow.State.ACTIVE
    )


def _is_same(row: Schedule, trigger_data: Any) -> bool:
    return canonical(row.trigger_data) == canonical(trigger_data)


def _delete_queued(workflow_id: int) -> None:
    """Delete the queued starts, except those that a worker is just making."""
    queued = TriggeredStart.objects.filter(workflow=workflow_id, occurrence__isnull=False)
    ids = list(queued.values_list("pk", flat=True))
    free = locks.lock_rows(
        TriggeredStart._base_manager.all(), ids, locks.Strength.UPDATE, skip_locked=True
    )
    TriggeredStart.objects.filter(pk__in=free).delete()


def align_schedules() -> None:
    """Align every schedule with its workflow: bulk statements and raw SQL send no signal."""
    wanted = {row.pk: row.trigger_data for row in scheduled_workflows().only("trigger_data")}
    stored = {row.workflow_id: row for row in Schedule.objects.only("workflow_id", "trigger_data")}
    for pk in sorted({*wanted, *stored}):
        row = stored.get(pk)
        if row is None or pk not in wanted or not _is_same(row, wanted[pk]):
            with transaction.atomic():
                align_schedule(pk)


# Serving schedules


def serve_schedules(stop: Callable[[], bool] = lambda: False) -> int:
    """Serve the due schedules until ``stop`` returns True.

    Returns:
        The number of served starts, including refused ones.
    """
    align_schedules()
    served = 0
    for pk in due_schedules():
        try:
            served += _serve_schedule(pk, stop)
        except locks.Contention:
            logger.info("Schedule %s: other transactions locked its rows.", pk)
        except Exception as error:
            if find_fault(error) is not None or is_unmigrated(error):
                raise
            logger.exception("Schedule %s failed. It is tried again in the next round.", pk)
    return served


def _serve_schedule(pk: int, stop: Callable[[], bool]) -> int:
    served = 0
    while not stop() and (starts := queue_batch(pk)) is not None:
        for start in starts:
            if stop():
                # A later round makes the others.
                break
            served += serve_start(start)
    return served


def due_schedules() -> list[int]:
    """Return the ids of the due schedules, the longest due first."""
    due = Schedule.objects.due().order_by("due_at", "pk")
    return list(due.values_list("pk", flat=True))


def count_scheduled_starts() -> int:
    """Count the starts that the due schedules would queue now."""
    number = 0
    for schedule in Schedule.objects.due().select_related("workflow"):
        window = _open_window(schedule)
        while window is not None:
            batch = window.next_batch()
            number += len(batch.starts)
            window = None if batch.is_last else window.continue_after(batch.last_entity)
    return number


@locks.retrying
def queue_batch(pk: int) -> list[int] | None:
    """Queue the starts of the next entities of a due schedule.

    Returns:
        The ids of the queued starts; None when the schedule is no longer due, or another worker
        is serving it.
    """
    with transaction.atomic():
        due = Schedule.objects.due().filter(pk=pk).select_related("workflow")
        schedule = due.select_for_update(skip_locked=True, of=("self",)).first()
        if schedule is None:
            return None
        window = _open_window(schedule)
        if window is None:
            logger.error("The schedule of workflow %s is invalid.", schedule.workflow_id)
            schedule.due_at = clock.now() + timedelta(hours=1)
            schedule.save(update_fields=["due_at"])
            return None
        batch = window.next_batch()
        TriggeredStart.objects.bulk_create(batch.starts, ignore_conflicts=True)
        if batch.is_last:
            schedule.served_until, schedule.window_end = window.until, None
            schedule.last_entity = 0
            schedule.due_at = window.next_look()
        else:
            schedule.window_end, schedule.last_entity = window.until, batch.last_entity
        schedule.save()
        queued = TriggeredStart.objects.filter(
            workflow=schedule.workflow_id,
            occurrence__isnull=False,
            entity__in=[start.entity_id for start in batch.starts],
        )
        return list(queued.values_list("pk", flat=True)) if batch.starts else []


@dataclass(frozen=True, slots=True)
class Batch:
    """The starts of a few entities, and where the next batch begins."""

    starts: list[TriggeredStart]
    last_entity: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class Window:
    """The time whose occurrences are due, for the entities after one."""

    workflow: Workflow
    recurrence: Recurrence
    rule: Mapping[str, Any] | None
    after: datetime
    until: datetime
    last_entity: int

    def continue_after(self, last_entity: int) -> Window:
        """Return the same window for the entities after another one."""
        return replace(self, last_entity=last_entity)

    def next_batch(self) -> Batch:
        """Return the starts of the next entities, up to the size of a batch."""
        entities, find_occurrence = self._due_entities()
        free = entities.exclude(pk__in=live_entities(self.workflow))
        rows = list(free.filter(pk__gt=self.last_entity).order_by("pk")[:BATCH])
        starts = [
            TriggeredStart(
                workflow=self.workflow,
                entity_id=row.pk,
                trigger=Workflow.Trigger.SCHEDULE,
                due_at=self.until,
                occurrence=find_occurrence(row),
            )
            for row in rows
            if self.rule is None or rules.holds(self.rule, row.fields)
        ]
        last = rows[-1].pk if rows else self.last_entity
        return Batch(starts, last, is_last=len(rows) < BATCH)

    def _due_entities(self) -> tuple[QuerySet[Any], Callable[[Any], datetime | None]]:
        entities = entities_of(self.workflow)
        if isinstance(self.recurrence, CronRecurrence):
            occurrence = self.recurrence.latest(self.after, self.until)
            return (entities if occurrence else entities.none()), lambda _row: occurrence
        field = self.recurrence.field
        due = {}
        for value in date_values(entities, field):
            if found := self.recurrence.latest(value, self.after, self.until):
                due[value] = found
        rows = with_date(entities, field).filter(date_value__in=list(due))
        return rows, lambda row: due[row.date_value]

    def next_look(self) -> datetime:
        """Return the time when the schedule is due again, after this window."""
        if isinstance(self.recurrence, CronRecurrence):
            return next(self.recurrence.after(self.until), datetime.max.replace(tzinfo=UTC))
        values = date_values(entities_of(self.workflow), self.recurrence.field)
        upcoming = [next(self.recurrence.after(value, self.until), None) for value in values]
        return min([self.until + LOOK, *filter(None, upcoming)])


def _open_window(schedule: Schedule) -> Window | None:
    """Return the window that a schedule has opened, or opens now; None if it is invalid."""
    data = schedule.trigger_data
    if not isinstance(data, dict) or any(SCHEDULE.problems(data)):
        return None
    until = schedule.window_end or max(clock.now(), schedule.served_until)
    return Window(
        schedule.workflow,
        parse(data),
        data.get("rule"),
        schedule.served_until,
        until,
        schedule.last_entity,
    )


def entities_of(workflow: Workflow) -> QuerySet[Any]:
    """Return the entities of a workflow's context."""
    return Entity._base_manager.filter(context_key=workflow.context_key).order_by()


def live_entities(workflow: Workflow) -> QuerySet[Any]:
    """Return the ids of the entities on which the workflow has a live execution."""
    return Execution.objects.live().filter(workflow=workflow).order_by().values("entity_id")


def with_date(entities: QuerySet[Any], field: str) -> QuerySet[Any]:
    """Add the value of a field as the text ``date_value``."""
    text: Any = Cast(KeyTextTransform(field, "fields"), TextField())
    dated: QuerySet[Any] = entities.annotate(date_value=text)
    return dated


def date_values(entities: QuerySet[Any], field: str) -> list[str]:
    """Return the distinct values of a field, of which there are far fewer than entities."""
    rows = with_date(entities, field).filter(date_value__isnull=False)
    return list(rows.values_list("date_value", flat=True).distinct())


def purge_scheduled_starts() -> int:
    """Delete the records of scheduled starts that no schedule can repeat any more.

    Returns:
        The number of deleted rows, at most 1,000.
    """
    old = ScheduledStart.objects.filter(at__lt=clock.now() - RETENTION).order_by()
    ids = list(old.values_list("pk", flat=True)[:1000])
    return ScheduledStart.objects.filter(pk__in=ids).delete()[0] if ids else 0
