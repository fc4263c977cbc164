"""The pages that ask why before an execution is cancelled, or begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html

from executions import services
from executions.models import Execution
from workflows.admin.base.formatting import admin_url
from workflows.admin.base.refusal_log import recorded
from workflows.admin.base.refusals import REFUSING

if TYPE_CHECKING:
    from executions.admin.execution import ExecutionAdmin


class CancelForm(forms.Form):
    """Why."""

    why = forms.CharField(
        required=False,
        label="Why",
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Stands on the execution from then on.",
    )


def cancel_page(
    model_admin: ExecutionAdmin, request: HttpRequest, execution: Execution
) -> HttpResponse:
    """GET asks, POST cancels."""
    form = CancelForm(request.POST if request.method == "POST" else None)
    back = HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
    if request.method == "POST" and form.is_valid():
        try:
            services.cancel(execution, by=request.user, why=form.cleaned_data["why"])
        except REFUSING as error:
            refusal = recorded(error)
            model_admin.message_refusal(request, refusal)
            return back
        model_admin.log_change(request, execution, "Cancelled.")
        text = format_html("Execution {} is cancelled.", execution.cuid)
        model_admin.message_user(request, text, messages.SUCCESS)
        return back
    if not execution.live:
        ended = execution.get_status_display().lower()
        text = format_html("Execution {} is {} already.", execution.cuid, ended)
        model_admin.message_user(request, text, messages.WARNING)
        return back
    return model_admin.render_page(
        request,
        "executions/admin/cancel.html",
        {
            "title": "Cancel execution",
            "form": form,
            "execution": execution,
            "children": execution.children.live().select_related("workflow"),
            "button": "Cancel the execution",
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )


def restart_page(
    model_admin: ExecutionAdmin, request: HttpRequest, execution: Execution
) -> HttpResponse:
    """GET asks, POST cancels what is live and starts anew on the latest version."""
    form = CancelForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            again = services.restart(execution, by=request.user, why=form.cleaned_data["why"])
        except REFUSING as error:
            model_admin.message_refusal(request, recorded(error))
            return HttpResponseRedirect(admin_url(Execution, "change", execution.pk))
        model_admin.log_change(request, execution, f"Restarted as {again.cuid}.")
        text = format_html("Execution {} began anew as this one.", execution.cuid)
        model_admin.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(admin_url(Execution, "change", again.pk))
    return model_admin.render_page(
        request,
        "executions/admin/cancel.html",
        {
            "title": "Restart execution",
            "form": form,
            "execution": execution,
            "children": execution.children.live().select_related("workflow"),
            "restarts": True,
            "button": "Restart from the beginning",
            "back_url": admin_url(Execution, "change", execution.pk),
        },
        row=execution,
    )
