"""Lengths of time in a drawing: ISO 8601 durations, or numbers of seconds."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from django.utils.dateparse import parse_duration

from workflows.jsontext import quoted

LONGEST = timedelta(days=36_525)
_SECONDS = int(LONGEST.total_seconds())

DURATION: dict[str, Any] = {
    "title": "Duration",
    "description": "An ISO 8601 duration in days and less, or a number of seconds; at most 100"
    " years.",
    "type": ["string", "number"],
    "format": "duration",
    "exclusiveMinimum": 0,
    "maximum": _SECONDS,
    "examples": ["P3D", "PT12H", 3600],
}
"""The schema of a length of time that lies ahead."""

DELTA: dict[str, Any] = {
    "title": "Delta",
    "description": "A duration, or a number of seconds, that may also be negative.",
    "type": ["string", "number"],
    "format": "duration",
    "minimum": -_SECONDS,
    "maximum": _SECONDS,
    "examples": ["-P2D", 86_400],
}
"""The schema of a length of time that is added to a moment."""


def parse(value: object) -> timedelta | None:
    """The length that a text such as ``P3D`` or a number of seconds spells, or None."""
    try:
        if isinstance(value, str):
            spelled = value.removeprefix("-")
            return parse_duration(value) if spelled.startswith("P") else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return timedelta(seconds=value) if math.isfinite(value) else None
    except (OverflowError, ValueError):
        return timedelta.max
    return None


def problem(what: str, value: object, *, back: bool = False) -> str | None:
    """Say why this is no length to wait for, or None if it is; ``back``: it may be negative.

    Of a value that ``DURATION``, or ``DELTA``, holds for.
    """
    length = parse(value)
    if length is None:
        wanted = "a duration such as 'P3D' or 'PT12H', or a number of seconds"
        return f"The {what} {quoted(value)} must be {wanted}."
    if abs(length) > LONGEST:
        return f"The {what} must be no more than 100 years."
    if not back and length <= timedelta(0):
        return f"The {what} must lie ahead, and no more than 100 years."
    return None
