"""Rate limits for each scope. A scope without a rate is not limited."""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

SCOPES = ("read", "write", "start", "token", "hook")


class ScopedThrottle(SimpleRateThrottle):
    """Counts the requests of a user, or of an address without a user, by scope.

    The scope of a view is its ``throttle_scope``, otherwise ``read`` or ``write``. Each process
    counts separately.
    """

    def __init__(self) -> None:
        """Skip the base class, which looks up a single rate. The scope depends on the request."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Return True if the scope has no rate, or the rate is not reached."""
        default = "read" if request.method in SAFE_METHODS else "write"
        is_read = default == "read"
        self.scope = default if is_read else getattr(view, "throttle_scope", None) or default
        rate = settings.THROTTLE_RATES.get(self.scope)
        if rate is None:
            return True
        self.num_requests, self.duration = self.parse_rate(rate)
        # The base class does not limit requests without this attribute.
        self.rate = rate
        is_allowed = super().allow_request(request, view)
        view.headers |= self._describe()
        return is_allowed

    def _describe(self) -> dict[str, str]:
        """Return the headers of draft-ietf-httpapi-ratelimit-headers."""
        limit, seconds = self.num_requests or 0, self.duration or 0
        left = max(0, limit - len(self.history))
        # The oldest request is the next one that no longer counts.
        reset = max(0, math.ceil(self.history[-1] + seconds - self.now)) if self.history else 0
        return {
            "RateLimit-Policy": f'"{self.scope}";q={limit};w={seconds}',
            "RateLimit": f'"{self.scope}";r={left};t={reset}',
        }

    def wait(self) -> float:
        """Return the seconds until the next request is allowed."""
        seconds: float | None = super().wait()
        return float((self.duration or 0) if seconds is None else seconds)

    def get_cache_key(self, request: Request, view: Any) -> str:
        """Return the cache key of the client: its user, or its address."""
        user: Any = request.user
        ident = user.pk if user and user.is_authenticated else self.get_ident(request)
        return self.cache_format % {"scope": self.scope, "ident": ident}
