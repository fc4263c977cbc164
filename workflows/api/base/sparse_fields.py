"""The query parameter ``fields``, which selects fields of a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request

from workflows.db.json_values import quoted

_UNKNOWN = _("Unknown field %(name)s. Allowed: %(known)s.")

NAME = "fields"
DESCRIPTION = "The fields to return, separated by commas."


def parse_names(request: Request, serializer: Callable[[], Any]) -> list[str] | None:
    """Return the requested field names, or None if the parameter is absent.

    Raises:
        ValidationError: the serializer has no such field.
    """
    text = request.query_params.get(NAME) if request.META.get("QUERY_STRING") else None
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    known = list(serializer().fields)
    if wrong := [name for name in names if name not in known]:
        detail = _UNKNOWN % {"name": quoted(wrong[0]), "known": ", ".join(known)}
        raise ValidationError({NAME: [ErrorDetail(detail, "unknown_parameter")]})
    return names


def select_fields(row: Mapping[str, Any], names: list[str] | None) -> Mapping[str, Any]:
    """Return only these fields of a row, in the order of the row."""
    return row if names is None else {name: row[name] for name in row if name in names}
