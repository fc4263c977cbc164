"""Forms that arrived when they could not be taken, offered again with what was typed.

A form is refused if its security token or its session has ended, or if its page was sent before.
The page that says so shows the typed values, without passwords and files. Nothing is sent
automatically: a person reads the values and presses a button.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext_lazy as _

from workflows.admin.base import submit_once

KEPT = "lost_form"
KEPT_SECONDS = 3_600
LARGEST = 500_000
"""How many characters a session keeps for a user who has to log in."""
PAGE = "admin/send_again.html"

TITLE_CSRF = _("This form could not be checked")
WHY_CSRF = _(
    "The page was open for too long, or you logged in or out in another tab. Nothing was done."
)
TITLE_SESSION = _("Send your form again")
WHY_SESSION = _("Your session had ended when you sent this form. Nothing was done.")
TITLE_SENT = _("This page was sent before")
WHY_SENT = _(
    "The action was done the first time. You have changed values since then."
    " Send them only if you want to do the action again."
)


@dataclass(frozen=True, slots=True)
class LostForm:
    """A form: where it was sent to, what was typed, and whether a password is left out."""

    path: str
    fields: list[list[str]]
    is_complete: bool
    at: float

    @property
    def shown(self) -> list[list[str]]:
        """The values to read before the form is sent: those that a person typed or chose."""
        hidden = ("_", "initial-")
        return [row for row in self.fields if not row[0].startswith(hidden) and row[1].strip()]


def lost_form(request: HttpRequest, *without: str) -> LostForm:
    """Return the values of a request's form, without passwords and without these names."""
    private = _private_names(request)
    names = [name for name in request.POST if name not in (submit_once.CSRF, *without)]
    fields = [
        [name, value]
        for name in names
        if name not in private
        for value in request.POST.getlist(name)
    ]
    left_out = private & set(names) or request.FILES
    return LostForm(request.get_full_path(), fields, not left_out, time.time())


def _private_names(request: HttpRequest) -> set[str]:
    """Return the names of passwords and secrets: by their name, or by the widget of the form."""
    found = {name for name in request.POST if "password" in name.lower()}
    try:
        model_admin = getattr(resolve(request.path_info).func, "model_admin", None)
    except Resolver404:
        return found
    declared = getattr(getattr(model_admin, "form", None), "declared_fields", {})
    return found | {
        name for name, field in declared.items() if isinstance(field.widget, forms.PasswordInput)
    }


def keep(request: HttpRequest) -> bool:
    """Keep the form of a user who is logged out, to offer it after the login.

    Returns:
        False where it is too large to be kept.
    """
    lost = lost_form(request)
    if sum(len(name) + len(value) for name, value in lost.fields) > LARGEST:
        return False
    request.session[KEPT] = asdict(lost)
    return True


def take(request: HttpRequest) -> LostForm | None:
    """Return the form that was kept for this session, and forget it."""
    kept = request.session.pop(KEPT, None)
    if kept is None or kept["at"] < time.time() - KEPT_SECONDS:
        return None
    return LostForm(**kept)


def after_login(request: HttpRequest, lost: LostForm, context: dict[str, Any]) -> HttpResponse:
    """Return the page that offers a form again after a login."""
    shown = {**context, "title": TITLE_SESSION, "why": WHY_SESSION, "lost": lost}
    return render(request, PAGE, shown)


def sent_before(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Return the page that offers a form that was sent before with other values."""
    lost = lost_form(request, submit_once.FIELD)
    shown = {**context, "title": TITLE_SENT, "why": WHY_SENT, "lost": lost, "renew": True}
    return render(request, PAGE, shown, status=409)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page for a form whose security token is missing or wrong.

    What was typed is offered again unless another site has sent it.
    """
    is_own = request.method == "POST" and request.path.startswith(reverse("admin:index"))
    lost = lost_form(request) if is_own and not _is_from_elsewhere(request) else None
    header = {"site_header": admin.site.site_header, "site_title": admin.site.site_title}
    shown = {**header, "title": TITLE_CSRF, "why": WHY_CSRF, "lost": lost}
    return render(request, "403_csrf.html", shown, status=403)


def _is_from_elsewhere(request: HttpRequest) -> bool:
    if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        return True
    origin = request.headers.get("Origin") or request.headers.get("Referer")
    if not origin:
        return False
    parts = urlsplit(origin)
    address = f"{parts.scheme}://{parts.netloc}"
    own = f"{request.scheme}://{request.get_host()}"
    return address not in (own, *settings.CSRF_TRUSTED_ORIGINS)
