"""Occurrences of schedules: by a cron expression, or at intervals after a date field.

Both follow the clock of ``TIME_ZONE``. A cron time that a clock change skips occurs when the clock
has changed, and one that occurs twice counts once; an expression with ``*`` hours or minutes
follows real time. A date without a time means the start of that day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from cronsim import CronSim, CronSimError
from django.utils import timezone

from workflows.values import durations, moments
from workflows.values.durations import Duration

SHORTEST = timedelta(minutes=1)
"""The shortest interval of a schedule, as that of a cron expression."""

# The latest occurrence is looked for in short spans first: an expression may occur every minute,
# and a worker may have been down for a year.
_SPANS = (timedelta(hours=1), timedelta(days=2), timedelta(days=70), timedelta(days=800))


@dataclass(frozen=True, slots=True)
class CronRecurrence:
    """The times of a cron expression of five fields, the same for every entity."""

    expression: str

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the occurrences after a moment, in UTC."""
        zone = timezone.get_default_timezone()
        for found in CronSim(self.expression, moment.astimezone(zone)):
            occurrence = found.astimezone(UTC)
            # In the hour that a clock change repeats, the first one has passed.
            if occurrence > moment:
                yield occurrence

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the latest occurrence that is after a moment and not after ``until``."""
        for span in _SPANS:
            if until - after <= span:
                break
            if found := self._last(until - span, until):
                return found
        return self._last(after, until)

    def _last(self, after: datetime, until: datetime) -> datetime | None:
        found = takewhile(lambda occurrence: occurrence <= until, self.after(after))
        return max(found, default=None)


@dataclass(frozen=True, slots=True)
class DateRecurrence:
    """Times at intervals after the date in a field of each entity.

    Each is computed from the date itself: a month after January 31 is the last day of February,
    and two months after it is March 31.
    """

    every: Duration
    field: str

    def after(self, base: object, moment: datetime) -> Iterator[datetime]:
        """Yield the occurrences after a moment for an entity with this value in the field."""
        start = moments.parse(base)
        if start is None:
            return
        number = max(1, self._estimate(start, moment) - 2)
        while True:
            occurrence = self._occurrence(start, number)
            if occurrence.year >= datetime.max.year:
                return
            if occurrence > moment:
                yield occurrence
            number += 1

    def latest(self, base: object, after: datetime, until: datetime) -> datetime | None:
        """Return the latest occurrence that is after a moment and not after ``until``."""
        start = moments.parse(base)
        if start is None:
            return None
        # An estimate by average months is off by days, never by two intervals.
        for number in range(self._estimate(start, until) + 2, 0, -1):
            occurrence = self._occurrence(start, number)
            if occurrence <= until:
                return occurrence if occurrence > after else None
        return None

    def _estimate(self, start: datetime, moment: datetime) -> int:
        """Return the approximate number of intervals between a date and a moment."""
        return (moments.sort_key(moment) - moments.sort_key(start)) // self.every.about()

    def _occurrence(self, start: datetime, number: int) -> datetime:
        every = self.every
        part = Duration(every.months * number, every.days * number, every.rest * number)
        return part.after(start)


Recurrence = CronRecurrence | DateRecurrence


def find_cron_problem(expression: str) -> str:
    """Return what is wrong with a cron expression, in the words of its parser, or ""."""
    if len(expression.split()) != 5:
        return "Wrong number of fields"
    try:
        next(CronSim(expression, datetime.now(UTC)), None)
    except (CronSimError, ValueError) as error:
        return str(error)
    return ""


def parse_interval(value: object) -> Duration | None:
    """Return the duration of a text such as ``P1Y`` or "1 year", or None."""
    return durations.parse(durations.parse_words(value)) if isinstance(value, str) else None


def parse(data: Mapping[str, Any]) -> Recurrence:
    """Return the recurrence of valid settings."""
    if "cron" in data:
        return CronRecurrence(data["cron"])
    every = parse_interval(data["every"])
    assert every is not None
    return DateRecurrence(every, data["from_field"])
