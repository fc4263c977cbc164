"""Deprecated routes: the only place that announces them, in responses and in the OpenAPI document.

``docs/reference/api-policy.md`` says how long a deprecated route stays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import http_date


@dataclass(frozen=True, slots=True)
class Deprecation:
    """The announcement that a route will be removed."""

    operation: str
    """The id of the operation in the OpenAPI document."""
    since: date
    until: date
    instead: str
    """A sentence: what clients use instead."""


DEPRECATED: dict[str, Deprecation] = {}
"""The deprecated routes by method and name, for example ``GET execution-list``."""


def deprecation_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Add ``Deprecation`` (RFC 9745) and ``Sunset`` (RFC 8594) to responses of these routes."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        match = request.resolver_match
        if DEPRECATED and match is not None:
            found = DEPRECATED.get(f"{request.method} {match.url_name}")
            if found is not None:
                response.headers["Deprecation"] = f"@{_seconds(found.since)}"
                response.headers["Sunset"] = http_date(_seconds(found.until))
        return response

    return middleware


def mark_operation(operation: dict[str, Any]) -> None:
    """Mark a deprecated operation of the OpenAPI document."""
    for found in DEPRECATED.values():
        if found.operation == operation["operationId"]:
            operation["deprecated"] = True
            text = f"Deprecated since {found.since}, removed on {found.until}. {found.instead}"
            operation["description"] = f"{operation.get('description', '')} {text}".strip()


def _seconds(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())
