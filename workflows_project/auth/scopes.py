"""Scopes of tokens: the requests that a token may be used for.

A scope never gives a permission: the user of the token needs the permissions of the request too.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import SAFE_METHODS

READ = "read"
SCOPES: dict[str, Promise] = {
    READ: _("Read everything that the user may view"),
    "write:executions": _("Start executions, and act on their steps"),
    "write:entities": _("Change findings and inventory models"),
    "write:definitions": _("Change workflows and types"),
    "write:webhooks": _("Change webhooks"),
}
"""The scopes, each with its description."""

WRITES: dict[str, str] = {
    "executions": "write:executions",
    "tasks": "write:executions",
    "findings": "write:entities",
    "inventory-models": "write:entities",
    "finding-types": "write:definitions",
    "record-types": "write:definitions",
    "workflows": "write:definitions",
    "pending-changes": "write:definitions",
    "webhooks": "write:webhooks",
    "webhook-deliveries": "write:webhooks",
}
"""The scope that a change needs, by the first part of its path below ``/api/v1/``."""
OWN = ("tokens",)
"""Resources that only tokens without scopes change."""

_LACKING = _("This token needs the scope %(scope)s for this request. It has: %(scopes)s.")
_WHOLE = _("This request needs a token without scopes. This one has: %(scopes)s.")


class InsufficientScope(PermissionDenied):
    """The token does not have the scope of the request."""

    default_code = "insufficient_scope"
    default_detail = _("The token does not have the scope of this request.")


def needed_scope(method: str, path: str) -> str | None:
    """Return the scope that a request needs; None if only a token without scopes may do it."""
    if method in SAFE_METHODS:
        return READ
    parts = path.split("/")
    return WRITES.get(parts[3]) if len(parts) > 3 else None


def refuse_request(scopes: Iterable[str] | None, method: str, path: str) -> None:
    """Raise ``InsufficientScope`` if a token with these scopes may not send the request.

    Args:
        scopes: the scopes; None for a token without scopes, which may do everything.
        method: the method of the request.
        path: its path.
    """
    if scopes is None:
        return
    owned = list(scopes)
    needed = needed_scope(method, path)
    if needed in owned:
        return
    values = {"scope": needed, "scopes": " ".join(owned)}
    raise InsufficientScope((_LACKING if needed else _WHOLE) % values)
