"""The site of the admin: its home tells what needs someone now."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse


class Site(admin.AdminSite):
    """Django's site with a home page of its own."""

    site_header = "Holdfast"
    site_title = "Holdfast"
    index_title = "What needs someone"
    # It would lead to the home page again.
    site_url = None

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The home page: what needs someone, then everything that there is."""
        # The apps have to be there before their pages can be asked.
        from executions.admin.home import needed

        return super().index(request, {"needed": needed(request.user), **(extra_context or {})})
