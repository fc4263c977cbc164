"""How often one sender may ask: a rate for each scope, and none where none is set."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

SCOPES = ("read", "write", "start", "token", "hook")


class ScopedThrottle(SimpleRateThrottle):
    """Counts the requests of a user, or of an address where there is none, in their scope.

    A view says its scope (``throttle_scope``); the others read or write. Each process counts for
    itself.
    """

    def __init__(self) -> None:
        """Nothing to prepare: what is asked says which rate holds."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Say whether the rate, if there is one, has room for it."""
        plain = "read" if request.method in SAFE_METHODS else "write"
        self.scope = plain if plain == "read" else getattr(view, "throttle_scope", None) or plain
        rate = settings.THROTTLE_RATES.get(self.scope)
        if rate is None:
            return True
        self.num_requests, self.duration = self.parse_rate(rate)
        # The base allows everything while it has no rate of its own.
        self.rate = rate
        return super().allow_request(request, view)

    def wait(self) -> float:
        """How many seconds until there is room again."""
        left: float | None = super().wait()
        return float((self.duration or 0) if left is None else left)

    def get_cache_key(self, request: Request, view: Any) -> str:
        """By what a sender is counted."""
        user: Any = request.user
        ident = user.pk if user and user.is_authenticated else self.get_ident(request)
        return self.cache_format % {"scope": self.scope, "ident": ident}
