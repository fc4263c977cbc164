"""Rejection of requests that cannot be read reliably.

A body must be UTF-8 and have a length, and a query a bounded number of parameters. Django applies
the charset of ``Content-Type`` to the query too, before any middleware runs. A codec that is not a
charset (``base64``) then causes an error, and another one (``utf-7``) hides characters from
filters in front of the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.http import parse_header_parameters
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import quoted
from workflows_project.api.problems import API_PATHS, DJANGO_ERRORS, respond

ACCEPTED = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})

_UNSUPPORTED = _("The charset %(charset)s is not supported. Send UTF-8.")
_UNREADABLE = _("The Content-Type cannot be read. Send Content-Type: application/json.")
_FORM = "multipart/form-data"
_TOO_LARGE = _("The files of one request have more than %(limit)s bytes. Send smaller ones.")
_UNREADABLE_TYPE = "holdfast.unreadable_content_type"


def use_utf_8() -> None:
    """Make Django read every request as UTF-8, and ignore the charset of ``Content-Type``."""
    HttpRequest._set_content_type_params = _read_content_type  # type: ignore[attr-defined]


def _read_content_type(request: HttpRequest, meta: dict[str, Any]) -> None:
    """Replace Django's method, which also applies the charset to the query."""
    try:
        media, parameters = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
    except (LookupError, ValueError):
        meta[_UNREADABLE_TYPE] = True
        media, parameters = "", {}
    request.content_type, request.content_params = media, parameters


def readable_request_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Reject other charsets than UTF-8 (415), bodies without a length (411), files that are too
    large (413) and queries with too many parameters (400).
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        reason = _wrong_charset(request.META, request.content_params or {})
        if reason is not None:
            return _reject(request, 415, "unsupported_media_type", reason)
        if _has_no_length(request.META):
            return _reject(request, 411, *DJANGO_ERRORS[411])
        if request.content_type == _FORM and _length(request.META) > _longest_form():
            limit = settings.FILE_MAX_BYTES
            return _reject(request, 413, "too_large", str(_TOO_LARGE % {"limit": limit}))
        try:
            # Parse the query now: Django's debug pages fail with the same error.
            request.GET  # noqa: B018
        except TooManyFieldsSent:
            return _reject(request, 400, *DJANGO_ERRORS[400])
        return get_response(request)

    return middleware


def _reject(request: HttpRequest, status: int, code: str, reason: str) -> HttpResponse:
    if request.path_info.startswith(API_PATHS):
        return respond(status, code, reason)
    if status == 413:
        return HttpResponse(render_to_string("413.html", {"detail": reason}), status=status)
    return HttpResponse(reason, status=status, content_type="text/plain; charset=utf-8")


def _wrong_charset(meta: Mapping[str, Any], parameters: Mapping[str, str]) -> str | None:
    if _UNREADABLE_TYPE in meta:
        return str(_UNREADABLE)
    for name, value in parameters.items():
        if name.lower() == "charset" and value.strip().lower() not in ACCEPTED:
            return str(_UNSUPPORTED % {"charset": quoted(value)})
    return None


def _longest_form() -> int:
    """Return the maximum length of a form with files, in bytes. Other limits hold for the rest."""
    return int(settings.FILE_MAX_BYTES + settings.DATA_UPLOAD_MAX_MEMORY_SIZE)


def _length(meta: Mapping[str, Any]) -> int:
    return int(str(meta.get("CONTENT_LENGTH") or "").strip() or 0)


def _has_no_length(meta: Mapping[str, Any]) -> bool:
    length = str(meta.get("CONTENT_LENGTH") or "").strip()
    if length:
        return not (length.isascii() and length.isdecimal())
    # Django does not read such a body, so that "dry_run" in it would be ignored.
    return bool(meta.get("HTTP_TRANSFER_ENCODING"))
