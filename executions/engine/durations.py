"""Durations in a graph: ISO 8601 durations, or numbers of seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext

from workflows.db.json_values import quoted
from workflows.values.durations import parse

LONGEST = timedelta(days=36_525)
_SECONDS = int(LONGEST.total_seconds())

DURATION: dict[str, Any] = {
    "title": "Duration",
    "description": "An ISO 8601 duration, from years to seconds, or a number of seconds. At most"
    " 100 years.",
    "type": ["string", "number"],
    "format": "duration",
    "exclusiveMinimum": 0,
    "maximum": _SECONDS,
    "examples": ["P3D", "P2W", "P1M", "PT12H", 3600],
}
"""The schema of a positive duration."""

DELTA: dict[str, Any] = {
    "title": "Delta",
    "description": "A duration or a number of seconds. It may be negative.",
    "type": ["string", "number"],
    "format": "duration",
    "minimum": -_SECONDS,
    "maximum": _SECONDS,
    "examples": ["-P2D", "P1M", 86_400],
}
"""The schema of a duration that is added to a moment."""


def problem(what: str, value: object, *, may_be_negative: bool = False) -> str | None:
    """Return the problem of a duration, or None. ``may_be_negative`` allows a negative one.

    The value must match ``DURATION`` or ``DELTA``.
    """
    duration = parse(value)
    if duration is None or (isinstance(value, str) and value.endswith(("P", "T"))):
        return gettext(
            "The {what} {value} must be a duration such as 'P1Y', 'P1M', 'P2W', 'P3D' or 'PT12H',"
            " or a number of seconds."
        ).format(what=what, value=quoted(value))
    length = duration.about()
    if abs(length) > LONGEST:
        return gettext("The {what} must be at most 100 years.").format(what=what)
    if not may_be_negative and length <= timedelta(0):
        return gettext("The {what} must be positive and at most 100 years.").format(what=what)
    return None
