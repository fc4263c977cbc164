"""The node that sleeps: for a while, until a date, or until a date that a field holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from executions.engine.durations import DELTA, DURATION, problem
from executions.engine.form_fields import FIELD_NAME
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.db.json_values import kind, quoted
from workflows.graph import Problems
from workflows.values import durations, moments

TIMER = "timer"
_WAYS = ("interval", "at", "at_field")


def _length_problems(what: str, length: Any, *, back: bool = False) -> Iterator[tuple[str, str]]:
    if reason := problem(what, length, back=back):
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
    can_begin_again = True
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
            "duration": DURATION,
            "delta": DELTA,
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

    def normalized(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the data with the time that it names in UTC."""
        at = data.get("at")
        return {**data, "at": moments.normalized(at)} if isinstance(at, str) else data

    def enter(self, visit: Visit) -> None:
        """Sleep, or go on at once."""
        data = visit.node.data
        if "interval" in data:
            due: datetime | None = _after(visit.now, data["interval"])
        elif "at" in data:
            due = _moment(data["at"])
        else:
            value = visit.fields.get(data["at_field"])
            due = _moment(value)
            if due is None and value is not None:
                shown = quoted(value) if isinstance(value, str) else kind(value)
                visit.incident(
                    "no_date", f"The field “{data['at_field']}” holds {shown}, which is no date."
                )
                return
            if due is not None:
                due = _after(due, data.get("delta", 0))
        if due is None or due <= visit.now:
            visit.leave(output={"waited_for": due.isoformat() if due else None})
            return
        visit.wait(due=due)
        visit.later(TIMER, due)

    def wake(self, visit: Visit) -> None:
        """Go on, whether the time has come or not."""
        visit.leave(output={"woken_at": visit.now.isoformat()})


def _after(moment: datetime, length: object) -> datetime:
    return (durations.parse(length) or durations.Duration()).after(moment)


def _moment(value: object) -> datetime | None:
    moment = moments.read(value) if isinstance(value, str) else None
    return None if moment is None else moments.in_utc(moment)
