"""Model permissions of the API."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class ModelPermissions(BasePermission):
    """Django's model permissions, also for reading. A view can name others in ``needs``."""

    actions: ClassVar[dict[str, str]] = {
        "GET": "view",
        "HEAD": "view",
        "POST": "add",
        "PUT": "change",
        "PATCH": "change",
        "DELETE": "delete",
    }

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True if the user is authenticated and has the permissions of the view."""
        user: Any = request.user
        if not (user and user.is_authenticated):
            return False
        return all(user.has_perm(name) for name in needed_permissions(request, view))


def needed_permissions(request: Request, view: Any) -> tuple[str, ...]:
    """Return the permissions that a user needs for this request."""
    action = ModelPermissions.actions.get(str(request.method))
    if action is None:
        return ()
    needed = getattr(view, "needs", None)
    queryset = getattr(view, "queryset", None)
    if needed is None and queryset is not None:
        options = queryset.model._meta
        needed = f"{options.app_label}.{action}_{options.model_name}"
    return (needed,) if isinstance(needed, str) else needed or ()


def asked_permissions(request: Request, view: Any) -> tuple[str, ...]:
    """Return the permissions that a request usually asks for, to read them with its user.

    These are the needed ones and those that decide what a response shows (``shows`` of the view).
    Other permissions are read when they are asked for.
    """
    return (*needed_permissions(request, view), *getattr(view, "shows", ()))
