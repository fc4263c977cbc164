"""The admin site: the home page, and form handling for every page."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from workflows_project.navigation import build_sections

View = Callable[..., HttpResponse]


class Site(admin.AdminSite):
    """An admin site with its own home page.

    Every form runs its action once, and is offered again if the session ended before it was
    submitted. Page modules are imported inside methods, because they register at this site.
    """

    site_header = "Holdfast"
    site_title = "Holdfast"
    index_title = _("Needs attention")
    # The default link would lead to this home page.
    site_url = None

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show the home page: panels with work that needs attention, and all pages."""
        from executions.admin.first_steps import first_steps
        from executions.admin.home import panels_for

        context = {
            "first_steps": first_steps(request.user, request.path),
            "panels": panels_for(request.user),
            **(extra_context or {}),
        }
        return super().index(request, context)

    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the login page, with a link to the single sign-on if there is one."""
        from workflows_project.auth.authentication import has_single_sign_on

        context = dict(extra_context or {})
        if has_single_sign_on():
            query = urlencode({"next": request.GET.get("next") or reverse("admin:index")})
            context["single_sign_on"] = f"{reverse('oidc_authentication_init')}?{query}"
        return super().login(request, context)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Add ``once``, which renders a new form token each time, and what each page shows."""
        from executions.admin.search import may_search
        from executions.admin.work_banner import work_warnings
        from workflows.admin.base.submit_once import token_input

        return {
            **super().each_context(request),
            "once": token_input,
            # Called by the template, because not every page shows the banner.
            "work_warnings": partial(work_warnings, request.user),
            "may_search": partial(may_search, request.user),
            "docs_url": settings.DOCS_URL,
        }

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Return the sections of the navigation, or the models of one app."""
        apps = super().get_app_list(request, app_label)
        return apps if app_label else build_sections(request, apps)

    def get_urls(self) -> list[Any]:
        """Add the search, and the page that offers a form again after login."""
        own: list[URLPattern] = [
            path("search/", self.admin_view(self.search), name="search"),
            path("send-again/", self.admin_view(self.send_again), name="send_again"),
        ]
        return [*own, *super().get_urls()]

    def search(self, request: HttpRequest) -> HttpResponse:
        """Show the records that match a search."""
        from executions.admin.search import search_page

        return search_page(request, self.each_context(request))

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Wrap a view so that its form runs once and is stored if the session has ended."""

        def run_once(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            from workflows.admin.base.submit_once import answer_once
            from workflows.editing.idempotency import KeyReused
            from workflows_project import lost_forms

            try:
                return answer_once(request, lambda: view(request, *args, **kwargs))
            except KeyReused:
                return lost_forms.submitted_before(request, self.each_context(request))

        guarded: View = super().admin_view(update_wrapper(run_once, view), cacheable)

        def store_lost_form(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            from workflows_project import lost_forms

            response = guarded(request, *args, **kwargs)
            is_stored = self._is_login_redirect(request, response) and lost_forms.store(request)
            if not is_stored:
                return response
            return redirect_to_login(reverse("admin:send_again"), reverse("admin:login"))

        return update_wrapper(store_lost_form, guarded)

    def _is_login_redirect(self, request: HttpRequest, response: HttpResponse) -> bool:
        location = response.headers.get("Location", "")
        is_lost = request.method == "POST" and request.user.is_anonymous
        return is_lost and location.startswith(reverse("admin:login"))

    def send_again(self, request: HttpRequest) -> HttpResponse:
        """Offer a form again that was submitted after the session had ended."""
        from workflows_project import lost_forms

        lost = lost_forms.pop(request)
        if lost is None:
            return HttpResponseRedirect(reverse("admin:index"))
        return lost_forms.after_login(request, lost, self.each_context(request))


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Show that the user lacks a permission, with the navigation of the admin."""
    return _error_page(request, "403.html", 403, gettext("Permission denied"))


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Show that there is no such page, with the navigation of the admin."""
    return _error_page(request, "404.html", 404, gettext("Page not found"))


def _error_page(request: HttpRequest, template: str, status: int, title: str) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": title}
    return render(request, template, context, status=status)
