"""The next occurrences of a schedule, as they are by the settings and fields of now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from executions.engine import rules
from executions.engine.recurrence import CronRecurrence, DateRecurrence, parse
from executions.engine.schedule_trigger import SCHEDULE
from executions.services.scheduling import date_values, entities_of, with_date
from workflows.db import clock
from workflows.models import Workflow
from workflows.running import COUNTED, Occurrence, SchedulePreview
from workflows.values import moments

PREVIEWED = 10
"""The number of occurrences in a preview."""
EXAMINED = 50
"""The number of dates that are looked at for one: the rule may hold for none of their entities."""


def preview_schedule(
    workflow: Workflow, *, may_view_entities: bool = True, number: int = PREVIEWED
) -> SchedulePreview | None:
    """Return the next occurrences of a workflow's schedule; None if it has no valid one.

    Live executions are ignored: they may have ended by then.

    Args:
        workflow: the workflow. It need not be active.
        may_view_entities: False hides what the fields of entities would tell.
        number: the number of occurrences.
    """
    data = workflow.trigger_data
    is_valid = isinstance(data, dict) and not any(SCHEDULE.problems(data))
    if workflow.trigger != Workflow.Trigger.SCHEDULE or not is_valid:
        return None
    recurrence, rule, now = parse(data), data.get("rule"), clock.now()
    if isinstance(recurrence, CronRecurrence):
        times = list(islice(recurrence.after(now), number))
        counted = _count_entities(entities_of(workflow), rule) if may_view_entities else None
        return SchedulePreview([Occurrence(at, counted) for at in times], [])
    if not may_view_entities:
        text = _("You may not view the entities whose dates decide.")
        return SchedulePreview([], [text])
    return _preview_dates(workflow, recurrence, rule, now, number)


def _preview_dates(
    workflow: Workflow,
    recurrence: DateRecurrence,
    rule: Mapping[str, Any] | None,
    now: datetime,
    number: int,
) -> SchedulePreview:
    entities = entities_of(workflow)
    values = date_values(entities, recurrence.field)
    if warning := _find_warning(values, recurrence.field):
        return SchedulePreview([], [warning])
    dated = with_date(entities, recurrence.field)
    occurrences: list[Occurrence] = []
    for at, together in islice(_merge_times(values, recurrence, now), EXAMINED):
        counted = _count_entities(dated.filter(date_value__in=together), rule)
        if counted:
            occurrences.append(Occurrence(at, counted))
        if len(occurrences) == number:
            break
    return SchedulePreview(occurrences, [])


def _merge_times(
    values: Iterable[str], recurrence: DateRecurrence, now: datetime
) -> Iterator[tuple[datetime, list[str]]]:
    """Yield the next occurrences in order, each with the dates that it comes from."""
    upcoming = [
        (at, value, times)
        for value in values
        for times in [recurrence.after(value, now)]
        for at in islice(times, 1)
    ]
    heapify(upcoming)
    while upcoming:
        first, together = upcoming[0][0], list[str]()
        while upcoming and upcoming[0][0] == first:
            _at, value, times = heappop(upcoming)
            together.append(value)
            for following in islice(times, 1):
                heappush(upcoming, (following, value, times))
        yield first, together


def _find_warning(values: Iterable[str], field: str) -> str:
    """Return what is wrong if no entity has a date in the field, or ""."""
    found = list(values)
    if not found:
        text = _("No entity of this type has a value in “{field}” yet.")
    elif not any(map(moments.parse, found)):
        text = _("No entity of this type has a date in “{field}”, such as 2026-12-31.")
    else:
        return ""
    return text.format(field=field)


def _count_entities(entities: Any, rule: Mapping[str, Any] | None) -> int:
    if rule is None:
        return int(entities[:COUNTED].count())
    fields = entities.values_list("fields", flat=True).iterator(chunk_size=200)
    return sum(1 for _ in islice((row for row in fields if rules.holds(rule, row)), COUNTED))
