"""The page that reassigns an open step."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from executions import services
from executions.admin.reason_field import ReasonField
from executions.admin.titles import execution_title, step_title
from executions.engine.nodes.assignees import candidates, current_candidates_key
from executions.models import FOR_PEOPLE, Execution, Step
from executions.services.reassigning import assignee_names
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.forms import EditForm
from workflows.admin.base.model_admin import GuardedAdmin
from workflows.admin.base.refusals import REFUSING, log_refusal
from workflows.admin.graph_editor.node_offers import GROUP, USER, find_offers
from workflows.admin.graph_editor.offers import Offers
from workflows.admin.row_forms import RowForm, RowsField
from workflows.db.json_values import canonical
from workflows.guards import Stale
from workflows.models import Candidate, Workflow
from workflows.refusals import Refusal

LABEL = _("Reassign")


def offer_names(name: str) -> Offers:
    """Return the names of groups, or of users, as the graph editor offers them."""
    return find_offers(Workflow(), {"format": name}, None)


class ReassignForm(RowForm, forms.Form):
    """The groups and users that a step asks, and the reason for the change."""

    groups = RowsField(
        {"title": _("Group"), "type": "string", "format": GROUP},
        find_offers=partial(offer_names, GROUP),
        label=_("Groups"),
    )
    users = RowsField(
        {"title": _("User"), "type": "string", "format": USER},
        find_offers=partial(offer_names, USER),
        label=_("Users"),
    )
    why = ReasonField(help_text=_("Recorded in the audit log."))
    read = forms.CharField(required=False, widget=forms.HiddenInput)
    """The assignees at the time the page was rendered."""

    def clean_read(self) -> dict[str, list[str]] | None:
        """Return the names, or None if the page does not send them."""
        if not self.cleaned_data["read"]:
            return None
        try:
            found = json.loads(self.cleaned_data["read"])
            return {name: [str(one) for one in found[name]] for name in ("groups", "users")}
        except (ValueError, TypeError, KeyError, RecursionError):
            raise forms.ValidationError(EditForm.damaged_message, code="invalid") from None

    def clean(self) -> dict[str, Any]:
        """Require a group or a user."""
        values: dict[str, Any] = super().clean() or {}
        if not self.errors and not values["groups"] and not values["users"]:
            raise forms.ValidationError(_("Choose a group or a user."))
        return values


def reassign_page(
    model_admin: GuardedAdmin, request: HttpRequest, execution: Execution, cuid: str
) -> HttpResponse:
    """Show the form on GET; on POST, reassign the step and redirect to its execution."""
    back = HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
    steps = Step.objects.filter(execution=execution, cuid=cuid, type__in=FOR_PEOPLE)
    step = steps.open().first()
    if step is None:
        model_admin.message_user(request, _("The step is no longer open."), messages.WARNING)
        return back
    rows = _candidates(execution, step)
    form = ReassignForm(request.POST if request.method == "POST" else None, initial=_initial(rows))
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            services.reassign(
                execution,
                groups=values["groups"],
                users=values["users"],
                why=values["why"],
                step=cuid,
                by=request.user,
                instead_of=values["read"],
            )
        except REFUSING as error:
            refusal = log_refusal(error)
            rows = _candidates(execution, step)
            if isinstance(refusal, Stale):
                # The page now shows the current assignees, so the next save may replace them.
                form.data = request.POST.copy()
                form.data["read"] = _read(rows)
                form.add_error(None, str(refusal.message))
                for problem in refusal.problems:
                    form.add_error(problem.pointer.removeprefix("/"), problem.detail)
            else:
                names = {
                    problem.pointer.split("/")[1] for problem in refusal.problems if problem.pointer
                }
                for name in names & form.fields.keys() or [None]:
                    form.add_error(name, refusal)
        else:
            model_admin.log_change(request, execution, gettext("Step reassigned."))
            text = gettext("“%(step)s” was reassigned.") % {"step": step_title(step)}
            model_admin.message_user(request, text, messages.SUCCESS)
            return back
    return model_admin.render_page(
        request,
        "executions/admin/reassign.html",
        {
            "title": LABEL,
            "subtitle": execution_title(execution),
            "form": form,
            "step": step,
            "step_title": step_title(step),
            "assignees": rows,
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )


def _candidates(execution: Execution, step: Step) -> list[Candidate]:
    try:
        node = execution.get_workflow_manager().node(step.node_id)
    except (Refusal, KeyError):
        return []
    return list(candidates(current_candidates_key(step, execution.version_id, node)))


def _read(rows: list[Candidate]) -> str:
    return canonical(assignee_names(rows))


def _initial(rows: list[Candidate]) -> dict[str, Any]:
    return {
        "groups": [row.current_name for row in rows if row.group_id is not None],
        "users": [row.current_name for row in rows if row.user_id is not None],
        "read": _read(rows),
    }
