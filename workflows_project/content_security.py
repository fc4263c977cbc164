"""Content Security Policy: pages may only load resources of this server, and nothing inline."""

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
# Swagger UI and Redoc need inline styles and data images, but no inline scripts.
DOCS_POLICY = {
    **POLICY,
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
}


def header(policy: dict[str, str]) -> str:
    """Return the value of the header."""
    return "; ".join(f"{name} {value}" for name, value in policy.items())


def content_security_middleware(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Add the policy to every response without one."""
    value = header(POLICY)

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Django's debug pages need inline styles and scripts.
        is_debug_page = settings.DEBUG and response.status_code in (404, 500)
        if not is_debug_page:
            response.headers.setdefault(HEADER, value)
        return response

    return middleware


class _DocsPolicyMixin:
    """A documentation page, with the policy that its script needs."""

    policy = DOCS_POLICY

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the policy to the response."""
        view: Any = super()
        finalized = view.finalize_response(request, response, *args, **kwargs)
        finalized.headers[HEADER] = header(self.policy)
        return finalized


class DocsView(_DocsPolicyMixin, KnownParameters, SpectacularSwaggerSplitView):
    """Swagger UI, with its start script in a separate file."""

    query_parameters = ("lang", "script", "version")


class RedocView(_DocsPolicyMixin, KnownParameters, SpectacularRedocView):
    """Redoc, whose search runs in a worker from a blob."""

    query_parameters = ("lang", "version")
    policy = {**DOCS_POLICY, "worker-src": "blob:"}


class SchemaView(KnownParameters, SpectacularAPIView):
    """The OpenAPI document."""

    query_parameters = ("lang", "version")
