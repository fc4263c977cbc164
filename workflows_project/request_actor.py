"""The actor of each request for the audit log: user, interface and request id."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from workflows.audit.actor import Actor, Interface, act_as

HEADER = "X-Request-ID"
_META = "HTTP_X_REQUEST_ID"
_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def acting_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Set the actor, and return the request id in a header. Clients can send their own id."""

    def middleware(request: HttpRequest) -> HttpResponse:
        # ``request.headers`` would parse all headers of each request.
        given = request.META.get(_META, "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        interface = Interface.API if request.path.startswith("/api/") else Interface.ADMIN
        # The API authenticates in the view, which sets the user of this request.
        with act_as(Actor(interface, request_id, lambda: getattr(request, "user", None))):
            response = get_response(request)
        response.headers[HEADER] = request_id
        return response

    return middleware
