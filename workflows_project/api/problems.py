"""Problem details (RFC 9457): the format of every error under ``/api/`` and ``/hooks/``.

Exceptions of views are converted in ``errors.problem_response``. This module converts the errors
that Django itself returns before or after a view.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from workflows.api.base.refusal_json import serialize_problem
from workflows.db.json_values import quoted
from workflows.refusals import Problem
from workflows_project.api.statuses import status_phrase

CONTENT_TYPE = "application/problem+json"
API_PATHS = ("/api/", "/hooks/")

DJANGO_ERRORS: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The request is invalid."),
    403: ("permission_denied", "You do not have permission to perform this action."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This method is not allowed here."),
    411: ("length_required", "Send a Content-Length header."),
    413: ("too_large", "The body is too large."),
    500: ("server_error", "An error occurred on the server."),
}
"""Codes and details of the errors that Django itself returns."""


def problem(
    status: int, code: str, detail: str, errors: Iterable[Problem] = (), **more: Any
) -> dict[str, Any]:
    """Return the body of an error response. ``errors`` is by default the problem itself."""
    listed = list(errors) or [Problem("", code, detail)]
    return {
        "type": f"/problems/{code}",
        "title": status_phrase(status),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [serialize_problem(row) for row in listed],
        **more,
    }


def respond(status: int, code: str, detail: str, **more: Any) -> HttpResponse:
    """Return a problem response outside the views of REST framework."""
    response = JsonResponse(
        problem(status, code, detail, **more), status=status, content_type=CONTENT_TYPE
    )
    # For logs and metrics.
    response.problem_code = code  # type: ignore[attr-defined]
    return response


@csrf_exempt
def route_not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Respond with 404 to a path without a route."""
    detail = f"There is nothing at {quoted(request.path)}."
    if not request.path.endswith("/"):
        detail = f"{detail} Paths of this API end with a slash."
    return respond(404, "not_found", detail)


class ProblemsMiddleware:
    """Converts all other errors to problem details. It is the outermost middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path_info.startswith(API_PATHS):
            return response
        if response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        return _convert(request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Keep the exception of a view for the response in debug mode."""
        if settings.DEBUG:
            request.META["holdfast.fault"] = exception


def _convert(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    status = response.status_code
    code, detail = DJANGO_ERRORS.get(status) or (
        re.sub(r"\W", "_", status_phrase(status).lower()),
        f"{status_phrase(status)}.",
    )
    more: dict[str, Any] = {}
    if status == 400 and not _has_allowed_host(request):
        code = "disallowed_host"
        detail = f"This server does not serve the host {quoted(request.META.get('HTTP_HOST'))}."
    fault = request.META.get("holdfast.fault")
    if status == 500 and fault is not None:
        detail = f"{type(fault).__name__}: {fault}"
        more["traceback"] = traceback.format_exception(fault)
    converted = respond(status, code, detail, **more)
    for name, value in response.headers.items():
        if name not in ("Content-Type", "Content-Length"):
            converted.headers[name] = value
    converted.cookies = response.cookies
    return converted


def _has_allowed_host(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True
