"""The node that sleeps: for a while, until a date, or until a date that a field holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, ClassVar

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext_lazy as _

from executions.engine import durations
from executions.engine.form_fields import FIELD_NAME
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.graph import Problems
from workflows.jsontext import kind, quoted

TIMER = "timer"
_WAYS = ("interval", "at", "at_field")


def _length_problems(what: str, length: Any, *, back: bool = False) -> Iterator[tuple[str, str]]:
    if reason := durations.problem(what, length, back=back):
        yield "", reason


def _moment_problems(value: Any) -> Iterator[tuple[str, str]]:
    if value is not None and _moment(value) is None:
        wanted = "a date such as 2026-12-31, or one with a time"
        yield "", f"The time {quoted(value)} must be {wanted}."


class Wait(Behaviour):
    description = _(
        "Sleeps until its time; a time that has passed, or that nobody has named, is now. "
        "'interval': a duration from now. 'at': a date or a date with time. 'at_field': "
        "the name of a field that holds one; 'delta' is added to it, and may be negative."
    )
    name = "wait"
    schema: ClassVar = {
        "properties": {
            "interval": {
                "title": "Interval",
                "description": "How long it sleeps from when it is entered.",
                "$ref": "#/$defs/duration",
            },
            "at": {
                "title": "Time",
                "description": "Until when it sleeps: a date such as 2026-12-31, or one with a"
                " time.",
                "type": ["string", "null"],
                "format": "date-time",
            },
            "at_field": {
                "title": "Field of the time",
                "description": "The name of the field that holds the date.",
                "$ref": "#/$defs/field_name",
            },
            "delta": {
                "title": "Delta",
                "description": "What is added to the date of the field; it may be negative.",
                "$ref": "#/$defs/delta",
            },
        },
        "$defs": {
            "duration": durations.DURATION,
            "delta": durations.DELTA,
            "field_name": FIELD_NAME,
        },
        "examples": [
            {"interval": "P1D"},
            {"at": "2026-12-31T17:00:00+01:00"},
            {"at_field": "expires_on", "delta": "-P14D"},
        ],
    }
    parts: ClassVar = {
        "interval": partial(_length_problems, "interval"),
        "at": _moment_problems,
        "delta": partial(_length_problems, "delta", back=True),
    }

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """It names one time, in one way."""
        named = [way for way in _WAYS if way in data]
        if len(named) != 1:
            yield "", f"A wait names one of {', '.join(_WAYS)}; this one has {len(named)} of them."
        if "delta" in data and "at_field" not in data:
            yield "/delta", "A delta is added to the date of a field, which is not named."

    def enter(self, visit: Visit) -> None:
        """Sleep, or go on at once."""
        data = visit.node.data
        if "interval" in data:
            due: datetime | None = visit.now + _length(data["interval"])
        elif "at" in data:
            due = _moment(data["at"])
        else:
            value = visit.fields.get(data["at_field"])
            due = None if value in (None, "") else _moment(value)
            if due is None and value not in (None, ""):
                shown = quoted(value) if isinstance(value, str) else kind(value)
                visit.incident(
                    "no_date", f"The field “{data['at_field']}” holds {shown}, which is no date."
                )
                return
            if due is not None:
                due = _moved(due, _length(data.get("delta", 0)))
        if due is None or due <= visit.now:
            visit.leave(output={"waited_for": due.isoformat() if due else None})
            return
        visit.wait(due=due)
        visit.later(TIMER, due)

    def wake(self, visit: Visit) -> None:
        """Go on, whether the time has come or not."""
        visit.leave(output={"woken_at": visit.now.isoformat()})


def _length(value: object) -> timedelta:
    return durations.parse(value) or timedelta(0)


def _moved(due: datetime, delta: timedelta) -> datetime:
    try:
        return due + delta
    except OverflowError:
        # Beyond the calendar: as far as it goes.
        return (datetime.max if delta > timedelta(0) else datetime.min).replace(tzinfo=UTC)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        day: date | None = parse_date(value)
        moment = datetime.combine(day, time()) if day else parse_datetime(value)
        if moment is None:
            return None
        return _in_utc(timezone.make_aware(moment) if timezone.is_naive(moment) else moment)
    except (ValueError, OverflowError):
        return None


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        # No database can hand out a time whose year is 0 or 10000.
        return (datetime.max if moment.year > 1 else datetime.min).replace(tzinfo=UTC)
