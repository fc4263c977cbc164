"""Missing values: null, blank and left out are one thing.

A value is missing when it is null, a text of white space only, or an empty list. ``false``, ``0``
and an empty object are values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_missing(value: object) -> bool:
    """Return True for null, a text of white space only, and an empty list."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or value == []


def present(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields without those whose value is missing."""
    return {name: value for name, value in fields.items() if not is_missing(value)}
