"""The page where an operator chooses whom an open step asks from now on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext_lazy as _

from executions import services
from executions.engine.nodes.assignees import asked_at, candidates
from executions.models import FOR_PEOPLE, Execution, Step
from executions.services.reassigning import names_by_kind
from workflows.admin.base.edits import EditForm
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING
from workflows.db.json_values import canonical
from workflows.guards import Stale
from workflows.models import Candidate
from workflows.refusals import Refusal

if TYPE_CHECKING:
    from executions.admin.execution import ExecutionAdmin

LABEL = _("Reassign")


class ReassignForm(forms.Form):
    """The groups and users that a step asks, and the reason for the change."""

    groups = forms.ModelMultipleChoiceField(
        Group.objects.order_by("name"), required=False, to_field_name="name", label=_("Groups")
    )
    users = forms.CharField(
        required=False,
        label=_("Users"),
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text=_("One username per line."),
    )
    why = forms.CharField(
        label=_("Reason"),
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text=_("Recorded in the audit log."),
    )
    read = forms.CharField(required=False, widget=forms.HiddenInput)
    """Whom the step asked when the page was rendered."""

    def clean_read(self) -> dict[str, list[str]] | None:
        """Return the names; None where the page does not send them."""
        if not self.cleaned_data["read"]:
            return None
        try:
            found = json.loads(self.cleaned_data["read"])
            return {name: [str(one) for one in found[name]] for name in ("groups", "users")}
        except (ValueError, TypeError, KeyError, RecursionError):
            raise forms.ValidationError(EditForm.unreadable, code="invalid") from None

    def clean_users(self) -> list[str]:
        """Return the usernames."""
        lines = (line.strip() for line in self.cleaned_data["users"].splitlines())
        return [line for line in lines if line]

    def clean(self) -> dict[str, Any]:
        """Require somebody."""
        values: dict[str, Any] = super().clean() or {}
        if not self.errors and not values["groups"] and not values["users"]:
            raise forms.ValidationError(_("Choose a group or a user."))
        return values


def reassign_page(
    model_admin: ExecutionAdmin, request: HttpRequest, execution: Execution, cuid: str
) -> HttpResponse:
    """GET shows the form, POST reassigns the step and leads back to its execution."""
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
                groups=[group.name for group in values["groups"]],
                users=values["users"],
                why=values["why"],
                step=cuid,
                by=request.user,
                instead_of=values["read"],
            )
        except REFUSING as error:
            refusal = recorded(error)
            rows = _candidates(execution, step)
            if isinstance(refusal, Stale):
                # The page now shows whom the step asks, so the next save may replace them.
                form.data = request.POST.copy()
                form.data["read"] = _read(rows)
                form.add_error(None, str(refusal.message))
                for problem in refusal.problems:
                    form.add_error(problem.pointer.removeprefix("/"), problem.detail)
            else:
                named = any(problem.pointer.startswith("/users") for problem in refusal.problems)
                form.add_error("users" if named else None, str(refusal.message))
        else:
            model_admin.log_change(request, execution, "Step reassigned.")
            text = _("“%s” is reassigned.") % (step.label or step.node_id)
            model_admin.message_user(request, text, messages.SUCCESS)
            return back
    return model_admin.render_page(
        request,
        "executions/admin/reassign.html",
        {
            "title": LABEL,
            "form": form,
            "step": step,
            "asked": rows,
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )


def _candidates(execution: Execution, step: Step) -> list[Candidate]:
    try:
        node = execution.get_workflow_manager().node(step.node_id)
    except (Refusal, KeyError):
        return []
    return list(candidates(asked_at(step, execution.version_id, node)))


def _read(rows: list[Candidate]) -> str:
    return canonical(names_by_kind(rows))


def _initial(rows: list[Candidate]) -> dict[str, Any]:
    users = [row.current_name for row in rows if row.user_id is not None]
    return {
        "groups": [row.current_name for row in rows if row.group_id is not None],
        "users": "\n".join(users),
        "read": _read(rows),
    }
