"""User and group pages that refuse deletions of assignees of open steps."""

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
from workflows.admin.base.refusals import REFUSING, log_refusal, refusal_html
from workflows.admin.base.submit_once import forget_new_messages
from workflows.audit.log import Action, make_attempt
from workflows.refusals import Refusal

ASSIGNED_MEANWHILE = _(
    "The accounts were assigned to a step at the same time. Nothing was deleted. Try again."
)


class GuardedAccountAdmin(ModelAdmin[Any]):
    """Base class of user and group pages that show refused deletions with their blockers."""

    delete_confirmation_template = "workflows/admin/delete_confirmation.html"
    delete_selected_confirmation_template = "workflows/admin/delete_selected_confirmation.html"

    def is_deletable(self, row: Any) -> bool:
        """Return whether no open step asks only this user or group."""
        try:
            refuse_people_deletion(row, {row.pk})
        except Refusal:
            return False
        return True

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return what Django's confirmation page lists, with guard refusals as protected rows."""
        deletable, counts, lacking, protected = super().get_deleted_objects(objs, request)
        rows = list(objs)
        refused = []
        for row in rows:
            try:
                refuse_people_deletion(row, {one.pk for one in rows})
            except Refusal as refusal:
                refused.append({"row": row, "refusal": refusal_html(refusal)})
                if request.method == "POST" and request.POST.get("post"):
                    refusal.attempts = [make_attempt(row, Action.DELETED, before=cascade_of(row))]
                    log_refusal(refusal)
        return deletable, counts, lacking, [*protected, *refused]

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show Django's page. If the deletion is refused, redirect back to it with a message."""
        return _run_or_refuse(
            request,
            lambda: super(GuardedAccountAdmin, self).delete_view(request, object_id, extra_context),
        )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """Show the list. A deletion of several rows succeeds or fails as a whole."""
        # Django's action logs before it deletes.
        deleting = request.method == "POST" and request.POST.get("action") == DELETE_SELECTED

        def view() -> Any:
            with transaction.atomic() if deleting else nullcontext():
                return super(GuardedAccountAdmin, self).changelist_view(request, extra_context)

        return _run_or_refuse(request, view) if deleting else view()


def _run_or_refuse(request: HttpRequest, view: Callable[[], Any]) -> Any:
    try:
        return view()
    except IntegrityError:
        # A graph was saved or a step reassigned between the check and the deletion.
        refusal: Refusal = PeopleInUse(str(ASSIGNED_MEANWHILE))
    except REFUSING as error:
        refusal = log_refusal(error)
    forget_new_messages(request)
    messages.error(request, refusal_html(refusal))
    return HttpResponseRedirect(request.get_full_path())
