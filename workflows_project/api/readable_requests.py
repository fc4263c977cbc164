"""Requests that cannot be read as they are meant, refused before anything reads them.

A body is UTF-8 and says how long it is; a query has a bounded number of parameters.
Django applies the charset of ``Content-Type`` to the query as well, while it makes the request and
so before any middleware. A codec that is no charset (``base64``) then ends in a fault, and one with
a meaning of its own (``utf-7``) hides characters from whatever filters requests before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters
from django.utils.translation import gettext_lazy as _

from workflows.db.json_values import quoted
from workflows_project.api.problems import OF_STATUSES, PLACES, answer

ACCEPTED = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})

_REFUSED = _("The charset %(charset)s is not supported. Send UTF-8.")
_UNREADABLE = _("The Content-Type cannot be read. Send Content-Type: application/json.")
_UNREADABLE_TYPE = "holdfast.unreadable_content_type"


def use_utf_8() -> None:
    """Let every request be read as UTF-8, whatever its ``Content-Type`` says."""
    HttpRequest._set_content_type_params = _read_content_type  # type: ignore[attr-defined]


def _read_content_type(request: HttpRequest, meta: dict[str, Any]) -> None:
    """Replace Django's method, which would take the charset for the query too."""
    try:
        media, parameters = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
    except (LookupError, ValueError):
        meta[_UNREADABLE_TYPE] = True
        media, parameters = "", {}
    request.content_type, request.content_params = media, parameters


def readable_request_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Refuse another charset than UTF-8, a body of unknown length and an endless query.

    They are answered 415, 411 and 400.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        reason = _wrong_charset(request.META, request.content_params or {})
        if reason is not None:
            return _refused(request, 415, "unsupported_media_type", reason)
        if _has_no_length(request.META):
            return _refused(request, 411, *OF_STATUSES[411])
        try:
            # It is parsed once; the error pages for developers fail where this does.
            request.GET  # noqa: B018
        except TooManyFieldsSent:
            return _refused(request, 400, *OF_STATUSES[400])
        return get_response(request)

    return middleware


def _refused(request: HttpRequest, status: int, code: str, reason: str) -> HttpResponse:
    if request.path_info.startswith(PLACES):
        return answer(status, code, reason)
    return HttpResponse(reason, status=status, content_type="text/plain; charset=utf-8")


def _wrong_charset(meta: Mapping[str, Any], parameters: Mapping[str, str]) -> str | None:
    if _UNREADABLE_TYPE in meta:
        return str(_UNREADABLE)
    for name, value in parameters.items():
        if name.lower() == "charset" and value.strip().lower() not in ACCEPTED:
            return str(_REFUSED % {"charset": quoted(value)})
    return None


def _has_no_length(meta: Mapping[str, Any]) -> bool:
    length = str(meta.get("CONTENT_LENGTH") or "").strip()
    if length:
        return not (length.isascii() and length.isdecimal())
    # Django reads nothing of such a body, and "dry_run" would be ignored.
    return bool(meta.get("HTTP_TRANSFER_ENCODING"))
