"""The one shape of whatever is not a success under ``/api/`` and ``/hooks/``: RFC 9457.

Most answers come out of a view's exception (``api.problem_response``). What Django answers
before a view is reached, or after one has failed, is given the same shape here.
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

from workflows.api.base.refusals import problem_data
from workflows.db.json_values import quoted
from workflows.refusals import Problem
from workflows_project.api.statuses import status_phrase

CONTENT_TYPE = "application/problem+json"
PLACES = ("/api/", "/hooks/")

OF_STATUSES: dict[int, tuple[str, str]] = {
    400: ("bad_request", "The request is not one that this server takes."),
    403: ("permission_denied", "You do not have permission to perform this action."),
    404: ("not_found", "Nothing is there."),
    405: ("method_not_allowed", "This method is not allowed there."),
    411: ("length_required", "Send Content-Length: a body without it is not read."),
    413: ("too_large", "The body is larger than what is taken."),
    500: ("server_error", "Something went wrong on the server."),
}
"""Code and sentence of what Django itself answers."""


def problem(
    status: int, code: str, detail: str, errors: Iterable[Problem] = (), **more: Any
) -> dict[str, Any]:
    """The body of an error response; ``errors`` repeats the problem where there is one alone."""
    listed = list(errors) or [Problem("", code, detail)]
    return {
        "type": f"/problems/{code}",
        "title": status_phrase(status),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": [problem_data(row) for row in listed],
        **more,
    }


def answer(status: int, code: str, detail: str, **more: Any) -> HttpResponse:
    """A response that is a problem, for what is no view of REST framework's."""
    return JsonResponse(
        problem(status, code, detail, **more), status=status, content_type=CONTENT_TYPE
    )


@csrf_exempt
def no_such_route(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answer what no route matches."""
    detail = f"Nothing is at {quoted(request.path)}."
    if not request.path.endswith("/"):
        detail = f"{detail[:-1]}; the paths of this API end with a slash."
    return answer(404, "not_found", detail)


class ProblemsMiddleware:
    """Gives its shape to every error that comes without; the outermost, so that none passes."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path_info.startswith(PLACES):
            return response
        if response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
            return response
        return _reshaped(request, response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Keep what a view has failed with, for whoever develops."""
        if settings.DEBUG:
            request.META["holdfast.fault"] = exception


def _reshaped(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    status = response.status_code
    code, detail = OF_STATUSES.get(status) or (
        re.sub(r"\W", "_", status_phrase(status).lower()),
        f"{status_phrase(status)}.",
    )
    more: dict[str, Any] = {}
    if status == 400 and not _is_at_home(request):
        code = "disallowed_host"
        detail = f"This server does not go by the name {quoted(request.META.get('HTTP_HOST'))}."
    fault = request.META.get("holdfast.fault")
    if status == 500 and fault is not None:
        detail = f"{type(fault).__name__}: {fault}"
        more["traceback"] = traceback.format_exception(fault)
    reshaped = answer(status, code, detail, **more)
    for name, value in response.headers.items():
        if name not in ("Content-Type", "Content-Length"):
            reshaped.headers[name] = value
    reshaped.cookies = response.cookies
    return reshaped


def _is_at_home(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True
