"""Rejected forms, offered again with the submitted values.

A form is rejected if its CSRF token is invalid, if the session has ended, or if the same page was
submitted before with other values. The page shows the submitted values without passwords and files.
Nothing is submitted automatically: the user reviews the values and presses a button.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.utils.translation import gettext_lazy as _

from workflows.admin.base import submit_once
from workflows.api.base.strict_requests import is_cross_site

SESSION_KEY = "lost_form"
MAX_AGE_SECONDS = 3_600
MAX_CHARACTERS = 500_000
"""The size limit of a form that is stored in the session until the next login."""
PAGE = "admin/send_again.html"

TITLE_CSRF = _("This form could not be verified")
REASON_CSRF = _(
    "The page was open for too long, or you logged in or out in another tab. Nothing was changed."
)
TITLE_SESSION = _("Submit your form again")
REASON_SESSION = _("Your session had ended when you submitted this form. Nothing was changed.")
TITLE_SUBMITTED = _("This form was already submitted")
REASON_SUBMITTED = _(
    "The action ran the first time. You have changed values since then."
    " Submit them only if you want to run the action again."
)


@dataclass(frozen=True, slots=True)
class LostForm:
    """A submitted form.

    Args:
        path: the URL it was submitted to.
        fields: pairs of name and value.
        is_complete: False if a password or a file is left out.
        at: the time of the request, in seconds since the epoch.
    """

    path: str
    fields: list[list[str]]
    is_complete: bool
    at: float

    @property
    def visible_fields(self) -> list[list[str]]:
        """Return the values for the user to review: without hidden and empty fields."""
        hidden = ("_", "initial-")
        return [row for row in self.fields if not row[0].startswith(hidden) and row[1].strip()]


def lost_form(request: HttpRequest, *without: str) -> LostForm:
    """Return the submitted form without passwords and without the given fields."""
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
    """Return the names of password fields, by their name or their widget."""
    found = {name for name in request.POST if "password" in name.lower()}
    try:
        model_admin = getattr(resolve(request.path_info).func, "model_admin", None)
    except Resolver404:
        return found
    declared = getattr(getattr(model_admin, "form", None), "declared_fields", {})
    return found | {
        name for name, field in declared.items() if isinstance(field.widget, forms.PasswordInput)
    }


def store(request: HttpRequest) -> bool:
    """Store the form of a logged-out user in the session.

    Returns:
        False if the form is too large.
    """
    lost = lost_form(request)
    if sum(len(name) + len(value) for name, value in lost.fields) > MAX_CHARACTERS:
        return False
    request.session[SESSION_KEY] = asdict(lost)
    return True


def pop(request: HttpRequest) -> LostForm | None:
    """Return the stored form and remove it from the session."""
    stored = request.session.pop(SESSION_KEY, None)
    if stored is None or stored["at"] < time.time() - MAX_AGE_SECONDS:
        return None
    return LostForm(**stored)


def after_login(request: HttpRequest, lost: LostForm, context: dict[str, Any]) -> HttpResponse:
    """Return the page that offers a form again after login."""
    values = {"title": TITLE_SESSION, "reason": REASON_SESSION, "lost": lost}
    return render(request, PAGE, {**context, **values})


def submitted_before(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Return the page that offers a form again that was submitted before with other values."""
    lost = lost_form(request, submit_once.FIELD)
    values = {"title": TITLE_SUBMITTED, "reason": REASON_SUBMITTED, "lost": lost, "renew": True}
    return render(request, PAGE, {**context, **values}, status=409)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Return the page for a form whose CSRF token is missing or invalid.

    The form is offered again unless another site has submitted it.
    """
    is_own = request.method == "POST" and request.path.startswith(reverse("admin:index"))
    lost = lost_form(request) if is_own and not is_cross_site(request) else None
    context = {
        "site_header": admin.site.site_header,
        "site_title": admin.site.site_title,
        "title": TITLE_CSRF,
        "reason": REASON_CSRF,
        "lost": lost,
    }
    return render(request, "403_csrf.html", context, status=403)
