"""A duration as a number and a unit, and back."""

from __future__ import annotations

import json
import re
from typing import Any

from django.utils.translation import gettext_lazy as _

from workflows.admin.graph_editor.data_inputs import from_scalar
from workflows.values.durations import parse_words

DAYS, SECONDS, AS_TEXT = "D", "TS", ""
UNITS = {
    SECONDS: _("seconds"),
    "TM": _("minutes"),
    "TH": _("hours"),
    DAYS: _("days"),
    "W": _("weeks"),
    "M": _("months"),
    "Y": _("years"),
    AS_TEXT: _("as typed"),
}
"""The names of the units by the letters around the number in ISO 8601. With the last one, the text
is the duration itself."""
HINT = _("For several units, type for example P1DT12H or 1 day, 12 hours.")
_ONE_UNIT = re.compile(r"(-?)P(T?)([0-9]+(?:[.,][0-9]+)?)([YMWDHS])")
_NUMBER = re.compile(r"(-?)([0-9]+(?:[.,][0-9]+)?)")


def split_duration(value: Any) -> tuple[str, str]:
    """Return the number and the unit of a stored duration.

    Args:
        value: an ISO 8601 duration, a number of seconds, or None.

    Returns:
        A duration that has not exactly one unit is returned as text, with ``AS_TEXT``.
    """
    if value is None or value == "":
        return "", DAYS
    if not isinstance(value, str):
        return json.dumps(value), SECONDS
    found = _ONE_UNIT.fullmatch(value)
    unit = found and found[2] + found[4]
    if not found or unit not in UNITS:
        return value, AS_TEXT
    return found[1] + found[3], str(unit)


def join_duration(text: str, unit: str, before: Any) -> Any:
    """Return the duration of a number and a unit, or of a text: ISO 8601 or words.

    Args:
        before: the stored duration. It is returned if it has this number and unit.
    """
    if (text, unit) == split_duration(before):
        return before
    text = text.strip()
    number = _NUMBER.fullmatch(text)
    if number is None or unit not in UNITS:
        return parse_words(text)
    if unit == AS_TEXT:
        # A bare number is a number of seconds.
        return from_scalar(text, {"string", "number"})
    letters = "T" if unit.startswith("T") else ""
    return f"{number[1]}P{letters}{number[2]}{unit[-1]}"
