"""Pages of users and groups that refuse to delete what open steps ask."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from executions.services.assigned_accounts import PeopleInUse, cascade_of, refuse_people_deletion
from workflows.admin.base.generics import ModelAdmin
from workflows.admin.base.model_admin import DELETE_SELECTED
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING, as_html
from workflows.admin.base.submit_once import forget_new_messages
from workflows.audit.log import Action, told
from workflows.refusals import Refusal

NAMED_MEANWHILE = _("Somebody named them at the same time. Nothing was deleted: try again.")


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

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The stock page; a deletion that is refused after all leads back to it."""
        return _or_refused(
            request,
            lambda: super(GuardedPeople, self).delete_view(request, object_id, extra_context),
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The stock list; a deletion of several rows is made whole or not at all."""
        # The stock action logs before it deletes.
        deleting = request.method == "POST" and request.POST.get("action") == DELETE_SELECTED

        def view() -> Any:
            with transaction.atomic() if deleting else nullcontext():
                return super(GuardedPeople, self).changelist_view(request, extra_context)

        return _or_refused(request, view) if deleting else view()


def _or_refused(request: HttpRequest, view: Callable[[], Any]) -> Any:
    try:
        return view()
    except IntegrityError:
        # A graph was saved, or a step reassigned, between the judgement and the deletion.
        refusal: Refusal = PeopleInUse(str(NAMED_MEANWHILE))
    except REFUSING as error:
        refusal = recorded(error)
    forget_new_messages(request)
    messages.error(request, as_html(refusal))
    return HttpResponseRedirect(request.get_full_path())
