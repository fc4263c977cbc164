"""``?fields=``: only some of what a row is shown with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from workflows.db.json_values import quoted

NAME = "fields"
MEANING = "Names of what is to be answered of each row, separated by commas."


def asked(request: Request, serializer: Callable[[], Any]) -> list[str] | None:
    """The names that are asked for of what the serializer shows, None where all are.

    Raises ``ValidationError`` for what it does not show.
    """
    text = request.query_params.get(NAME) if request.META.get("QUERY_STRING") else None
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    known = list(serializer().fields)
    if wrong := [name for name in names if name not in known]:
        detail = f"There is no {quoted(wrong[0])} here; known are: {', '.join(known)}."
        raise ValidationError({NAME: [ErrorDetail(detail, "unknown_parameter")]})
    return names


def cut(row: Mapping[str, Any], names: list[str] | None) -> Mapping[str, Any]:
    """The row with these alone, in its own order."""
    return row if names is None else {name: row[name] for name in row if name in names}
