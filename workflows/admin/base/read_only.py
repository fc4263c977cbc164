"""What every admin shares whose rows are told, never edited."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from workflows.admin.base.model_admin import GuardedAdmin


class ToldAdmin(GuardedAdmin):
    """Rows that come about by what they tell of; what can be done has pages of its own."""

    actions: Any = None
    page_template: str
    """The page of one row."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """A row comes about by itself."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A row is told as it is."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What was told stays readable."""
        return False

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """The page of one row; nothing is posted to it."""
        may_view = self.has_view_permission(request)
        if object_id is None or request.method not in ("GET", "HEAD") or not may_view:
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            # The stock page says what to say of a row that is not there.
            return super().changeform_view(request, object_id, form_url, extra_context)
        return self.page(request, row)

    def page(self, request: HttpRequest, row: Any, **given: Any) -> HttpResponse:
        """All that one row tells; ``given`` is what ``told`` takes beside it."""
        return self.render_page(
            request, self.page_template, self.told(request, row, **given), row=row
        )

    def told(self, request: HttpRequest, row: Any, **given: Any) -> dict[str, Any]:
        """What the page of one row tells, beside its name."""
        return {"title": str(row)}
