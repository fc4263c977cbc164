"""The access log: one line for each request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path
from rest_framework.throttling import BaseThrottle

from workflows_project.api.database_faults import FAULT

logger = logging.getLogger("holdfast.requests")


def find_address(request: Any) -> str:
    """Return the address of the client, as ``NUM_PROXIES`` says."""
    return str(BaseThrottle().get_ident(request) or "")


def access_log_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Log one line for each request, without its query, headers and body."""

    def middleware(request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        response = get_response(request)
        milliseconds = round((time.perf_counter() - began) * 1000, 1)
        fault = request.META.get(FAULT)
        level = logging.ERROR if fault else logging.INFO
        if logger.isEnabledFor(level):
            _log(level, request, response, milliseconds, fault)
        # Otherwise Django logs errors again, without the request id.
        response._has_been_logged = True  # type: ignore[attr-defined]
        return response

    return middleware


def _log(
    level: int, request: HttpRequest, response: Any, milliseconds: float, fault: str | None
) -> None:
    path = escape_uri_path(request.path)
    fields: dict[str, Any] = {
        "method": request.method,
        "path": path,
        "status": response.status_code,
        "duration_ms": milliseconds,
        "address": find_address(request),
    }
    if code := find_code(response):
        fields["code"] = code
    if fault:
        fields["fault"] = fault
    logger.log(
        level,
        "%s %s %s in %s ms%s",
        request.method,
        path,
        response.status_code,
        milliseconds,
        f": {fault}" if fault else "",
        extra={"fields": fields},
    )


def find_code(response: Any) -> str:
    """Return the problem code of an error response, empty if it has none."""
    code: str = getattr(response, "problem_code", "")
    return code
