"""The site of the admin: its home, and what holds for every page of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

View = Callable[..., HttpResponse]


class Site(admin.AdminSite):
    """Django's site with a home page of its own, whose forms are done once and never lost.

    Modules of pages are imported where they are used: they register themselves at this site.
    """

    site_header = "Holdfast"
    site_title = "Holdfast"
    index_title = "What needs someone"
    # It would lead to the home page again.
    site_url = None

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The home page: what needs someone, then everything that there is."""
        from executions.admin.home import needed

        return super().index(request, {"needed": needed(request.user), **(extra_context or {})})

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add the token of a form, which is new wherever a template writes it."""
        from workflows.admin.base.submit_once import once_input

        return {**super().each_context(request), "once": once_input}

    def get_urls(self) -> list[Any]:
        """Add the page that offers a form again after a login."""
        own: list[URLPattern] = [
            path("send-again/", self.admin_view(self.send_again), name="send_again")
        ]
        return [*own, *super().get_urls()]

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Wrap a page: its form is done once, and is kept where the session is lost."""

        def doing_once(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            from workflows.admin.base.submit_once import answered_once
            from workflows.editing.idempotency import KeyReused
            from workflows_project import lost_forms

            try:
                return answered_once(request, lambda: view(request, *args, **kwargs))
            except KeyReused:
                return lost_forms.sent_before(request, self.each_context(request))

        guarded: View = super().admin_view(update_wrapper(doing_once, view), cacheable)

        def keeping(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            from workflows_project import lost_forms

            response = guarded(request, *args, **kwargs)
            is_kept = self._leads_to_login(request, response) and lost_forms.keep(request)
            if not is_kept:
                return response
            return redirect_to_login(reverse("admin:send_again"), reverse("admin:login"))

        return update_wrapper(keeping, guarded)

    def _leads_to_login(self, request: HttpRequest, response: HttpResponse) -> bool:
        location = response.headers.get("Location", "")
        is_lost = request.method == "POST" and request.user.is_anonymous
        return is_lost and location.startswith(reverse("admin:login"))

    def send_again(self, request: HttpRequest) -> HttpResponse:
        """Offer the form that was sent after the session had ended."""
        from workflows_project import lost_forms

        kept = lost_forms.take(request)
        if kept is None:
            return HttpResponseRedirect(reverse("admin:index"))
        return lost_forms.after_login(request, kept, self.each_context(request))
