"""Missing values: null, blank and left out mean the same.

A value is missing if it is null, text of only white space, or an empty list. ``false``, ``0`` and
an empty object are values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_missing(value: object) -> bool:
    """Return True for null, text of only white space, and an empty list."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or value == []


def drop_missing(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without those whose values are missing."""
    return {name: value for name, value in fields.items() if not is_missing(value)}
