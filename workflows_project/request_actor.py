"""Every request says who acts: which face it came through, and the id that it goes by."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from workflows.audit.actor import Acting, Face, acting

HEADER = "X-Request-ID"
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def acting_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Answer with the request's id; a caller or a proxy may have given it one."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.headers.get(HEADER, "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        face = Face.API if request.path.startswith("/api/") else Face.ADMIN
        # The API authenticates in the view, and leaves the user on this same request.
        with acting(Acting(face, request_id, lambda: getattr(request, "user", None))):
            response = get_response(request)
        response.headers[HEADER] = request_id
        return response

    return middleware
