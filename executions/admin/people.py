"""Pages of users and groups that refuse to delete what open steps ask."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from executions.services.people import cascade_of, refuse_people_deletion
from workflows.admin.generics import ModelAdmin
from workflows.admin.recorded import recorded
from workflows.admin.refused import as_html
from workflows.models.audit import Action, told
from workflows.refusals import Refusal


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
