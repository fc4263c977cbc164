"""Users and groups: Django's pages, which refuse to delete what open steps ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest

from executions.services.people import cascade_of, refuse_people_deletion
from workflows.admin.generics import ModelAdmin
from workflows.admin.recorded import recorded
from workflows.admin.refused import as_html
from workflows.models.audit import Action, told
from workflows.refusals import Refusal

if TYPE_CHECKING:
    BaseUserAdmin = UserAdmin[Any]
else:
    BaseUserAdmin = UserAdmin


class GuardedPeople(ModelAdmin[Any]):
    """Show a refused deletion as a blocker, on the page of one row and on that of several."""

    delete_confirmation_template = "workflows/admin/delete_confirmation.html"
    delete_selected_confirmation_template = "workflows/admin/delete_selected_confirmation.html"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return what goes along; the guard's refusals are listed as protected rows."""
        gone, counts, lacking, protected = super().get_deleted_objects(objs, request)
        rows = list(objs)
        refused = []
        for row in rows:
            try:
                refuse_people_deletion(row, {one.pk for one in rows})
            except Refusal as refusal:
                refused.append({"row": row, "refusal": as_html(refusal)})
                if request.method == "POST" and request.POST.get("post"):
                    refusal.attempts = [told(row, Action.DELETED, before=cascade_of(row))]
                    recorded(refusal)
        return gone, counts, lacking, [*protected, *refused]


admin.site.unregister(Group)
admin.site.unregister(get_user_model())


@admin.register(Group)
class GuardedGroupAdmin(GuardedPeople, GroupAdmin):
    """Groups."""


@admin.register(get_user_model())
class GuardedUserAdmin(GuardedPeople, BaseUserAdmin):
    """Users."""
