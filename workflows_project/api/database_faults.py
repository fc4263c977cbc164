"""Responses to database faults: 503 with ``Retry-After``. The access log has the fault."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error

from workflows.db import locks
from workflows.db.faults import DatabaseFault, find_fault, first_line
from workflows_project.api.problems import API_PATHS, respond

FAULT = "holdfast.database_fault"
"""The key in ``request.META`` of the database fault that ended a request."""


def note_fault(request: Any, fault: DatabaseFault, error: BaseException) -> None:
    """Keep the database fault that ended a request for its line in the access log."""
    request.META[FAULT] = f"{fault.code}: {first_line(error)}"


def respond_to_fault(request: HttpRequest, error: BaseException) -> HttpResponse | None:
    """Return the response to a database fault or to contention, None for other errors."""
    if isinstance(error, locks.Contention) or (
        isinstance(error, DatabaseError) and locks.is_transient(error)
    ):
        return _respond(
            request, 409, locks.Contention.code, str(locks.Contention.message), retry_after=1
        )
    fault = find_fault(error)
    if fault is None:
        return None
    note_fault(request, fault, error)
    return _respond(request, 503, fault.code, str(fault.detail), fault.retry_after)


def _respond(
    request: HttpRequest, status: int, code: str, detail: str, retry_after: int
) -> HttpResponse:
    if request.path_info.startswith(API_PATHS):
        response = respond(status, code, detail)
    else:
        page = {"detail": detail, "retry_after": retry_after, "status": status}
        response = HttpResponse(render_to_string("503.html", page), status=status)
    response.headers["Retry-After"] = str(retry_after)
    response.headers["Cache-Control"] = "no-store"
    # Otherwise Django logs a second line about the response.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


class DatabaseFaultsMiddleware:
    """Converts exceptions of views that are database faults to responses."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return the response to a fault, None for other exceptions."""
        return respond_to_fault(request, exception)


def handle_server_error(request: HttpRequest) -> HttpResponse:
    """Respond to errors outside views, for example while the session is saved."""
    error = sys.exc_info()[1]
    if isinstance(error, (DatabaseError, InterfaceError)):
        response = respond_to_fault(request, error)
        if response is not None:
            return response
    return server_error(request)
