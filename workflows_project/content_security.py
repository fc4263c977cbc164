"""What a browser may load and run for our pages: what we serve ourselves, and nothing inline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.views import (
    SpectacularAPIView,
    SpectacularRedocView,
    SpectacularSwaggerSplitView,
)

from workflows.api.base.strict_requests import KnownParameters

HEADER = "Content-Security-Policy"
POLICY = {
    "default-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "object-src": "'none'",
}
# Swagger UI and Redoc draw with inline styles and with images inside them; they run no inline
# script, and nothing of others.
DOCS_POLICY = {
    **POLICY,
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
}


def header(policy: dict[str, str]) -> str:
    """The value of the header."""
    return "; ".join(f"{name} {value}" for name, value in policy.items())


def content_security_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Send the policy with every answer that does not bring its own."""
    value = header(POLICY)

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Django's own pages for developers are drawn with inline styles and scripts.
        is_for_developers = settings.DEBUG and response.status_code in (404, 500)
        if not is_for_developers:
            response.headers.setdefault(HEADER, value)
        return response

    return middleware


class _WithItsOwnPolicy:
    """A page that is drawn by a script which we serve, but did not write."""

    policy = DOCS_POLICY

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Every answer of it, with the policy that it needs."""
        view: Any = super()
        done = view.finalize_response(request, response, *args, **kwargs)
        done.headers[HEADER] = header(self.policy)
        return done


class DocsView(_WithItsOwnPolicy, KnownParameters, SpectacularSwaggerSplitView):
    """Swagger UI, its start in a script of its own."""

    query_parameters = ("lang", "script", "version")


class RedocView(_WithItsOwnPolicy, KnownParameters, SpectacularRedocView):
    """Redoc, which searches in a worker that it makes itself."""

    query_parameters = ("lang", "version")
    policy = {**DOCS_POLICY, "worker-src": "blob:"}


class SchemaView(KnownParameters, SpectacularAPIView):
    """The description of the API."""

    query_parameters = ("lang", "version")
