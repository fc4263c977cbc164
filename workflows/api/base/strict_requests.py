"""Checks of requests before a view handles them.

Unknown query parameters are rejected: a misspelled ``dryrun=true`` must not delete anything. A POST
without a JSON media type is rejected if a browser adds the credentials by itself: a form on another
site can send such a request, but not JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import (
    ErrorDetail,
    PermissionDenied,
    UnsupportedMediaType,
    ValidationError,
)
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.utils.mediatypes import media_type_matches

from workflows.api.base.filter_operators import unknown_operator
from workflows.db.json_values import quoted

FORMAT = str(api_settings.URL_FORMAT_OVERRIDE)

Handler = TypeVar("Handler", bound=Callable[..., Any])

_UNKNOWN = _("Unknown parameter %(name)s. Allowed: %(known)s.")
_NONE_KNOWN = _("Unknown parameter %(name)s. This request takes no parameters.")
_EMPTY = _("The parameter %(name)s is empty.")
_REPEATED = _("The parameter %(name)s occurs %(times)s times. Send it once.")
_OTHER_MEDIA = _("The media type %(media)s is not supported. Send Content-Type: %(accepted)s.")
_CROSS_SITE = _("A page of another site cannot send files. Use a token.")
_JSON = "application/json"
_NO_MEDIA_TYPE = _("Send Content-Type: application/json, also with an empty body.")

_TOKEN_SCHEMES = ("token", "bearer")
"""Schemes of ``Authorization`` that no browser sends by itself."""


def takes_parameters(*names: str) -> Callable[[Handler], Handler]:
    """Declare the query parameters of a view method."""

    def declare(handler: Handler) -> Handler:
        handler.query_parameters = names  # type: ignore[attr-defined]
        return handler

    return declare


def refuse_parameters(
    request: Request,
    known: Iterable[str],
    *,
    repeatable: Iterable[str] = (),
    formats: bool = True,
) -> None:
    """Reject unknown and repeated query parameters.

    Args:
        request: The request.
        known: The names that the route takes.
        repeatable: Those of them that may occur several times.
        formats: Whether the route takes ``format`` too.

    Raises:
        ValidationError: an error for each wrong name.
    """
    if not request.META.get("QUERY_STRING"):
        return
    names = list(known)
    listed = ", ".join(names)
    several = set(repeatable)
    errors = {}
    for name, values in request.query_params.lists():
        if name not in names and not (formats and name == FORMAT):
            text = unknown_operator(name, names) or (
                (_UNKNOWN if names else _NONE_KNOWN) % {"name": quoted(name), "known": listed}
            )
            errors[name] = [ErrorDetail(text, "unknown_parameter")]
        elif len(values) > 1 and name not in several:
            text = _REPEATED % {"name": quoted(name), "times": len(values)}
            errors[name] = [ErrorDetail(text, "repeated_parameter")]
        elif name == FORMAT and not values[0]:
            errors[name] = [ErrorDetail(_EMPTY % {"name": quoted(name)}, "invalid")]
    if errors:
        raise ValidationError(errors)


def refuse_other_media(request: Request) -> None:
    """Reject an unsafe request with another media type than the view reads (JSON, or a form).

    A POST must declare JSON, even with an empty body, where a browser adds the credentials by
    itself (a stored name and password, for example). Tokens are never added by a browser, and a
    session needs the CSRF token. PUT, PATCH and DELETE cannot come from another site.

    Raises:
        UnsupportedMediaType: the media type is missing or is another one.
        PermissionDenied: the page of another site sends a form.
    """
    if request.method in SAFE_METHODS:
        return
    media = request.content_type
    if media:
        accepted = [row.media_type for row in request.parsers or ()]
        if not any(media_type_matches(one, media) for one in accepted):
            known = {"media": quoted(media), "accepted": ", ".join(accepted)}
            raise UnsupportedMediaType(media, detail=_OTHER_MEDIA % known)
        is_json = any(media_type_matches(_JSON, one) for one in accepted)
        if not is_json and _browser_adds_credentials(request) and is_cross_site(request):
            # A form of another site can have this media type.
            raise PermissionDenied(_CROSS_SITE)
    elif request.method == "POST" and _browser_adds_credentials(request):
        raise UnsupportedMediaType("", detail=_NO_MEDIA_TYPE)


def is_cross_site(request: Any) -> bool:
    """Return True if a browser has sent the request from a page of another site."""
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return True
    origin = request.headers.get("Origin") or request.headers.get("Referer")
    if not origin:
        return False
    parts = urlsplit(origin)
    address = f"{parts.scheme}://{parts.netloc}"
    own = f"{request.scheme}://{request.get_host()}"
    return address not in (own, *settings.CSRF_TRUSTED_ORIGINS)


def _browser_adds_credentials(request: Request) -> bool:
    scheme = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")[0].lower()
    if scheme in _TOKEN_SCHEMES or request.successful_authenticator is None:
        return False
    return not isinstance(request.successful_authenticator, SessionAuthentication)


class KnownParameters:
    """A view without a resource that rejects unknown query parameters."""

    query_parameters: ClassVar[tuple[str, ...]] = ()
    takes_format: ClassVar[bool] = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the query parameters of an authorized request.

        Raises:
            ValidationError: a parameter is unknown or repeated.
        """
        view: Any = super()
        view.initial(request, *args, **kwargs)
        refuse_parameters(request, self.query_parameters, formats=self.takes_format)
