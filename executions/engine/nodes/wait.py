"""The node that waits for an interval, until a date, or until the date in a field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions.engine.durations import DELTA, DURATION, problem
from executions.engine.form_fields import VALUE_NAME
from executions.engine.nodes.behaviour import Behaviour, Visit
from workflows.db.json_values import json_type, quoted
from workflows.graph import Problems
from workflows.values import durations, moments

TIMER = "timer"
_TIMES = ("interval", "at", "at_field")


def _length_problems(
    what: str, length: Any, *, may_be_negative: bool = False
) -> Iterator[tuple[str, str]]:
    if reason := problem(what, length, may_be_negative=may_be_negative):
        yield "", reason


def _moment_problems(value: Any) -> Iterator[tuple[str, str]]:
    if value is not None and _moment(value) is None:
        wanted = gettext("a date such as 2026-12-31, or a date with a time")
        yield (
            "",
            gettext("The time {value} must be {wanted}.").format(
                value=quoted(value), wanted=wanted
            ),
        )


class Wait(Behaviour):
    description = _(
        "Waits for a duration ('interval'), until a date or time ('at'), or until the date in a "
        "field ('at_field') plus 'delta', which may be negative. Continues at once if the time has "
        "passed or the field is missing."
    )
    name = "wait"
    can_be_retried = True
    schema: ClassVar = {
        "properties": {
            "interval": {
                "title": "Interval",
                "description": "The duration of the wait.",
                "$ref": "#/$defs/duration",
            },
            "at": {
                "title": "Time",
                "description": "The end of the wait: a date such as 2026-12-31, or a date with a"
                " time.",
                "type": ["string", "null"],
                "format": "date-time",
            },
            "at_field": {
                "title": "Date field",
                "description": "The field, or the variable with $, that has the date.",
                "$ref": "#/$defs/value_name",
            },
            "delta": {
                "title": "Delta",
                "description": "Added to the date in the field. It may be negative.",
                "$ref": "#/$defs/delta",
            },
        },
        "$defs": {
            "duration": DURATION,
            "delta": DELTA,
            "value_name": VALUE_NAME,
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
        "delta": partial(_length_problems, "delta", may_be_negative=True),
    }

    def problems(self, data: Mapping[str, Any]) -> Problems:
        """Require exactly one of the settings for the time."""
        if sum(name in data for name in _TIMES) != 1:
            yield "", gettext("Set how long to wait: exactly one of interval, at and at_field.")
        if "delta" in data and "at_field" not in data:
            yield "/delta", gettext("Set at_field: a delta is added to the date in a field.")

    def read_names(self, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield the field with the date."""
        if "at_field" in data:
            yield "/at_field", data["at_field"]

    def normalize(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the data with its time in UTC."""
        at = data.get("at")
        return {**data, "at": moments.normalize(at)} if isinstance(at, str) else data

    def enter(self, visit: Visit) -> None:
        """Wait, or continue at once."""
        data = visit.node.data
        if "interval" in data:
            due: datetime | None = _after(visit.now, data["interval"])
        elif "at" in data:
            due = _moment(data["at"])
        else:
            value = visit.fields.get(data["at_field"])
            due = _moment(value)
            if due is None and value is not None:
                text = quoted(value) if isinstance(value, str) else json_type(value)
                visit.open_incident(
                    "no_date",
                    f"The field “{data['at_field']}” contains {text}, which is not a date.",
                )
                return
            if due is not None:
                due = _after(due, data.get("delta", 0))
        if due is None or due <= visit.now:
            visit.leave(output={"waited_for": due.isoformat() if due else None})
            return
        visit.wait(due=due)
        visit.schedule_job(TIMER, due)

    def wake(self, visit: Visit) -> None:
        """Continue, even before the time."""
        visit.leave(output={"woken_at": visit.now.isoformat()})


def _after(moment: datetime, length: object) -> datetime:
    return (durations.parse(length) or durations.Duration()).after(moment)


def _moment(value: object) -> datetime | None:
    moment = moments.read(value) if isinstance(value, str) else None
    return None if moment is None else moments.to_utc(moment)
